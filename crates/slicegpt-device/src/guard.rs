//! [`guard`]: turns panics of Burn about a device into errors.
//!
//! Burn 0.22 has no typed errors for failures of a device. Where data is read back, `try_into_data`
//! returns an `ExecutionError`, which is a message too; allocations and kernel launches panic.
//! Failures are therefore recognised by the words of the message.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::DeviceError;

/// Runs `work`, which uses a device, and turns a panic about the device (memory full, device lost)
/// into an error. Any other panic is a bug and is resumed.
///
/// # Errors
///
/// [`DeviceError::OutOfMemory`] or [`DeviceError::Failed`].
pub fn guard<T>(work: impl FnOnce() -> T) -> Result<T, DeviceError> {
    // State that `work` was changing when it panicked is dropped with it.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| match recognise(&panic_message(&*panic)) {
        Some(error) => error,
        None => resume_unwind(panic),
    })
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// The error that a message of cubecl, wgpu or a driver describes.
fn recognise(message: &str) -> Option<DeviceError> {
    let lower = message.to_lowercase();
    let memory = ["out of device memory", "outofmemory", "out of memory", "out-of-memory"];
    let large = ["can't allocate buffer", "buffertoobig", "buffer size", "max_buffer_size"];
    if memory.iter().chain(&large).any(|words| lower.contains(words)) {
        return Some(DeviceError::OutOfMemory { bytes: bytes_in(&lower) });
    }
    let lost = [
        "device lost",
        "devicelost",
        "device is lost",
        "poisoned during",
        "devicepoisoned",
        "device was poisoned",
        "an error happened during launch",
        "compilation error",
        "too many resources",
        "wgpu error",
        "cuda_error",
        "drivererror",
        "executionerror",
        "servererror",
        "launcherror",
        "unable to read",
        "can't read",
        "failed to read tensor data",
    ];
    let reason = || message.lines().next().unwrap_or_default().trim().to_string();
    lost.iter().any(|words| lower.contains(words)).then(|| DeviceError::Failed { reason: reason() })
}

/// The number of bytes in a message, after `allocating` or `size`.
fn bytes_in(message: &str) -> Option<u64> {
    let number = |text: &str| -> Option<u64> {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let after = |words: &str| number(message.split_once(words)?.1.trim_start());
    after("allocating ").or_else(|| after("size: ")).or_else(|| after("size "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_burn_are_recognised() {
        for (message, error) in [
            (
                "out of device memory allocating 123456 bytes\nbacktrace",
                DeviceError::OutOfMemory { bytes: Some(123_456) },
            ),
            (
                "called `Result::unwrap()` on an `Err` value: can't allocate buffer of size: 99",
                DeviceError::OutOfMemory { bytes: Some(99) },
            ),
            (
                "wgpu error: Validation Error\n\nBuffer size 8 is greater than the maximum 4",
                DeviceError::OutOfMemory { bytes: Some(8) },
            ),
            (
                "Device lost: driver gone\nmore",
                DeviceError::Failed { reason: "Device lost: driver gone".into() },
            ),
        ] {
            let found = guard(|| -> () { panic!("{message}") });
            assert_eq!(found.unwrap_err(), error);
        }
        assert_eq!(guard(|| 7), Ok(7));
    }

    #[test]
    fn a_bug_stays_a_panic() {
        let bug = catch_unwind(|| guard(|| -> () { panic!("index out of bounds") }));
        assert!(panic_message(&*bug.unwrap_err()).contains("out of bounds"));
    }
}
