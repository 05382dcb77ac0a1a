//! [`Shelf`]: storage for signals while others are processed.

use std::io;

use burn::tensor::{DType, Device, Tensor, TensorData};
use slicegpt_core::precise::has_own_memory;

/// Stores the data of signals outside a device, by number: in host memory or in a file.
///
/// A number is written many times, always with the same number of bytes, and is read once after
/// each write.
pub trait Shelf {
    /// Stores `data` under `number`.
    ///
    /// # Errors
    ///
    /// If it cannot be stored.
    fn put(&mut self, number: usize, data: TensorData) -> io::Result<()>;

    /// Takes what was last stored under `number`.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn take(&mut self, number: usize) -> io::Result<TensorData>;
}

/// A [`Shelf`] in the memory of the host.
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
        data.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "nothing is stored there"))
    }
}

/// Why a signal was not stored.
pub(crate) enum PutError {
    /// The shelf failed.
    Shelf(io::Error),
    /// A number is outside the range of the type it was to be stored in.
    Overflow,
}

/// Whether a float16 among `data` is an infinity or a NaN: its exponent is all ones.
fn overflowed(data: &TensorData) -> bool {
    let halves = data.as_bytes().chunks_exact(2);
    halves.into_iter().any(|x| u16::from_ne_bytes([x[0], x[1]]) & 0x7c00 == 0x7c00)
}

/// Signals between two sublayers.
pub(crate) enum Signals {
    /// As tensors, on the device that computes them.
    Resident(Vec<Option<Tensor<3>>>),
    /// On a shelf, as `dtype`.
    Shelved { shelf: Box<dyn Shelf>, dtype: DType, device: Device, compute: DType },
}

impl Signals {
    /// No signals yet. They will be stored on `shelf` in its type, or stay on the device.
    pub fn new(shelf: Option<(Box<dyn Shelf>, DType)>, device: &Device, compute: DType) -> Self {
        match shelf {
            None => Self::Resident(Vec::new()),
            Some((shelf, dtype)) => Self::Shelved { shelf, dtype, device: device.clone(), compute },
        }
    }

    /// Whether a signal can be fetched while the device computes. On the CPU both compete for the
    /// same cores, and an additional batch in memory would gain nothing.
    pub fn overlap_with_compute(&self) -> bool {
        match self {
            Self::Resident(_) => false,
            Self::Shelved { device, .. } => has_own_memory(device),
        }
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
            Self::Shelved { shelf, dtype, .. } => {
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
                Ok(Tensor::from_data(data, (&*device, *compute)))
            }
        }
    }
}
