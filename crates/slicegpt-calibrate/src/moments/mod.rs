//! [`Moments`]: the sums that a linear regression of one signal on another needs, to
//! double-precision accuracy.

mod device;
mod host;

use burn::tensor::{Device, Tensor};
use faer::{Mat, MatRef};
use slicegpt_core::precise::has_own_memory;
use slicegpt_core::{Basis, host_vec};

use crate::covariance::rows_on;
use crate::error::NotFinite;
use crate::sum::Sum;

/// Sums over kept tokens of `x^T x` and `x^T y`, un-normalised, for inputs `x` and targets `y`. One
/// more input, the last, is always 1, so that the sums of all inputs and of all targets are
/// included.
///
/// The sums of signals on an accelerator stay there until they are asked for. The size does not
/// depend on the number of tokens. [`Ridge`](crate::Ridge) solves a regression from these sums.
pub struct Moments {
    /// `[inputs + 1, inputs + 1]`; undefined above the diagonal.
    gram: Sum,
    /// `[inputs + 1, targets]`.
    cross: Sum,
    tokens: u64,
    scratch: host::Scratch,
}

impl Moments {
    /// Empty sums, for `inputs` inputs and `targets` targets.
    pub fn new(inputs: usize, targets: usize) -> Self {
        Self {
            gram: Sum::new(inputs + 1, inputs + 1),
            cross: Sum::new(inputs + 1, targets),
            tokens: 0,
            scratch: host::Scratch::default(),
        }
    }

    /// Adds inputs and their targets, `[batch, tokens, inputs]` and `[batch, tokens, targets]`.
    /// Each token, including the constant input, is multiplied by its weight, `[batch, tokens, 1]`.
    /// Tokens for which `keep` (row-major, `[batch, tokens]`) is false are left out.
    ///
    /// # Panics
    ///
    /// If a width differs from that of the sums, or the two do not have the same tokens.
    pub fn add(
        &mut self,
        inputs: Tensor<3>,
        targets: Tensor<3>,
        weights: Option<Tensor<3>>,
        keep: Option<&[bool]>,
    ) {
        let [batch, tokens, width] = inputs.dims();
        let [other_batch, other_tokens, target_width] = targets.dims();
        assert_eq!([batch, tokens], [other_batch, other_tokens], "one target per token");
        assert_eq!(width, self.inputs(), "the number of inputs");
        assert_eq!(target_width, self.cross.columns(), "the number of targets");
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
            device::add(gram.on_device(), cross.on_device(), [x, y, constant], keep);
            return;
        }
        let rows = [x, y, constant].map(host_vec);
        host::add(gram.on_host(), cross.on_host(), &rows, keep, scratch);
    }

    /// Adds row-major values, `[n, inputs]` and `[n, targets]`, as [`Moments::add`] does, computed
    /// on `device`.
    ///
    /// # Panics
    ///
    /// If the values are not whole rows, or the two do not have the same number of rows.
    pub fn add_rows(&mut self, inputs: Vec<f32>, targets: Vec<f32>, device: &Device) {
        let inputs = rows_on(inputs, self.inputs(), device);
        let targets = rows_on(targets, self.cross.columns(), device);
        self.add(inputs, targets, None, None);
    }

    /// The moments of the same inputs on the targets projected onto `basis`.
    ///
    /// # Panics
    ///
    /// If the number of targets is not the hidden size of the basis.
    pub fn project_targets(mut self, basis: &Basis) -> Self {
        let shape = (basis.hidden_size(), basis.rank());
        assert_eq!(self.cross.columns(), shape.0, "targets at full width");
        if !basis.is_identity() {
            let basis = MatRef::from_row_major_slice(basis.values(), shape.0, shape.1);
            self.cross = Sum::from_host(self.cross.get() * basis);
        }
        self
    }

    /// [`Moments::sums`] without a copy where they are on the host.
    ///
    /// # Errors
    ///
    /// If a token that was added is not finite.
    pub fn into_sums(self) -> Result<[Mat<f64>; 2], NotFinite> {
        self.sums()?;
        Ok([self.gram.into_host(), self.cross.into_host()])
    }

    /// The number of inputs, without the constant.
    pub fn inputs(&self) -> usize {
        self.gram.rows() - 1
    }

    /// The number of tokens added.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// `x^T x`, `[inputs + 1, inputs + 1]`, of which only the lower triangle is defined, and `x^T
    /// y`, `[inputs + 1, targets]`. The last row belongs to the constant.
    ///
    /// # Errors
    ///
    /// If a token that was added is not finite.
    pub fn sums(&self) -> Result<[MatRef<'_, f64>; 2], NotFinite> {
        let (gram, cross) = (self.gram.get(), self.cross.get());
        let squares = (0..gram.nrows()).map(|i| gram[(i, i)]);
        // A target that is not finite makes its own sum not finite.
        let sums = (0..cross.ncols()).map(|j| cross[(self.inputs(), j)]);
        if squares.chain(sums).all(f64::is_finite) { Ok([gram, cross]) } else { Err(NotFinite) }
    }
}
