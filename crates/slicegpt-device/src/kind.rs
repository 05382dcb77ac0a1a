//! [`BackendKind`]: the backends of Burn that devices are reached through.

use std::fmt;

/// A backend of Burn, with the interface it reaches devices through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BackendKind {
    /// The CPU, with Burn's Flex backend.
    Cpu,
    /// WebGPU shaders, on any graphics interface of the machine.
    Wgpu,
    /// SPIR-V shaders on Vulkan.
    Vulkan,
    /// MSL shaders on Metal.
    Metal,
    /// CUDA, for NVIDIA devices.
    Cuda,
}

impl BackendKind {
    /// All backends, in the order in which they are listed.
    pub const ALL: [BackendKind; 5] = [
        BackendKind::Cpu,
        BackendKind::Wgpu,
        BackendKind::Vulkan,
        BackendKind::Metal,
        BackendKind::Cuda,
    ];

    /// The backends that `auto` considers, the fastest first.
    pub(crate) const BEST_FIRST: [BackendKind; 4] =
        [BackendKind::Cuda, BackendKind::Metal, BackendKind::Vulkan, BackendKind::Wgpu];

    /// Its name, which is also that of the Cargo feature.
    pub fn name(self) -> &'static str {
        match self {
            BackendKind::Cpu => "cpu",
            BackendKind::Wgpu => "wgpu",
            BackendKind::Vulkan => "vulkan",
            BackendKind::Metal => "metal",
            BackendKind::Cuda => "cuda",
        }
    }

    /// Whether this program was compiled with it.
    pub fn is_compiled(self) -> bool {
        match self {
            BackendKind::Cpu => true,
            BackendKind::Wgpu => cfg!(feature = "wgpu"),
            BackendKind::Vulkan => cfg!(feature = "vulkan"),
            BackendKind::Metal => cfg!(feature = "metal"),
            BackendKind::Cuda => cfg!(feature = "cuda"),
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
