//! What this binary was built with, and what this machine has.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{DType, Device};

use crate::guard::said;
use crate::memory::host_memory_bytes;
use crate::{DeviceError, Host, Kind, Name};

/// A kind of device, and the devices of that kind.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Through what they are reached.
    pub kind: Kind,
    /// Whether this binary was built with it.
    pub compiled: bool,
    /// Those this machine has; empty where it was not compiled in.
    pub devices: Vec<Info>,
    /// Why they cannot be listed, where they cannot.
    pub problem: Option<String>,
}

/// What a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// What [`crate::open`] takes.
    pub name: Name,
    /// What it calls itself.
    pub model: String,
    /// Its memory in bytes (free memory, of the processor), where it is known.
    pub memory_bytes: Option<u64>,
    /// Whether it computes in float64.
    pub float64: bool,
    /// Whether it computes in float16.
    pub float16: bool,
    /// Whether it computes in bfloat16.
    pub bfloat16: bool,
    /// Whether it is a program that stands in for a device, such as Mesa's llvmpipe.
    pub software: bool,
}

/// Every kind of device there is, those of this machine opened and asked.
pub fn backends() -> Vec<Backend> {
    let backend = |kind: Kind| {
        let compiled = kind.is_compiled();
        let found = if compiled { devices(kind) } else { Ok(Vec::new()) };
        let problem = found.as_ref().err().map(ToString::to_string);
        let devices = found.unwrap_or_default().into_iter().map(|(_, info)| info).collect();
        Backend { kind, compiled, devices, problem }
    };
    Kind::ALL.into_iter().map(backend).collect()
}

/// The devices of a kind that is compiled in, in the order of their numbers.
pub(crate) fn devices(kind: Kind) -> Result<Vec<(Device, Info)>, DeviceError> {
    if kind == Kind::Cpu {
        return Ok(vec![cpu()]);
    }
    // Without a driver, or with a broken one, the libraries below may panic.
    let found = catch_unwind(AssertUnwindSafe(|| {
        let devices = enumerate(kind).into_iter().enumerate();
        devices.map(|(index, device)| info(kind, index, device)).collect()
    }));
    found.map_err(|panic| {
        let said = said(&*panic);
        let reason = said.lines().next().unwrap_or_default().to_string();
        DeviceError::Start { kind, reason }
    })
}

/// The processor.
pub(crate) fn cpu() -> (Device, Info) {
    let Host { processor, cores, .. } = Host::this();
    let device = Device::flex();
    let supports = |dtype| device.supports_dtype(dtype);
    let info = Info {
        name: Name::Device(Kind::Cpu, None),
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
fn enumerate(kind: Kind) -> Vec<Device> {
    use burn::tensor::DeviceType;
    let filter = match kind {
        #[cfg(feature = "wgpu")]
        Kind::Wgpu => DeviceType::Wgpu,
        #[cfg(feature = "vulkan")]
        Kind::Vulkan => DeviceType::Vulkan,
        #[cfg(feature = "metal")]
        Kind::Metal => DeviceType::Metal,
        #[cfg(feature = "cuda")]
        Kind::Cuda => DeviceType::Cuda,
        _ => return Vec::new(),
    };
    Device::enumerate(filter).into_vec()
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn info(kind: Kind, index: usize, device: Device) -> (Device, Info) {
    let identity = device.identity();
    let model = identity.as_ref().map_or_else(|| kind.to_string(), |it| it.name.clone());
    let supports = |dtype| device.supports_dtype(dtype);
    let info = Info {
        name: Name::Device(kind, Some(index)),
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
fn enumerate(_: Kind) -> Vec<Device> {
    Vec::new()
}

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
fn info(_: Kind, _: usize, _: Device) -> (Device, Info) {
    unreachable!("nothing but the processor was enumerated")
}
