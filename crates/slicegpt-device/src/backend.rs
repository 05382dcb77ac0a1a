//! [`Backend`]: the backends that this program was compiled with, and the devices of this machine.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{DType, Device};

use crate::guard::panic_message;
use crate::memory::host_memory_bytes;
use crate::{BackendKind, DeviceError, DeviceName, Host};

/// A backend, and its devices.
#[derive(Clone, Debug)]
pub struct Backend {
    /// The backend.
    pub kind: BackendKind,
    /// Whether this program was compiled with it.
    pub compiled: bool,
    /// Its devices in this machine; empty where it was not compiled in.
    pub devices: Vec<DeviceInfo>,
    /// Why the devices cannot be listed, if they cannot.
    pub problem: Option<String>,
}

/// The properties of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its name, which [`crate::open`] takes.
    pub name: DeviceName,
    /// Its model, as it reports it.
    pub model: String,
    /// Its memory in bytes (for the CPU, the free memory of the host), where known.
    pub memory_bytes: Option<u64>,
    /// Whether it computes in float64.
    pub float64: bool,
    /// Whether it computes in float16.
    pub float16: bool,
    /// Whether it computes in bfloat16.
    pub bfloat16: bool,
    /// Whether it is a software rasteriser, such as Mesa's llvmpipe.
    pub software: bool,
}

/// All backends, with the devices of this machine.
pub fn backends() -> Vec<Backend> {
    let backend = |kind: BackendKind| {
        let compiled = kind.is_compiled();
        let found = if compiled { devices(kind) } else { Ok(Vec::new()) };
        let problem = found.as_ref().err().map(ToString::to_string);
        let devices = found.unwrap_or_default().into_iter().map(|(_, info)| info).collect();
        Backend { kind, compiled, devices, problem }
    };
    BackendKind::ALL.into_iter().map(backend).collect()
}

/// The devices of a backend that is compiled in, in the order of their numbers.
pub(crate) fn devices(kind: BackendKind) -> Result<Vec<(Device, DeviceInfo)>, DeviceError> {
    if kind == BackendKind::Cpu {
        return Ok(vec![cpu()]);
    }
    // With a missing or broken driver, Burn and the libraries below it may panic.
    let found = catch_unwind(AssertUnwindSafe(|| {
        let devices = enumerate(kind).into_iter().enumerate();
        devices.map(|(index, device)| info(kind, index, device)).collect()
    }));
    found.map_err(|panic| {
        let message = panic_message(&*panic);
        let reason = message.lines().next().unwrap_or_default().to_string();
        DeviceError::Start { kind, reason }
    })
}

/// The CPU.
pub(crate) fn cpu() -> (Device, DeviceInfo) {
    let Host { processor, cores, .. } = Host::this();
    let device = Device::flex();
    let supports = |dtype| device.supports_dtype(dtype);
    let info = DeviceInfo {
        name: DeviceName::Device(BackendKind::Cpu, None),
        model: format!("{processor}, {cores} cores"),
        memory_bytes: Some(host_memory_bytes()),
        float64: supports(DType::F64),
        float16: supports(DType::F16),
        bfloat16: supports(DType::BF16),
        software: false,
    };
    (device, info)
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn enumerate(kind: BackendKind) -> Vec<Device> {
    use burn::tensor::DeviceType;
    let filter = match kind {
        #[cfg(feature = "wgpu")]
        BackendKind::Wgpu => DeviceType::Wgpu,
        #[cfg(feature = "vulkan")]
        BackendKind::Vulkan => DeviceType::Vulkan,
        #[cfg(feature = "metal")]
        BackendKind::Metal => DeviceType::Metal,
        #[cfg(feature = "cuda")]
        BackendKind::Cuda => DeviceType::Cuda,
        _ => return Vec::new(),
    };
    Device::enumerate(filter).into_vec()
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn info(kind: BackendKind, index: usize, device: Device) -> (Device, DeviceInfo) {
    let identity = device.identity();
    let model = identity.as_ref().map_or_else(|| kind.to_string(), |it| it.name.clone());
    let supports = |dtype| device.supports_dtype(dtype);
    let info = DeviceInfo {
        name: DeviceName::Device(kind, Some(index)),
        memory_bytes: crate::memory::device_memory_bytes(kind, index, &model),
        model,
        float64: supports(DType::F64),
        float16: supports(DType::F16),
        bfloat16: supports(DType::BF16),
        software: identity.is_some_and(|it| it.physical.is_none()),
    };
    (device, info)
}

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
fn enumerate(_: BackendKind) -> Vec<Device> {
    Vec::new()
}

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
fn info(_: BackendKind, _: usize, _: Device) -> (Device, DeviceInfo) {
    unreachable!("no backend but the CPU is compiled in")
}
