//! Devices by name: `cpu`, `wgpu[:i]`, `vulkan[:i]`, `metal[:i]`, `cuda[:i]`, `auto`.
//!
//! [`Name`] is what a user types, [`open`] makes a [`burn::tensor::Device`] of it or says why it
//! cannot, [`backends`] lists what this binary was built with and what this machine has. Burn
//! panics where a device is lost or its memory is full; [`guard`] turns that into an error at the
//! border.
//!
//! This crate refuses to know models, tensors' contents and files. It is the one library with
//! backend features, so that the binary, the benches and the tests choose devices in one way.

mod backend;
mod driver;
mod error;
mod guard;
mod host;
mod memory;
mod name;

pub use backend::{Backend, Info, backends};
pub use driver::driver;
pub use error::DeviceError;
pub use guard::guard;
pub use host::Host;
pub use memory::host_memory_bytes;
pub use name::{Kind, Name};

use burn::tensor::Device;

/// A device that was opened, and what it is.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Where tensors live.
    pub device: Device,
    /// What it is, by the name that [`open`] takes.
    pub info: Info,
}

impl Opened {
    /// The processor, which is always there.
    pub fn cpu() -> Self {
        let (device, info) = backend::cpu();
        Self { device, info }
    }
}

/// Keeps graphics libraries quiet on a machine without a screen: Mesa's complains on stderr where
/// `XDG_RUNTIME_DIR` is not set.
///
/// # Safety
///
/// Only before the program has started a thread: it may set an environment variable.
pub unsafe fn quiet_without_screen() {
    let variable = "XDG_RUNTIME_DIR";
    if cfg!(all(feature = "wgpu", target_os = "linux")) && std::env::var_os(variable).is_none() {
        // SAFETY: the caller's, above.
        unsafe { std::env::set_var(variable, std::env::temp_dir()) };
    }
}

/// Opens the device that `name` means. [`Name::Auto`] takes the first hardware device of CUDA,
/// Metal, Vulkan and wgpu that this binary was built for and this machine has, else the processor;
/// a software rasteriser is never chosen by itself.
///
/// # Errors
///
/// If the backend was not compiled in, the machine has no such device, or it cannot be started.
pub fn open(name: Name) -> Result<Opened, DeviceError> {
    match name {
        Name::Auto => {
            let found =
                Kind::BEST_FIRST.into_iter().filter(|kind| kind.is_compiled()).find_map(|kind| {
                    backend::devices(kind).ok()?.into_iter().find(|(_, info)| !info.software)
                });
            Ok(found.map_or_else(Opened::cpu, |(device, info)| Opened { device, info }))
        }
        Name::Device(Kind::Cpu, None | Some(0)) => Ok(Opened::cpu()),
        Name::Device(kind, index) => {
            if !kind.is_compiled() {
                return Err(DeviceError::NotCompiled { kind });
            }
            let mut devices = backend::devices(kind)?;
            let found = devices.len();
            // Without a number, hardware is meant if there is any.
            let hardware = devices.iter().position(|(_, info)| !info.software).unwrap_or(0);
            let index = index.unwrap_or(hardware);
            if let Some(library) = driver::missing_library(kind) {
                return Err(DeviceError::Library { kind, library: library.into() });
            }
            if index >= found {
                return Err(DeviceError::Absent { kind, index, found });
            }
            let (device, info) = devices.swap_remove(index);
            Ok(Opened { device, info })
        }
    }
}
