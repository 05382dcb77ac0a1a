//! [`DeviceName`]: a device by name.

use std::fmt;
use std::str::FromStr;

use crate::{BackendKind, DeviceError};

/// A device by name, as users type it: `cpu`, `cuda:1`, `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceName {
    /// The best device of this machine.
    Auto,
    /// Device `i` of a backend, or any device of the backend.
    Device(BackendKind, Option<usize>),
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
