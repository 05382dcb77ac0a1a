//! The choice of a split between the stream and the MLPs, if a size is asked for.

use slicegpt_calibrate::{Directions, Orientation};
use slicegpt_core::TokenBatch;
use slicegpt_slice::{Profile, Split, Trial, search};

use crate::computing::{Batches, Computing, rows_of};
use crate::error::Result;
use crate::shared::Shared;
use crate::{PlanError, SplitSearch, Tables};

/// Splits are measured for models of up to this many parameters.
const MEASURED: u64 = 3_000_000_000;

/// The best split, and what was measured.
pub(crate) struct Choice {
    pub split: Split,
    /// All that were measured, the best first; empty where there was no choice or nothing was
    /// measured.
    pub tried: Vec<Trial>,
}

/// Chooses among the splits of the cut, from the statistics of the dense model and its calibration
/// tokens.
pub(crate) fn choose<D: Tables>(
    pass: &Shared<'_, D>,
    (profile, directions): (&Profile, &Directions),
    tokens: &TokenBatch,
    judge: SplitSearch,
    computing: &Computing<'_>,
) -> Result<Choice> {
    let splits = &pass.cut.splits;
    let [count, _] = tokens.shape();
    let predicted = match judge {
        // Nothing can be held out of one sequence.
        SplitSearch::Auto => pass.dimensions.dense_parameters() > MEASURED || count < 2,
        SplitSearch::Measured => false,
        SplitSearch::Predicted => true,
    };
    if let [split] = splits.as_slice() {
        return Ok(Choice { split: *split, tried: Vec::new() });
    }
    if predicted {
        let predict = |split: &Split| {
            profile.predict(directions, split.width, &pass.channels(profile, *split))
        };
        let losses: Vec<f64> = splits.iter().map(predict).collect();
        let best = splits.iter().zip(losses).min_by(|(_, a), (_, b)| a.total_cmp(b));
        let (split, _) = best.expect("a size that no split has was refused");
        return Ok(Choice { split: *split, tried: Vec::new() });
    }
    let device = pass.dense.decoder.device();
    let [fitted, held_out] = parts(tokens, splits.len())?;
    let Batches { batches, lanes } = computing.batches(&fitted, &device);
    let held_out = computing.batches(&held_out, &device).batches;
    let measure = |split| {
        let frame = pass.frame(profile, directions, split, &mut Orientation::Pca)?;
        let settings = computing.settings(&lanes, pass.dense.observer)?;
        let Some(found) = pass.measure(&frame, &batches, &held_out, settings)? else {
            // A split whose logits are not finite is no candidate.
            return Ok(f64::INFINITY);
        };
        pass.dense.observer.note(&format!(
            "stream {}, MLP {}: KL {:.5} +- {:.5} nats per token",
            split.width, split.intermediate, found.mean, found.standard_error
        ));
        Result::Ok(found.mean)
    };
    let tried = pass.dense.clock.search(|| search(splits, measure))?;
    Ok(Choice { split: tried[0].split, tried })
}

/// The least number of tokens used to measure a split, if there are as many.
const MIN_TOKENS: usize = 8192;

/// About how many splits are measured in one search.
const SPLITS: usize = 8;

/// The sequences that splits are fitted on, and the held-out ones that they are judged by: a
/// quarter of the total. The total is chosen so that the search takes about as long as the
/// compression itself.
fn parts(tokens: &TokenBatch, candidates: usize) -> Result<[TokenBatch; 2]> {
    let [count, seqlen] = tokens.shape();
    if count < 2 {
        return Err(PlanError::OneSequence.into());
    }
    let share = count / candidates.min(SPLITS);
    let some = share.max(MIN_TOKENS / seqlen).clamp(2, count);
    let held_out = (some / 4).max(1);
    let middle = some - held_out;
    Ok([rows_of(tokens, 0, middle, seqlen), rows_of(tokens, middle, some, seqlen)])
}
