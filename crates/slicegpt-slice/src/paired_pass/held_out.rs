//! A sublayer of [`PairedPass::block`] with [`Refit::HeldOut`](crate::Refit::HeldOut): the channels
//! that stay are chosen by the sums that also fit the writers.

use burn::tensor::Tensor;
use slicegpt_calibrate::RidgeError;
use slicegpt_core::{Block, SublayerMut, write_in};

use super::{Dense, PairedPass, inputs};
use crate::channels::inverse_rms;
use crate::error::{Place, SliceError};
use crate::linears::{cast, restore};
use crate::refit::Parts;
use crate::stages::timed;

impl<C: Sync> PairedPass<C> {
    /// Cuts the sublayer at `place` of `sliced` to `counts` channels, by group, and fits its
    /// writers.
    pub(super) fn choose<B: Block<Context = C>>(
        &mut self,
        dense: &mut B,
        sliced: &mut B,
        place: Place,
        counts: &[usize],
    ) -> Result<(), SliceError> {
        let (index, written) = (place.sublayer, self.place);
        self.fit_readers(dense, sliced, place)?;
        let Self { streams, compute, basis, matrix, projection, fitted, .. } = self;
        let SublayerMut { writers, .. } = sliced.sublayer_mut(index);
        timed(&mut streams.stages.edit, || {
            writers.into_iter().for_each(|writer| write_in(writer, matrix));
        });
        let originals = cast(sliced, index, *compute);
        let mut sums = Parts::new(inputs(sliced, index), basis.rank());
        let feed = |[x, z]: [Tensor<3>; 2], context: &C| {
            let normed = sliced.normed(index, z.clone());
            let inputs = sliced.writer_inputs(index, normed, context);
            let y = dense.step(index, x, context);
            let target = projection.apply(y.clone()) - z.clone();
            let weights = inverse_rms(&y);
            ([y, z], [Tensor::cat(inputs, 2), target, weights])
        };
        let mut batches = fitted.iter();
        streams.each(place, feed, |signals, keep| {
            sums.add(signals, keep, *batches.next().expect("one number for each batch"));
        })?;
        restore(sliced, index, originals);
        let cut = timed(&mut streams.stages.edit, || sums.cut(sliced, index, counts));
        cut.map_err(|error| match error {
            // What is not finite here was written by the sublayer before, unless that was checked.
            RidgeError::Analysis(source) if self.here.is_none() => {
                SliceError::signal(written, source)
            }
            error => place.refit(error),
        })?;
        self.step(dense, sliced, place, Dense::After)
    }
}
