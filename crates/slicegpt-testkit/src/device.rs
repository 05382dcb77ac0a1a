//! The device under test.

use burn::tensor::Device;
use slicegpt_device::DeviceName;

/// The name of the device under test: the environment variable `SLICEGPT_DEVICE`, or `cpu` if it is
/// not set. The same tests run on every device.
pub fn device_name() -> String {
    std::env::var("SLICEGPT_DEVICE").unwrap_or_else(|_| "cpu".into())
}

/// The device that [`device_name`] names.
///
/// # Panics
///
/// If there is no such device. A run that asks for a device must not pass on another one.
pub fn device() -> Device {
    let opened = device_name().parse::<DeviceName>().and_then(slicegpt_device::open);
    opened.unwrap_or_else(|error| panic!("SLICEGPT_DEVICE: {error}")).device
}
