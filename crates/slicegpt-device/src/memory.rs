//! The memory of the host and of devices.

use crate::BackendKind;

/// Memory of the host that is available now, in bytes.
pub fn host_memory_bytes() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    // A container may have a lower limit.
    let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
    system.available_memory().min(limit)
}

/// Memory of a device in bytes, where its interface reports it.
#[cfg_attr(not(any(feature = "wgpu", feature = "cuda")), allow(dead_code))]
pub(crate) fn device_memory_bytes(kind: BackendKind, index: usize, model: &str) -> Option<u64> {
    match kind {
        BackendKind::Cpu => Some(host_memory_bytes()),
        BackendKind::Cuda => cuda(index),
        BackendKind::Wgpu | BackendKind::Vulkan | BackendKind::Metal => graphics(model),
    }
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Option<u64> {
    use cudarc::driver::result;
    result::init().ok()?;
    let device = result::device::get(i32::try_from(index).ok()?).ok()?;
    // SAFETY: the driver has just returned this device, so that its handle is valid.
    let bytes = unsafe { result::device::total_mem(device) };
    bytes.ok().map(|bytes| bytes as u64)
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: usize) -> Option<u64> {
    None
}

/// The largest heap of the Vulkan device named `model`. No other graphics interface reports memory.
#[cfg(all(feature = "wgpu", any(target_os = "linux", target_os = "windows")))]
fn graphics(model: &str) -> Option<u64> {
    use burn::tensor::wgpu::wgpu;

    let adapter = vulkan_adapter(model)?;
    // SAFETY: the raw handles are used only to query properties, and only while `adapter` and
    // `instance`, which own them, are alive.
    let heaps = unsafe {
        let adapter = adapter.as_hal::<wgpu::hal::api::Vulkan>()?;
        let instance = adapter.shared_instance().raw_instance();
        instance.get_physical_device_memory_properties(adapter.raw_physical_device())
    };
    let heaps = &heaps.memory_heaps[..heaps.memory_heap_count as usize];
    heaps.iter().map(|heap| heap.size).max()
}

/// The Vulkan device named `model`.
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

/// The value of a future that is ready at once, as those of wgpu are on native platforms.
#[cfg(all(feature = "wgpu", any(target_os = "linux", target_os = "windows")))]
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    use std::task::{Context, Poll, Waker};
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
