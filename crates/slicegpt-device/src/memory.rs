//! How much memory there is, on the host and on a device.

use burn::tensor::Device;

use crate::Kind;

/// Memory of this machine that programs may take now, in bytes.
pub fn host_memory_bytes() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    // A container may be given less than the machine has.
    let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
    system.available_memory().min(limit)
}

/// Memory of a device in bytes, where its interface says.
#[cfg_attr(not(any(feature = "wgpu", feature = "cuda")), allow(dead_code))]
pub(crate) fn device_memory_bytes(kind: Kind, index: usize, device: &Device) -> Option<u64> {
    match kind {
        Kind::Cpu => Some(host_memory_bytes()),
        Kind::Cuda => cuda(index),
        // Graphics interfaces say how large a heap is, not to whom it belongs: a software device
        // computes in the memory of the host.
        Kind::Wgpu | Kind::Vulkan | Kind::Metal => graphics(device),
    }
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Option<u64> {
    use cudarc::driver::result;
    result::init().ok()?;
    let device = result::device::get(i32::try_from(index).ok()?).ok()?;
    // SAFETY: the device was just given by the driver.
    let bytes = unsafe { result::device::total_mem(device) };
    bytes.ok().map(|bytes| bytes as u64)
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: usize) -> Option<u64> {
    None
}

fn graphics(_: &Device) -> Option<u64> {
    None
}
