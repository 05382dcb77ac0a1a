//! [`DeviceError`]: why a device cannot be used.

use crate::BackendKind;

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No device has this name.
    #[error("unknown device `{given}`: use cpu, wgpu[:i], vulkan[:i], metal[:i], cuda[:i] or auto")]
    Unknown {
        /// The name.
        given: String,
    },
    /// The backend was not compiled in.
    #[error("device {kind}: this program was built without it")]
    NotCompiled {
        /// The backend.
        kind: BackendKind,
    },
    /// The machine has no such device.
    #[error("device {kind}:{index}: {}", existing(*.kind, *.found))]
    Absent {
        /// The backend.
        kind: BackendKind,
        /// The number of the device.
        index: usize,
        /// Number of devices of the backend in this machine.
        found: usize,
    },
    /// Burn could not start it.
    #[error("device {kind} cannot be started: {reason}")]
    Start {
        /// The backend.
        kind: BackendKind,
        /// The message of Burn.
        reason: String,
    },
    /// The memory of the device is full.
    #[error("out of memory on the device{}", requested(*.bytes))]
    OutOfMemory {
        /// Size of the allocation in bytes, where known.
        bytes: Option<u64>,
    },
    /// The device was lost, or an operation failed on it.
    #[error("the device failed: {reason}")]
    Failed {
        /// The message of Burn.
        reason: String,
    },
}

fn existing(kind: BackendKind, found: usize) -> String {
    match found {
        0 if kind == BackendKind::Cpu => "there is one CPU, cpu".into(),
        0 => "none found in this machine; is the driver installed?".into(),
        1 => "there is one, number 0".into(),
        _ => format!("there are {found}, numbered from 0"),
    }
}

fn requested(bytes: Option<u64>) -> String {
    bytes.map_or(String::new(), |bytes| format!(": {bytes} bytes were requested"))
}
