//! [`Moments`]: what a linear regression of one signal on another needs to know, at float64 grade.

mod device;
mod host;

use burn::tensor::{Device, Tensor};
use faer::{Mat, MatRef};
use slicegpt_core::precise::has_own_memory;
use slicegpt_core::{Basis, host_vec};

use crate::NotFinite;
use crate::covariance::rows_on;

/// Sums over kept tokens of `x^T x` and `x^T y`, un-normalised, for inputs `x` and targets `y`; with
/// one more input that is always 1, last, so that sums of each are there too. In float64 on the host.
///
/// Nothing grows with the number of tokens.
pub struct Moments {
    /// `[inputs + 1, inputs + 1]`; above the diagonal undefined.
    gram: Mat<f64>,
    /// `[inputs + 1, targets]`.
    cross: Mat<f64>,
    tokens: u64,
    finite: bool,
    scratch: host::Scratch,
}

impl Moments {
    /// Of nothing yet, for signals of these widths.
    pub fn new(inputs: usize, targets: usize) -> Self {
        Self {
            gram: Mat::zeros(inputs + 1, inputs + 1),
            cross: Mat::zeros(inputs + 1, targets),
            tokens: 0,
            finite: true,
            scratch: host::Scratch::default(),
        }
    }

    /// Adds inputs and their targets, `[batch, tokens, inputs]` and `[batch, tokens, targets]`, each
    /// token times its weight (`[batch, tokens, 1]`; the constant too), leaving out those that `keep`
    /// (row-major, `[batch, tokens]`) says are padding.
    ///
    /// # Panics
    ///
    /// If a width is another than before, or the two have not the same tokens.
    pub fn add(
        &mut self,
        inputs: Tensor<3>,
        targets: Tensor<3>,
        weights: Option<Tensor<3>>,
        keep: Option<&[bool]>,
    ) {
        let [batch, tokens, width] = inputs.dims();
        let [other_batch, other_tokens, target_width] = targets.dims();
        assert_eq!([batch, tokens], [other_batch, other_tokens], "a target for every input");
        assert_eq!(width, self.inputs(), "one regression, one width");
        assert_eq!(target_width, self.cross.ncols(), "one regression, one width");
        let kept = keep.map_or(batch * tokens, |keep| keep.iter().filter(|keep| **keep).count());
        if kept == 0 {
            return;
        }
        self.tokens += kept as u64;
        let rows = |x: Tensor<3>, width| x.reshape([batch * tokens, width]);
        let (x, y) = (rows(inputs, width), rows(targets, target_width));
        let (x, y, constant) = match weights {
            None => (x.clone(), y, x.narrow(1, 0, 1).ones_like()),
            Some(weights) => {
                let weights = rows(weights, 1);
                (x * weights.clone(), y * weights.clone(), weights)
            }
        };
        let Self { gram, cross, scratch, .. } = self;
        if has_own_memory(&x.device()) {
            self.finite &= device::add(gram, cross, [x, y, constant], keep).is_ok();
            return;
        }
        let rows = [x, y, constant].map(host_vec);
        host::add(gram, cross, &rows, keep, scratch);
    }

    /// [`Moments::add`] of row-major values, `[n, inputs]` and `[n, targets]`, computed on `device`.
    ///
    /// # Panics
    ///
    /// If they are not whole rows, as many of each.
    pub fn add_rows(&mut self, inputs: Vec<f32>, targets: Vec<f32>, device: &Device) {
        let inputs = rows_on(inputs, self.inputs(), device);
        let targets = rows_on(targets, self.cross.ncols(), device);
        self.add(inputs, targets, None, None);
    }

    /// The same inputs on targets expressed in `basis`.
    ///
    /// # Panics
    ///
    /// If the targets are not as wide as the basis.
    pub fn project_targets(mut self, basis: &Basis) -> Self {
        let shape = (basis.hidden_size(), basis.rank());
        assert_eq!(self.cross.ncols(), shape.0, "targets at full width");
        if !basis.is_identity() {
            self.cross =
                &self.cross * MatRef::from_row_major_slice(basis.values(), shape.0, shape.1);
        }
        self
    }

    /// The number of inputs, the constant not counted.
    pub fn inputs(&self) -> usize {
        self.gram.nrows() - 1
    }

    /// The number of tokens added.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// `x^T x` with the constant, of which only the lower triangle is defined, and `x^T y`.
    ///
    /// # Errors
    ///
    /// If a token added was not finite.
    pub fn sums(&self) -> Result<[MatRef<'_, f64>; 2], NotFinite> {
        let squares = (0..self.gram.nrows()).map(|i| self.gram[(i, i)]);
        // A target that is not finite stands in its own sum.
        let sums = (0..self.cross.ncols()).map(|j| self.cross[(self.inputs(), j)]);
        match self.finite && squares.chain(sums).all(f64::is_finite) {
            true => Ok([self.gram.as_ref(), self.cross.as_ref()]),
            false => Err(NotFinite),
        }
    }
}
