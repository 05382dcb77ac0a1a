//! [`Computing`]: how a calibration is computed, and how its tokens are cut into batches.

use std::io;
use std::sync::Arc;

use burn::tensor::{DType, Device};
use slicegpt_core::precise::has_own_memory;
use slicegpt_core::{Lanes, Observer, TokenBatch};
use slicegpt_slice::{Arithmetic, Settings, Shelf};

use crate::error::{CompressError, Result};

/// How a calibration is computed. The default is float32 on the device of the model, where the
/// signals are also stored, in batches of a size that suits it.
#[derive(Default)]
pub struct Computing<'a> {
    /// How many sequences are run at a time. `None`: [`Batching::on`] the device.
    pub batching: Option<Batching>,
    /// The arithmetic that covariances are summed in. `None`: [`Arithmetic::of`] the device.
    pub arithmetic: Option<Arithmetic>,
    /// The type the model is run in. `None`: float32. Weights are edited, and covariances summed,
    /// to double-precision accuracy in any case.
    pub compute: Option<DType>,
    /// Creates the storage for signals between sublayers, once per pass over the model, and the
    /// type they are stored in. `None`: on the device, as they are.
    pub shelf: Option<(MakeShelf<'a>, DType)>,
}

/// Creates a storage for signals.
pub type MakeShelf<'a> = Box<dyn Fn() -> io::Result<Box<dyn Shelf>> + 'a>;

/// How many sequences are run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Sequences at a time in all lanes.
    pub size: usize,
    /// The largest number of batches that run at the same time; never more than there are cores. 1
    /// for an accelerator, which runs one at a time.
    pub lanes: usize,
}

/// Tokens at a time on each core of a CPU. More take more memory and are not faster.
const TOKENS_PER_CORE: usize = 1024;

/// The largest number of sequences at a time on a CPU, and the number on an accelerator.
const MAX_SEQUENCES: usize = 16;

impl Batching {
    /// The default on `device` for sequences of `seqlen` tokens: on a CPU up to four short
    /// sequences per core, on an accelerator one batch of up to 16, whatever memory it has.
    pub fn on(device: &Device, seqlen: usize) -> Self {
        if has_own_memory(device) {
            return Self { size: MAX_SEQUENCES, lanes: 1 };
        }
        let per_core = (TOKENS_PER_CORE / seqlen.max(1)).clamp(1, 4);
        let size = (per_core * rayon::current_num_threads()).min(MAX_SEQUENCES);
        Self { size, lanes: usize::MAX }
    }

    /// Cuts sequences into batches. On a CPU a batch is shared out among the lanes.
    pub fn batches(&self, tokens: &TokenBatch) -> Batches {
        let [count, seqlen] = tokens.shape();
        let size = self.size.max(1);
        let lanes = Lanes::new(size.min(count).min(self.lanes));
        let per_lane = size.div_ceil(lanes.count());
        let batches = (0..count)
            .step_by(per_lane)
            .map(|first| {
                let end = count.min(first + per_lane);
                let whole: Vec<Row> =
                    (first..end).map(|sequence| Row { sequence, start: 0 }).collect();
                rows(tokens, &whole, seqlen)
            })
            .collect();
        Batches { batches, lanes }
    }
}

/// Sequences, cut into batches.
#[derive(Clone, Debug)]
pub struct Batches {
    /// What one lane runs at a time.
    pub batches: Vec<TokenBatch>,
    /// How many of these run at the same time.
    pub lanes: Lanes,
}

/// A part of a sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub sequence: usize,
    /// The first token.
    pub start: usize,
}

/// Parts of sequences, each of `length` tokens, as sequences of their own.
pub(crate) fn rows(tokens: &TokenBatch, rows: &[Row], length: usize) -> TokenBatch {
    let [_, seqlen] = tokens.shape();
    let ranges = || {
        let first = |row: &Row| row.sequence * seqlen + row.start;
        rows.iter().map(move |row| first(row)..first(row) + length)
    };
    let ids = ranges().flat_map(|range| tokens.ids()[range].iter().copied()).collect();
    let mask =
        tokens.mask().map(|mask| ranges().flat_map(|range| mask[range].iter().copied()).collect());
    TokenBatch::new(ids, mask, length)
}

impl Computing<'_> {
    /// The batches of `tokens`.
    pub(crate) fn batches(&self, tokens: &TokenBatch, device: &Device) -> Batches {
        let [_, seqlen] = tokens.shape();
        self.batching.unwrap_or_else(|| Batching::on(device, seqlen)).batches(tokens)
    }

    /// The settings of one pass over the model.
    pub(crate) fn settings(&self, lanes: &Lanes, observer: &Arc<dyn Observer>) -> Result<Settings> {
        let shelf = self.shelf.as_ref().map(|(make, dtype)| Ok((make()?, *dtype)));
        Ok(Settings {
            arithmetic: self.arithmetic,
            compute: self.compute,
            shelf: shelf.transpose().map_err(CompressError::Shelf)?,
            lanes: lanes.clone(),
            dense: None,
            observer: Arc::clone(observer),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sequence_is_in_one_batch() {
        let ids: Vec<u32> = (0..35).collect();
        let mask = (0..35).map(|i| i != 3).collect();
        let tokens = TokenBatch::new(ids, Some(mask), 5);
        for (size, lanes) in [(1, 1), (3, 1), (3, 2), (16, usize::MAX), (0, 0)] {
            let Batches { batches, lanes } = Batching { size, lanes }.batches(&tokens);
            let ids: Vec<u32> = batches.iter().flat_map(|batch| batch.ids().to_vec()).collect();
            assert_eq!(ids, tokens.ids());
            assert!(batches[0].mask().is_some());
            let full = size.max(1).div_ceil(lanes.count());
            assert!(batches.iter().all(|batch| batch.shape()[0] <= full));
        }
    }
}
