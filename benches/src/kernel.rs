//! [`Kernel`]: one piece of work, as data. It refuses to know how long it takes.

use burn::tensor::{DType, Device, Tensor};

use crate::{Checksum, Work};

/// One piece of work on one device.
pub struct Kernel {
    /// What kind of work: `gram`, `eigen`, `fuse`, `slice-block`, `prefill` or `decode`.
    pub group: &'static str,
    /// Which way of doing it; empty where there is one.
    pub name: &'static str,
    /// On what, for a reader.
    pub shape: String,
    /// How much there is to do.
    pub work: Work,
    /// How far results on two devices may lie apart, relative to their norm.
    pub tolerance: f64,
    /// Why this device cannot do it, where that is known beforehand.
    pub unavailable: Option<String>,
    pub(crate) prepare: Box<dyn Fn() -> Run>,
}

/// Work that is ready to be done once. It returns when the device has done it.
pub type Run = Box<dyn FnOnce() -> Output>;

/// What was computed, still on the device: looking at it is not part of the work.
pub type Output = Box<dyn FnOnce() -> Outcome>;

/// What was computed, looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// To compare with other devices.
    pub checksum: Checksum,
    /// The distance from the same in float64, relative in the Frobenius norm, where that is asked.
    pub error: Option<f64>,
}

impl Kernel {
    /// Fresh inputs, and all that must be there before the clock starts.
    ///
    /// # Panics
    ///
    /// What Burn panics with where the device cannot hold them: see [`slicegpt_device::guard`].
    pub fn prepare(&self) -> Run {
        (self.prepare)()
    }

    /// The group, with the way of doing it.
    pub fn title(&self) -> String {
        match self.name {
            "" => self.group.to_string(),
            name => format!("{} {name}", self.group),
        }
    }
}

impl Outcome {
    /// Of which nothing but the checksum is asked.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        Self { checksum: Checksum::of(values), error: None }
    }
}

/// Waits until everything queued on `device` is done.
///
/// # Panics
///
/// If it was not: the device failed.
pub(crate) fn wait(device: &Device) {
    if let Err(error) = device.sync() {
        panic!("execution error: ExecutionError: {error:?}");
    }
}

/// Waits until `tensor` is there, one number of it read: a device may put off what nobody reads.
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
