//! Which split between stream and MLPs, where a size is asked for.

use anyhow::{Result, bail};
use slicegpt_core::Lanes;
use slicegpt_corpus::Samples;
use slicegpt_slice::{Directions, Orientation, Settings, Split, Survey, Tried, search};

use super::shared::Shared;
use crate::device::Batches;
use crate::progress::note;

/// The best of `splits`, first, and the others that were measured. A loss that is no number was not
/// measured: there was no choice.
///
/// A split is measured as what it will be: cut and refitted on some of the calibration text, and
/// compared with the dense model on other sequences of it.
pub fn choose(
    pass: &Shared<'_>,
    survey: &Survey,
    directions: &Directions,
    splits: &[Split],
    samples: &Samples,
    settings: impl Fn(&Lanes) -> Result<Settings>,
) -> Result<Vec<Tried>> {
    if let [split] = splits {
        return Ok(vec![Tried { split: *split, loss: f64::NAN }]);
    }
    let (fitted, held_out) = parts(samples, splits.len())?;
    let spec = pass.model.spec();
    let Batches { batches, lanes, .. } = pass.target.batches(spec, &fitted);
    let held_out = pass.target.batches(spec, &held_out).batches;
    search(splits, |split| {
        let frame = pass.frame(survey, directions, split, &mut Orientation::Pca)?;
        let found = pass.measure(&frame, &batches, &held_out, settings(&lanes)?)?;
        note(format!(
            "stream {}, MLP {}: KL {:.5} +- {:.5} nats per token",
            split.width, split.intermediate, found.mean, found.standard_error
        ));
        Ok(found.mean)
    })
}

/// Tokens that a split is fitted on, at least, if there are as many.
const ENOUGH: usize = 8192;

/// What splits are fitted on, and what they are judged by: together no more than what makes the search
/// as long as the compression itself, and a quarter of it held out.
fn parts(samples: &Samples, candidates: usize) -> Result<(Samples, Samples)> {
    let count = samples.count();
    if count < 2 {
        bail!(
            "a split between stream and MLPs is found by holding out some calibration sequences, and \
             there is only one; give --hidden-size and --intermediate-size, or more calibration text"
        );
    }
    let share = count / candidates.min(8);
    let some = share.max(ENOUGH / samples.seqlen()).clamp(2, count);
    let held_out = (some / 4).max(1);
    let all = samples.clone().take(some);
    Ok((all.clone().take(some - held_out), all.skip(some - held_out)))
}
