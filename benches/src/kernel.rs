//! [`Kernel`]: one piece of work, as data. It does not know how long it takes.

use burn::tensor::{DType, Device, Tensor};

use crate::{Checksum, Work};

/// One piece of work on one device.
pub struct Kernel {
    /// What kind of work: `gram`, `eigen`, `fuse`, `slice-block`, `prefill` or `decode`.
    pub group: &'static str,
    /// The variant; empty if there is only one.
    pub name: &'static str,
    /// The sizes, as text.
    pub shape: String,
    /// The number of operations and bytes.
    pub work: Work,
    /// The tolerance between the results of two devices, relative to their norm.
    pub tolerance: f64,
    /// Why this device cannot run it, if that is known in advance.
    pub unavailable: Option<String>,
    pub(crate) prepare: Box<dyn Fn() -> Run>,
}

/// Work that is ready to be done once. It returns when the device has finished.
pub type Run = Box<dyn FnOnce() -> Output>;

/// The result, still on the device. Reading it is not part of the work.
pub type Output = Box<dyn FnOnce() -> Outcome>;

/// The result, read from the device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The checksum, for the comparison with other devices.
    pub checksum: Checksum,
    /// The difference from the result in float64, relative, in the Frobenius norm, if it is
    /// computed.
    pub error: Option<f64>,
}

impl Kernel {
    /// Makes fresh inputs, and everything else that must exist before the clock starts.
    ///
    /// # Panics
    ///
    /// As Burn, if the device cannot hold them: see [`slicegpt_device::guard`].
    pub fn prepare(&self) -> Run {
        (self.prepare)()
    }

    /// The group and the variant.
    pub fn title(&self) -> String {
        match self.name {
            "" => self.group.to_string(),
            name => format!("{} {name}", self.group),
        }
    }
}

impl Outcome {
    /// A result with a checksum only.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        Self { checksum: Checksum::of(values), error: None }
    }
}

/// Waits until everything queued on `device` is done.
///
/// # Panics
///
/// If the device failed.
pub(crate) fn wait(device: &Device) {
    if let Err(error) = device.sync() {
        panic!("execution error: ExecutionError: {error:?}");
    }
}

/// Waits until `tensor` is computed, by reading one number of it: a device may defer work whose
/// result is not read.
pub(crate) fn settle<const D: usize>(tensor: &Tensor<D>) {
    wait(&tensor.device());
    let first = tensor.clone().slice(std::array::from_fn::<_, D, _>(|_| 0..1));
    let _ = first.into_data();
}

/// The values of a tensor, on the host.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    let values = tensor.into_data().convert_dtype(DType::F64).try_into_vec();
    values.expect("it was just made float64")
}
