//! The driver of a device: its name and version, and the library that is missing.

use crate::backend::DeviceInfo;
use crate::kind::BackendKind;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use crate::name::DeviceName;

/// Name and version of the driver of a device, where its interface reports them.
pub fn driver(info: &DeviceInfo) -> Option<String> {
    match info.name {
        #[cfg(feature = "cuda")]
        DeviceName::Device(BackendKind::Cuda, _) => cuda(),
        #[cfg(all(feature = "wgpu", any(target_os = "linux", target_os = "windows")))]
        DeviceName::Device(BackendKind::Wgpu | BackendKind::Vulkan, _) => {
            let found = crate::memory::vulkan_adapter(&info.model)?.get_info();
            Some(format!("{} {}", found.driver, found.driver_info).trim().to_owned())
        }
        _ => None,
    }
}

/// The newest version of CUDA that the driver supports.
#[cfg(feature = "cuda")]
fn cuda() -> Option<String> {
    // SAFETY: only tries to load the library.
    if !unsafe { cudarc::driver::sys::is_culib_present() } {
        return None;
    }
    let mut version = 0;
    // SAFETY: the pointer is to a local number, which the call writes.
    let status = unsafe { cudarc::driver::sys::cuDriverGetVersion(&raw mut version) };
    let known = status == cudarc::driver::sys::CUresult::CUDA_SUCCESS;
    known.then(|| format!("CUDA {}.{}", version / 1000, version % 1000 / 10))
}

/// The driver's library that cannot be loaded, if that is why a backend has no devices.
pub(crate) fn missing_library(kind: BackendKind) -> Option<&'static str> {
    match kind {
        #[cfg(feature = "cuda")]
        BackendKind::Cuda => {
            // SAFETY: only tries to load the library.
            let present = unsafe { cudarc::driver::sys::is_culib_present() };
            let name = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };
            (!present).then_some(name)
        }
        _ => None,
    }
}
