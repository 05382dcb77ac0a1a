//! What a [`PairedPass`] has found, for the head and for reports.

use burn::tensor::Tensor;
use slicegpt_calibrate::{AnalysisError, Moments};
use slicegpt_core::{Basis, Norm};

use super::PairedPass;
use crate::error::SliceError;
use crate::stages::{Stages, timed};

impl<C: Sync> PairedPass<C> {
    /// The basis of the sliced stream.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// Moments of the normalised sliced stream on the normalised dense one, at the current cut.
    /// After the last block they are what a refit of the head needs. `norm` is the bare norm of the
    /// decoder.
    ///
    /// # Errors
    ///
    /// If a signal is not finite or cannot be stored.
    pub fn moments(&mut self, norm: &Norm) -> Result<&Moments, SliceError> {
        if self.here.is_none() {
            let mut here = Moments::new(self.basis.rank(), self.basis.hidden_size());
            for number in 0..self.streams.len() {
                let [dense, sliced] = self.streams.take(number)?;
                let [x, y] = [&sliced, &dense].map(|stream| norm.forward(stream.clone()));
                let keep = self.streams.batch(number).1.map(<[bool]>::to_vec);
                timed(&mut self.streams.stages.gram, || here.add(x, y, None, keep.as_deref()));
                self.streams.put_back(number, [dense, sliced])?;
            }
            if here.sums().is_err() {
                let error = AnalysisError::ActivationsNotFinite;
                return Err(SliceError::signal(self.place, error));
            }
            self.here = Some(here);
        }
        Ok(self.here.as_ref().expect("it was just computed"))
    }

    /// The error of the refits on held-out tokens divided by that on the fitted tokens, the mean
    /// over the sublayers so far. About 1 if the fits hold for other text too. `None` without
    /// [`Refit::HeldOut`](crate::Refit::HeldOut), or if nothing was held out.
    pub fn held_out_ratio(&self) -> Option<f64> {
        let count = self.ratios.len();
        (count > 0).then(|| self.ratios.iter().sum::<f64>() / count as f64)
    }

    /// Where the time was spent.
    pub fn stages(&self) -> Stages {
        self.streams.stages
    }

    /// Takes the dense and the sliced stream of batch `number`.
    ///
    /// # Errors
    ///
    /// If they cannot be read from where they are stored.
    pub fn take(&mut self, number: usize) -> Result<[Tensor<3>; 2], SliceError> {
        self.streams.take(number)
    }
}
