//! [`DeviceName`]: a device by name.

use std::fmt;
use std::str::FromStr;

use crate::DeviceError;

/// A device by name, as users type it: `cpu`, `cuda:1`, `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceName {
    /// The best device of this machine.
    Auto,
    /// Device `i` of a backend, or any device of the backend.
    Device(BackendKind, Option<usize>),
}

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

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown { given: text.into() };
        if text == "auto" {
            return Ok(DeviceName::Auto);
        }
        let (kind, index) = match text.split_once(':') {
            Some((kind, index)) => (kind, Some(index.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let kind = BackendKind::ALL.into_iter().find(|known| known.name() == kind);
        Ok(DeviceName::Device(kind.ok_or_else(unknown)?, index))
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceName::Auto => f.write_str("auto"),
            DeviceName::Device(kind, None) => kind.fmt(f),
            DeviceName::Device(kind, Some(index)) => write!(f, "{kind}:{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (text, name) in [
            ("auto", DeviceName::Auto),
            ("cpu", DeviceName::Device(BackendKind::Cpu, None)),
            ("wgpu", DeviceName::Device(BackendKind::Wgpu, None)),
            ("vulkan:0", DeviceName::Device(BackendKind::Vulkan, Some(0))),
            ("metal:1", DeviceName::Device(BackendKind::Metal, Some(1))),
            ("cuda:12", DeviceName::Device(BackendKind::Cuda, Some(12))),
        ] {
            assert_eq!(text.parse::<DeviceName>().unwrap(), name);
            assert_eq!(name.to_string(), text);
        }
        for text in ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:x", "auto:0", ":1", "wgpu:0:1"] {
            let error = text.parse::<DeviceName>().unwrap_err().to_string();
            assert!(error.contains("vulkan[:i]"), "{error}");
        }
    }
}
