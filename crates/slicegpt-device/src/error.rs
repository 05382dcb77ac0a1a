//! Why a device cannot be used.

use crate::Kind;

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No device is called that.
    #[error("unknown device `{given}`: use cpu, wgpu[:i], vulkan[:i], metal[:i], cuda[:i] or auto")]
    Unknown {
        /// What was typed.
        given: String,
    },
    /// The backend is not in this binary.
    #[error(
        "device {kind}: this slicegpt was built without it; build it with `cargo install --path \
         crates/slicegpt-cli --features {kind}`, or use --device cpu"
    )]
    NotCompiled {
        /// What is missing.
        kind: Kind,
    },
    /// The machine has no such device.
    #[error(
        "device {kind}:{index}: {}; `slicegpt devices` lists what there is",
        none_or_some(*.kind, *.found)
    )]
    Absent {
        /// Through what.
        kind: Kind,
        /// Which one.
        index: usize,
        /// How many there are.
        found: usize,
    },
    /// A library that its driver brings cannot be loaded.
    #[error(
        "device {kind}: the library {library} cannot be loaded; install the driver that brings it, \
         or name its folder in LD_LIBRARY_PATH"
    )]
    Library {
        /// Through what.
        kind: Kind,
        /// Its file name.
        library: String,
    },
    /// Burn could not start it.
    #[error("device {kind} cannot be started: {reason}")]
    Start {
        /// Through what.
        kind: Kind,
        /// What Burn said.
        reason: String,
    },
    /// Its memory is full.
    #[error("out of memory on the device{}", asked(*.bytes))]
    OutOfMemory {
        /// What was asked for, in bytes, if it is known.
        bytes: Option<u64>,
    },
    /// It does not answer any more, or cannot do what was asked of it.
    #[error("the device failed: {reason}")]
    Failed {
        /// What Burn said.
        reason: String,
    },
}

fn none_or_some(kind: Kind, found: usize) -> String {
    match found {
        0 if kind == Kind::Cpu => "there is one processor, cpu".into(),
        0 => "this machine shows none; is its driver installed?".into(),
        1 => "there is one, number 0".into(),
        _ => format!("there are {found}, numbered from 0"),
    }
}

fn asked(bytes: Option<u64>) -> String {
    bytes.map_or(String::new(), |bytes| format!(": {bytes} bytes were asked for"))
}
