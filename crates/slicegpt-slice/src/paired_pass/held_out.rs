//! [`Refit::HeldOut`](crate::Refit::HeldOut) in a [`PairedPass`]: units are chosen, and writers
//! fitted with a strength and a target that held-out tokens decide.

use slicegpt_calibrate::RidgeError;
use slicegpt_core::Block;

use super::dense::Dense;
use super::kept_inputs::KeptInputs;
use super::{PairedPass, inputs};
use crate::error::{Place, SliceError};
use crate::refit::Parts;
use crate::stages::timed;

impl<C: Sync> PairedPass<C> {
    /// Cuts the sublayer at `place` of `sliced` to `counts` units, by group, fits its writers, and
    /// carries the dense stream through it, unless that has been done.
    pub(super) fn fit_held_out<B: Block<Context = C>>(
        &mut self,
        (dense, stream): (&B, Dense),
        sliced: &mut B,
        place: Place,
        counts: &[usize],
    ) -> Result<(), SliceError> {
        let index = place.sublayer;
        let width = inputs(sliced, index);
        // Inputs of units that go are of no use to the step.
        let is_whole = units(sliced, index) == counts;
        self.inputs = if is_whole { self.room_for(width) } else { KeptInputs::none() };
        let mut parts = Parts::new(width, self.basis.rank());
        let mut fitted = self.fitted.clone().into_iter();
        self.feed((dense, stream), sliced, place, |signals, keep| {
            parts.add(signals, keep, fitted.next().expect("one number for each batch"));
        })?;
        let cut = || parts.cut(sliced, index, counts);
        let errors = timed(&mut self.streams.stages.edit, cut).map_err(|error| match error {
            // What is not finite here was written by the sublayer before, unless that was checked.
            RidgeError::Analysis(source) if self.here.is_none() => {
                SliceError::signal(self.place, source)
            }
            error => place.refit(error),
        })?;
        self.ratios.extend(errors.map(|errors| errors.ratio()));
        Ok(())
    }
}

/// The number of units in each group of a sublayer.
fn units<B: Block>(block: &B, index: usize) -> Vec<usize> {
    let sublayer = block.sublayer(index);
    block.prunable(index).iter().map(|group| group.count(&sublayer)).collect()
}
