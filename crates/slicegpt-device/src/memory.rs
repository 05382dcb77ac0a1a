//! How much memory there is, on the host and on a device.

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
pub(crate) fn device_memory_bytes(kind: Kind, index: usize, model: &str) -> Option<u64> {
    match kind {
        Kind::Cpu => Some(host_memory_bytes()),
        Kind::Cuda => cuda(index),
        Kind::Wgpu | Kind::Vulkan | Kind::Metal => graphics(model),
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

/// The largest heap of the Vulkan device that calls itself `model`, which no other graphics interface
/// tells.
#[cfg(all(feature = "wgpu", any(target_os = "linux", target_os = "windows")))]
fn graphics(model: &str) -> Option<u64> {
    use burn::tensor::wgpu::wgpu;

    let adapter = vulkan_adapter(model)?;
    // SAFETY: nothing is done with the handles but to ask for properties, while both live.
    let heaps = unsafe {
        let adapter = adapter.as_hal::<wgpu::hal::api::Vulkan>()?;
        let instance = adapter.shared_instance().raw_instance();
        instance.get_physical_device_memory_properties(adapter.raw_physical_device())
    };
    let heaps = &heaps.memory_heaps[..heaps.memory_heap_count as usize];
    heaps.iter().map(|heap| heap.size).max()
}

/// The Vulkan device that calls itself `model`.
#[cfg(all(feature = "wgpu", any(target_os = "linux", target_os = "windows")))]
pub(crate) fn vulkan_adapter(model: &str) -> Option<burn::tensor::wgpu::wgpu::Adapter> {
    use burn::tensor::wgpu::wgpu;

    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN;
    let instance = wgpu::Instance::new(descriptor);
    let adapters = ready(instance.enumerate_adapters(wgpu::Backends::VULKAN))?;
    adapters.into_iter().find(|adapter| adapter.get_info().name == model)
}

#[cfg(not(all(feature = "wgpu", any(target_os = "linux", target_os = "windows"))))]
fn graphics(_: &str) -> Option<u64> {
    None
}

/// The value of a future that waits for nothing, as those of native graphics do.
#[cfg(all(feature = "wgpu", any(target_os = "linux", target_os = "windows")))]
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    use std::task::{Context, Poll, Waker};
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
