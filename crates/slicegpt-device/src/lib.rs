//! Devices by name: `cpu`, `wgpu[:i]`, `vulkan[:i]`, `metal[:i]`, `cuda[:i]`, `auto`.
//!
//! Start from [`open`], which takes a [`DeviceName`] and returns a [`burn::tensor::Device`] with
//! its properties, or an error. [`backends`] lists the backends that the program was compiled with
//! and the devices of the machine. Burn panics if a device is lost or its memory is full; [`guard`]
//! turns such a panic into an error.
//!
//! ```
//! let opened = slicegpt_device::open("cpu".parse()?)?;
//! assert!(opened.info.float64);
//! # Ok::<(), slicegpt_device::DeviceError>(())
//! ```
//!
//! This crate knows nothing about models, the contents of tensors, files or the command line. It is
//! the only library with features for backends, so that programs, benchmarks and tests choose
//! devices in the same way.

mod backend;
mod driver;
mod error;
mod guard;
mod host;
mod kind;
mod memory;
mod name;

pub use backend::{Backend, DeviceInfo, backends};
pub use driver::driver;
pub use error::DeviceError;
pub use guard::guard;
pub use host::Host;
pub use kind::BackendKind;
pub use memory::host_memory_bytes;
pub use name::DeviceName;

use burn::tensor::Device;

/// An open device, and its properties.
#[derive(Clone, Debug)]
pub struct OpenDevice {
    /// The device, for Burn.
    pub device: Device,
    /// Its properties.
    pub info: DeviceInfo,
}

impl OpenDevice {
    /// The CPU, which always exists.
    pub fn cpu() -> Self {
        let (device, info) = backend::cpu();
        Self { device, info }
    }
}

/// Silences graphics libraries on a machine without a screen: Mesa warns on stderr if
/// `XDG_RUNTIME_DIR` is not set.
///
/// # Safety
///
/// Call it before the program starts a thread, because it may set an environment variable.
pub unsafe fn quiet_without_screen() {
    let variable = "XDG_RUNTIME_DIR";
    if cfg!(all(feature = "wgpu", target_os = "linux")) && std::env::var_os(variable).is_none() {
        // SAFETY: the caller guarantees that no other thread exists.
        unsafe { std::env::set_var(variable, std::env::temp_dir()) };
    }
}

/// Opens the device `name`. [`DeviceName::Auto`] takes the first hardware device of CUDA, Metal,
/// Vulkan and wgpu, of those backends that are compiled in, and otherwise the CPU. It never takes a
/// software rasteriser.
///
/// # Errors
///
/// If the backend is not compiled in, the machine has no such device, or it cannot be started.
pub fn open(name: DeviceName) -> Result<OpenDevice, DeviceError> {
    match name {
        DeviceName::Auto => {
            let found = BackendKind::BEST_FIRST
                .into_iter()
                .filter(|kind| kind.is_compiled())
                .find_map(|kind| {
                    backend::devices(kind).ok()?.into_iter().find(|(_, info)| !info.software)
                });
            Ok(found.map_or_else(OpenDevice::cpu, |(device, info)| OpenDevice { device, info }))
        }
        DeviceName::Device(BackendKind::Cpu, None | Some(0)) => Ok(OpenDevice::cpu()),
        DeviceName::Device(kind, index) => {
            if !kind.is_compiled() {
                return Err(DeviceError::NotCompiled { kind });
            }
            let mut devices = backend::devices(kind)?;
            let found = devices.len();
            // Without a number, the first hardware device, or else the first device.
            let hardware = devices.iter().position(|(_, info)| !info.software).unwrap_or(0);
            let index = index.unwrap_or(hardware);
            if let Some(library) = driver::missing_library(kind) {
                return Err(DeviceError::Library { kind, library: library.into() });
            }
            if index >= found {
                return Err(DeviceError::Absent { kind, index, found });
            }
            let (device, info) = devices.swap_remove(index);
            Ok(OpenDevice { device, info })
        }
    }
}
