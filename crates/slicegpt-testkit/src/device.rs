//! The device that a run of the tests is about.

use burn::tensor::Device;
use slicegpt_device::DeviceName;

/// The device that the environment variable `SLICEGPT_DEVICE` names; the processor if it is not set.
/// One suite of tests runs on every device.
///
/// # Panics
///
/// If there is no such device: a suite that was asked for must not pass by running elsewhere.
pub fn device() -> Device {
    let name = std::env::var("SLICEGPT_DEVICE").unwrap_or_else(|_| "cpu".into());
    let opened = name.parse::<DeviceName>().and_then(slicegpt_device::open);
    opened.unwrap_or_else(|error| panic!("SLICEGPT_DEVICE: {error}")).device
}
