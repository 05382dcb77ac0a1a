//! [`Shelf`]: where signals wait while others are worked on.

use std::io;

use burn::tensor::{DType, Device, Tensor, TensorData};
use slicegpt_calibrate::NotFinite;

use crate::SliceError;

/// Keeps the data of signals outside a device, by number: in memory, in a file.
///
/// A signal is put again and again under its number, always with as many bytes, and taken once after
/// each time.
pub trait Shelf {
    /// Puts `data` under `number`.
    ///
    /// # Errors
    ///
    /// If it cannot be kept.
    fn put(&mut self, number: usize, data: TensorData) -> io::Result<()>;

    /// Takes what was put under `number` last.
    ///
    /// # Errors
    ///
    /// If it cannot be had back.
    fn take(&mut self, number: usize) -> io::Result<TensorData>;
}

/// A shelf in the memory of the host.
#[derive(Default)]
pub struct Memory(Vec<Option<TensorData>>);

impl Shelf for Memory {
    fn put(&mut self, number: usize, data: TensorData) -> io::Result<()> {
        if self.0.len() <= number {
            self.0.resize_with(number + 1, || None);
        }
        self.0[number] = Some(data);
        Ok(())
    }

    fn take(&mut self, number: usize) -> io::Result<TensorData> {
        let data = self.0.get_mut(number).and_then(Option::take);
        data.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "nothing was put there"))
    }
}

/// Why a signal was not put away.
pub(crate) enum PutError {
    /// The shelf failed.
    Shelf(io::Error),
    /// A number is beyond the type it was to wait in.
    Overflow,
}

/// Whether a float16 among `data` is an infinity or a NaN: its exponent is all ones.
fn overflowed(data: &TensorData) -> bool {
    let halves = data.as_bytes().chunks_exact(2);
    halves.into_iter().any(|x| u16::from_ne_bytes([x[0], x[1]]) & 0x7c00 == 0x7c00)
}

/// Signals, where they wait.
pub(crate) enum Signals {
    /// As tensors, on the device they are computed on.
    Resident(Vec<Option<Tensor<3>>>),
    /// On a shelf, in a type of its own.
    Shelved { shelf: Box<dyn Shelf>, dtype: DType, device: Option<Device>, compute: DType },
}

impl PutError {
    /// As an error of the pass; `at` says where it was.
    pub fn at(self, at: impl FnOnce(NotFinite) -> SliceError) -> SliceError {
        match self {
            Self::Shelf(error) => SliceError::Shelf(error),
            Self::Overflow => at(NotFinite),
        }
    }
}

impl Signals {
    /// Nothing yet, on `shelf` in its type, or on the device.
    pub fn new(shelf: Option<(Box<dyn Shelf>, DType)>, compute: DType) -> Self {
        match shelf {
            None => Self::Resident(Vec::new()),
            Some((shelf, dtype)) => Self::Shelved { shelf, dtype, device: None, compute },
        }
    }

    /// Whether taking one is work that can be done while the device computes.
    pub fn are_elsewhere(&self) -> bool {
        matches!(self, Self::Shelved { .. })
    }

    pub fn put(&mut self, number: usize, signal: Tensor<3>) -> Result<(), PutError> {
        match self {
            Self::Resident(signals) => {
                if signals.len() <= number {
                    signals.resize_with(number + 1, || None);
                }
                signals[number] = Some(signal);
                Ok(())
            }
            Self::Shelved { shelf, dtype, device, .. } => {
                device.get_or_insert_with(|| signal.device());
                let data = signal.into_data_dtype(*dtype);
                if *dtype == DType::F16 && overflowed(&data) {
                    return Err(PutError::Overflow);
                }
                shelf.put(number, data).map_err(PutError::Shelf)
            }
        }
    }

    pub fn take(&mut self, number: usize) -> io::Result<Tensor<3>> {
        match self {
            Self::Resident(signals) => {
                Ok(signals[number].take().expect("a signal is taken once after it was put"))
            }
            Self::Shelved { shelf, device, compute, .. } => {
                let data = shelf.take(number)?.convert_dtype(*compute);
                let device = device.as_ref().expect("a signal was put before");
                Ok(Tensor::from_data(data, (device, *compute)))
            }
        }
    }
}
