//! Which split between stream and MLPs, where a size is asked for.

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use slicegpt_core::Lanes;
use slicegpt_corpus::Samples;
use slicegpt_slice::{Directions, Orientation, Profile, Settings, Split, Trial, search};

use super::shared::Shared;
use crate::device::Batches;
use crate::progress::note;

/// How splits are judged.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Judge {
    /// Measured up to 3 B parameters, predicted above
    Auto,
    /// Each is cut, refitted on some of the calibration text, and compared with the dense model on the
    /// rest
    Measured,
    /// By the statistics alone
    Predicted,
}

/// Parameters up to which splits are measured.
const MEASURED: usize = 3_000_000_000;

/// The best split, and what was tried.
pub struct Choice {
    /// The best.
    pub split: Split,
    /// All that were measured, the best first; none where there was no choice or nothing was measured.
    pub tried: Vec<Trial>,
}

/// Chooses among `splits` of one size.
pub fn choose(
    pass: &Shared<'_>,
    (profile, directions): (&Profile, &Directions),
    splits: &[Split],
    samples: &Samples,
    judge: Judge,
    settings: impl Fn(&Lanes) -> Result<Settings>,
) -> Result<Choice> {
    let spec = pass.model.spec();
    let predicted = match judge {
        // Nothing can be held out of one sequence.
        Judge::Auto => spec.parameters() > MEASURED || samples.count() < 2,
        Judge::Measured => false,
        Judge::Predicted => true,
    };
    if let [split] = splits {
        return Ok(Choice { split: *split, tried: Vec::new() });
    }
    if predicted {
        let predict = |split: &Split| {
            profile.predict(directions, split.width, &pass.channels(profile, *split))
        };
        let losses: Vec<f64> = splits.iter().map(predict).collect();
        let best = splits.iter().zip(losses).min_by(|(_, a), (_, b)| a.total_cmp(b));
        let (split, _) = best.context("no split to choose from")?;
        return Ok(Choice { split: *split, tried: Vec::new() });
    }
    let (fitted, held_out) = parts(samples, splits.len())?;
    let Batches { batches, lanes, .. } = pass.target.batches(spec, &fitted);
    let held_out = pass.target.batches(spec, &held_out).batches;
    let tried = search(splits, |split| {
        let frame = pass.frame(profile, directions, split, &mut Orientation::Pca)?;
        let Some(found) = pass.measure(&frame, &batches, &held_out, settings(&lanes)?)? else {
            // What cannot be computed is no candidate.
            return Ok(f64::INFINITY);
        };
        note(format!(
            "stream {}, MLP {}: KL {:.5} +- {:.5} nats per token",
            split.width, split.intermediate, found.mean, found.standard_error
        ));
        anyhow::Ok(found.mean)
    })?;
    Ok(Choice { split: tried[0].split, tried })
}

/// Tokens that a split is fitted on, at least, if there are as many.
const ENOUGH: usize = 8192;

/// Splits that are measured in one search, about.
const SPLITS: usize = 8;

/// What splits are fitted on, and what they are judged by: together no more than what makes the search
/// about as long as the compression itself, a quarter of it held out.
fn parts(samples: &Samples, candidates: usize) -> Result<(Samples, Samples)> {
    let count = samples.count();
    if count < 2 {
        bail!(
            "a split between stream and MLPs is measured on calibration sequences that are held out, \
             and there is only one sequence; give --hidden-size and --intermediate-size, more \
             calibration text, or --split-search predicted"
        );
    }
    let share = count / candidates.min(SPLITS);
    let some = share.max(ENOUGH / samples.seqlen()).clamp(2, count);
    let held_out = (some / 4).max(1);
    let all = samples.clone().take(some);
    Ok((all.clone().take(some - held_out), all.skip(some - held_out)))
}
