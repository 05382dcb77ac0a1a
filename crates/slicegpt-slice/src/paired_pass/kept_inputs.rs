//! [`KeptInputs`]: inputs of writers, from the sums of a refit to the step after it.

use std::sync::Mutex;

use burn::tensor::Tensor;

/// The inputs of the writers of one sublayer, by batch. A refit needs them for its sums, and the
/// step after it again, unless readers or units changed in between. Nothing is kept where that
/// would take more memory than a stream.
pub(super) struct KeptInputs(Option<Vec<Mutex<Option<Vec<Tensor<3>>>>>>);

/// Inputs of a sublayer that take at most this many numbers are kept, however wide they are.
const SMALL: usize = 1 << 24;

impl KeptInputs {
    /// For signals of `numbers` batches with `tokens` tokens in all. `inputs` is the width of the
    /// inputs together, `width` that of the dense stream.
    pub fn new(numbers: usize, tokens: usize, inputs: usize, width: usize) -> Self {
        let fits = inputs <= width || tokens * inputs <= SMALL;
        Self(fits.then(|| (0..numbers).map(|_| Mutex::default()).collect()))
    }

    /// Keeps nothing.
    pub fn none() -> Self {
        Self(None)
    }

    /// Keeps the inputs of batch `number`.
    pub fn put(&self, number: usize, inputs: &[Tensor<3>]) {
        if let Some(kept) = &self.0 {
            *kept[number].lock().expect("nothing panics while it holds the lock") =
                Some(inputs.to_vec());
        }
    }

    /// Takes the inputs of batch `number`, if they were kept.
    pub fn take(&self, number: usize) -> Option<Vec<Tensor<3>>> {
        let kept = self.0.as_ref()?;
        kept[number].lock().expect("nothing panics while it holds the lock").take()
    }
}
