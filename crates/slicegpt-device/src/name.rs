//! [`Name`]: a device as a user types it.

use std::fmt;
use std::str::FromStr;

use crate::DeviceError;

/// A device as a user types it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// The best one there is.
    Auto,
    /// Number `i` of a kind, or whichever of the kind.
    Device(Kind, Option<usize>),
}

/// Through what a device is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The processor, with Burn's flex backend.
    Cpu,
    /// WebGPU shaders, on whichever graphics interface the machine has.
    Wgpu,
    /// SPIR-V on Vulkan.
    Vulkan,
    /// MSL on Metal.
    Metal,
    /// NVIDIA's own interface.
    Cuda,
}

impl Kind {
    /// All of them, in the order they are listed.
    pub const ALL: [Kind; 5] = [Kind::Cpu, Kind::Wgpu, Kind::Vulkan, Kind::Metal, Kind::Cuda];

    /// Those that `auto` looks at, the fastest first.
    pub(crate) const BEST_FIRST: [Kind; 4] = [Kind::Cuda, Kind::Metal, Kind::Vulkan, Kind::Wgpu];

    /// Its name, which is that of the Cargo feature too.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Cpu => "cpu",
            Kind::Wgpu => "wgpu",
            Kind::Vulkan => "vulkan",
            Kind::Metal => "metal",
            Kind::Cuda => "cuda",
        }
    }

    /// Whether this binary was built with it.
    pub fn is_compiled(self) -> bool {
        match self {
            Kind::Cpu => true,
            Kind::Wgpu => cfg!(feature = "wgpu"),
            Kind::Vulkan => cfg!(feature = "vulkan"),
            Kind::Metal => cfg!(feature = "metal"),
            Kind::Cuda => cfg!(feature = "cuda"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Name {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown { given: text.into() };
        if text == "auto" {
            return Ok(Name::Auto);
        }
        let (kind, index) = match text.split_once(':') {
            Some((kind, index)) => (kind, Some(index.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let kind = Kind::ALL.into_iter().find(|known| known.name() == kind);
        Ok(Name::Device(kind.ok_or_else(unknown)?, index))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Auto => f.write_str("auto"),
            Name::Device(kind, None) => kind.fmt(f),
            Name::Device(kind, Some(index)) => write!(f, "{kind}:{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, name) in [
            ("auto", Name::Auto),
            ("cpu", Name::Device(Kind::Cpu, None)),
            ("wgpu", Name::Device(Kind::Wgpu, None)),
            ("vulkan:0", Name::Device(Kind::Vulkan, Some(0))),
            ("metal:1", Name::Device(Kind::Metal, Some(1))),
            ("cuda:12", Name::Device(Kind::Cuda, Some(12))),
        ] {
            assert_eq!(text.parse::<Name>().unwrap(), name);
            assert_eq!(name.to_string(), text);
        }
        for text in ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:x", "auto:0", ":1", "wgpu:0:1"] {
            let error = text.parse::<Name>().unwrap_err().to_string();
            assert!(error.contains("vulkan[:i]"), "{error}");
        }
    }
}
