//! [`Stream`]: the calibration signal at one cut, carried from sublayer to sublayer.

use burn::tensor::Tensor;
use slicegpt_calibrate::{Covariance, NotFinite, Orientation, Spectrum, principal};
use slicegpt_core::Basis;

/// Some sequences of the calibration signal.
#[derive(Clone, Debug)]
pub struct Batch<C> {
    /// `[batch, tokens, width]`.
    pub signal: Tensor<3>,
    /// What blocks need beside the signal.
    pub context: C,
    /// Row-major, `[batch, tokens]`, `false` on padding; `None` if all tokens count.
    pub keep: Option<Vec<bool>>,
}

/// The calibration signal at one cut, in the coordinates of a basis.
pub struct Stream<C> {
    pub(crate) batches: Vec<Batch<C>>,
    pub(crate) basis: Basis,
}

impl<C> Stream<C> {
    /// Finds the `rank` principal directions of full-width `batches` and moves them there.
    ///
    /// # Errors
    ///
    /// If a signal is not finite.
    ///
    /// # Panics
    ///
    /// If there is no batch, or `rank` is 0 or above the width.
    pub fn project(
        mut batches: Vec<Batch<C>>,
        rank: usize,
        orientation: &mut Orientation,
    ) -> Result<(Self, Spectrum), NotFinite> {
        let [_, _, width] = batches.first().expect("at least one batch").signal.dims();
        let mut covariance = Covariance::new(width);
        for Batch { signal, keep, .. } in &batches {
            covariance.add(signal.clone(), keep.as_deref());
        }
        let (basis, spectrum) = principal(&covariance, rank, orientation)?;
        if basis.is_identity() {
            return Ok((Self { batches, basis }, spectrum));
        }
        let signal = &batches[0].signal;
        let columns = basis.to(&signal.device(), signal.dtype());
        for batch in &mut batches {
            batch.signal.inplace(|y| burn::tensor::module::linear(y, columns.clone(), None));
        }
        Ok((Self { batches, basis }, spectrum))
    }

    /// The basis it is in.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// The batches, in the coordinates of the basis.
    pub fn batches(&self) -> &[Batch<C>] {
        &self.batches
    }
}
