//! [`PairedPass::block_per_cut`]: a refit with one basis per cut, as in the paper.

use burn::tensor::Tensor;
use slicegpt_calibrate::{Covariance, Moments, Orientation, Spectrum, principal};
use slicegpt_core::precise::PreciseMatrix;
use slicegpt_core::{Block, Fused, Shortcut, SublayerMut, write_in};

use super::dense::{Dense, DenseStep};
use super::{PairedPass, inputs};
use crate::error::{Place, SliceError};
use crate::linears::{cast, restore};
use crate::refit::refit_writers;
use crate::stages::timed;
use crate::stream::Projection;
use crate::units::inverse_rms;

/// A sublayer whose output has been analysed. The pass has already changed to the basis after it;
/// its writers have not.
struct Analysed {
    /// The basis before it.
    from: PreciseMatrix,
    /// Moments of the inputs of its writers on their targets, in the basis after it.
    moments: Moments,
    /// The spectrum of its output at full width.
    spectrum: Spectrum,
}

impl<C: Sync> PairedPass<C> {
    /// Slices and refits `dense`, block `number` of the model, with one basis per cut: to `widths`
    /// (the width it reads, then the width each sublayer writes). Each basis consists of the
    /// principal directions of what the sliced model writes at that cut, and the shortcuts change
    /// from one basis to the next. Also returns the spectra.
    ///
    /// # Errors
    ///
    /// As [`PairedPass::block`]; if the eigensolver does not converge.
    ///
    /// # Panics
    ///
    /// If `widths` does not have one entry more than the block has sublayers, or does not begin
    /// with the width of the stream.
    pub fn block_per_cut<B: Block<Context = C> + Clone>(
        &mut self,
        dense: Fused<B>,
        number: usize,
        widths: &[usize],
        orientation: &mut Orientation,
    ) -> Result<(B, Vec<Spectrum>), SliceError> {
        let mut dense = dense.into_inner();
        let mut sliced = dense.clone();
        assert_eq!(widths.len(), dense.sublayers() + 1, "one width around every sublayer");
        assert_eq!(widths[0], self.basis.rank(), "the block reads the stream as it is");
        let mut spectra = Vec::new();
        for (index, rank) in widths[1..].iter().enumerate() {
            let place = Place { block: number, sublayer: index };
            self.fit_readers(&mut dense, &mut sliced, place)?;
            let analysed = self.analyse(&dense, &mut sliced, place, (*rank, orientation))?;
            spectra.push(analysed.spectrum);
            let Self { streams, matrix, refit, .. } = self;
            let SublayerMut { mut writers, shortcut, .. } = sliced.sublayer_mut(index);
            let dtype = writers[0].weight.val().dtype();
            let fitted = timed(&mut streams.stages.edit, || {
                *shortcut = Shortcut::between(&analysed.from, matrix, dtype);
                writers.iter_mut().for_each(|writer| write_in(writer, matrix));
                match refit {
                    Some(refit) => refit_writers(&refit.ridge(), &analysed.moments, writers),
                    None => Ok(()),
                }
            });
            fitted.map_err(|error| place.refit(error))?;
            self.step(&dense, &mut sliced, place, Dense::After)?;
        }
        Ok((sliced, spectra))
    }

    /// Runs a sublayer whose readers are final and whose writers write at full width, and changes
    /// to the principal directions of its output.
    fn analyse<B: Block<Context = C>>(
        &mut self,
        dense: &B,
        sliced: &mut B,
        place: Place,
        (rank, orientation): (usize, &mut Orientation),
    ) -> Result<Analysed, SliceError> {
        let index = place.sublayer;
        self.inputs = self.room_for(inputs(sliced, index));
        let Self { streams, compute, arithmetic, basis, inputs: kept, dense: known, .. } = self;
        let device = streams.device().clone();
        let back = Shortcut::back(basis, &device, *compute);
        *sliced.sublayer_mut(index).shortcut = back.clone();
        let originals = cast(sliced, index, *compute);
        let mut covariance = Covariance::new(basis.hidden_size(), *arithmetic);
        let mut moments = Moments::new(inputs(sliced, index), basis.hidden_size());
        let stream = Dense::Before;
        let dense = DenseStep { block: dense, place, stream, known: known.as_deref() };
        let feed = |[x, z]: [Tensor<3>; 2], context: &C, number: usize| {
            let normed = sliced.normed(index, z.clone());
            let inputs = sliced.writer_inputs(index, normed, context);
            kept.put(number, &inputs);
            let written = sliced.write(index, z.clone(), inputs.clone());
            let y = dense.after(x, context, number);
            let target = y.clone() - back.forward(z.clone());
            let weights = inverse_rms(&y);
            ([y, z], (written, [Tensor::cat(inputs, 2), target, weights]))
        };
        streams.each(place, feed, |(written, [inputs, targets, weights]), keep| {
            covariance.add(written, keep);
            moments.add(inputs, targets, Some(weights), keep);
        })?;
        restore(sliced, index, originals);
        let found = timed(&mut streams.stages.eigen, || principal(&covariance, rank, orientation));
        let (next, spectrum) = found.map_err(|error| place.signal(error))?;
        let moments = moments.project_targets(&next);
        let from = std::mem::replace(&mut self.matrix, next.on(&device));
        self.projection = Projection::new(&next, &device, self.compute);
        self.basis = next;
        Ok(Analysed { from, moments, spectrum })
    }
}
