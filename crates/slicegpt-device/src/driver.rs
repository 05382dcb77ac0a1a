//! Which driver a device is reached through, and which library of it is missing.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
use crate::Kind;
use crate::Name;

/// What a device's driver calls itself, with its version, where its interface says.
pub fn driver(name: Name) -> Option<String> {
    match name {
        #[cfg(feature = "cuda")]
        Name::Device(Kind::Cuda, _) => cuda(),
        #[cfg(all(feature = "wgpu", any(target_os = "linux", target_os = "windows")))]
        Name::Device(Kind::Wgpu | Kind::Vulkan, _) => {
            let model = crate::open(name).ok()?.info.model;
            let info = crate::memory::vulkan_adapter(&model)?.get_info();
            Some(format!("{} {}", info.driver, info.driver_info).trim().to_owned())
        }
        _ => None,
    }
}

/// The version of CUDA that the driver speaks.
#[cfg(feature = "cuda")]
fn cuda() -> Option<String> {
    // SAFETY: only tries to load the library.
    if !unsafe { cudarc::driver::sys::is_culib_present() } {
        return None;
    }
    let mut version = 0;
    // SAFETY: writes a number to where the pointer leads.
    let status = unsafe { cudarc::driver::sys::cuDriverGetVersion(&raw mut version) };
    let known = status == cudarc::driver::sys::CUresult::CUDA_SUCCESS;
    known.then(|| format!("CUDA {}.{}", version / 1000, version % 1000 / 10))
}

/// Why a kind of device that is compiled in shows none: the library of its driver that cannot be
/// loaded.
pub(crate) fn missing_library(kind: crate::Kind) -> Option<&'static str> {
    match kind {
        #[cfg(feature = "cuda")]
        crate::Kind::Cuda => {
            // SAFETY: only tries to load the library.
            let present = unsafe { cudarc::driver::sys::is_culib_present() };
            let name = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };
            (!present).then_some(name)
        }
        _ => None,
    }
}
