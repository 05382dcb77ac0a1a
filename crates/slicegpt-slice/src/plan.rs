//! [`Schedule`]: from a sparsity to a width at every cut.

use slicegpt_core::{Widths, WidthsError};

/// How wide to keep the stream, as a user specifies it.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Sparsity `start` at the first block and `end` at the last, linear in the index of the block.
    /// The embedding is cut like the first block. `start == end` is the paper's constant sparsity.
    Linear {
        /// The fraction to cut at the first block, in `[0, 1)`.
        start: f64,
        /// The fraction to cut at the last block, in `[0, 1)`.
        end: f64,
        /// Widths are rounded down to a multiple of this.
        round_to: usize,
        /// Whether the last cut, which the head reads, is cut too.
        slice_head: bool,
    },
    /// A width for every cut.
    Widths(Vec<usize>),
}

/// Why a schedule gives no widths.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The sparsity is not a fraction.
    #[error("sparsity {0} is not in [0, 1): it is the fraction of the stream to cut")]
    Sparsity(f64),
    /// Widths cannot be multiples of 0.
    #[error("round-to is 0: it must be at least 1")]
    RoundTo,
    /// No direction would be kept.
    #[error(
        "sparsity {sparsity} of {hidden_size}, rounded down to a multiple of {round_to}, keeps \
         nothing; lower the sparsity or the multiple"
    )]
    Nothing {
        /// The fraction to cut.
        sparsity: f64,
        /// The width of the stream before slicing.
        hidden_size: usize,
        /// Widths are multiples of this.
        round_to: usize,
    },
    /// The list does not fit the model.
    #[error(transparent)]
    Widths(#[from] WidthsError),
}

impl Schedule {
    /// The widths for a model of `blocks` blocks with `sublayers` sublayers each, and a stream of
    /// width `hidden_size`:
    ///
    /// `d = floor((1 - sparsity) * hidden_size)`, rounded down to a multiple of `round_to`.
    ///
    /// # Errors
    ///
    /// See [`PlanError`].
    pub fn widths(
        &self,
        hidden_size: usize,
        blocks: usize,
        sublayers: usize,
    ) -> Result<Widths, PlanError> {
        let cuts = 1 + blocks * sublayers;
        let widths = match self {
            Self::Widths(widths) => widths.clone(),
            Self::Linear { start, end, round_to, slice_head } => {
                for sparsity in [*start, *end] {
                    if !(0.0..1.0).contains(&sparsity) {
                        return Err(PlanError::Sparsity(sparsity));
                    }
                }
                if *round_to == 0 {
                    return Err(PlanError::RoundTo);
                }
                // The width that the sublayers of block `block` read.
                let kept = |block: usize| {
                    let depth_fraction = block as f64 / (blocks - 1).max(1) as f64;
                    let sparsity = start + (end - start) * depth_fraction;
                    let exact = (1.0 - sparsity) * hidden_size as f64;
                    // A sparsity such as 0.3 is not a binary fraction: 0.7 * 10 must not become 6.
                    let width = (exact + 1e-9).floor() as usize;
                    let width = width - width % round_to;
                    // With sparsity 0 nothing is cut, even if the width is not a multiple.
                    let width = if sparsity == 0.0 { hidden_size } else { width };
                    match width {
                        0 => Err(PlanError::Nothing { sparsity, hidden_size, round_to: *round_to }),
                        width => Ok(width),
                    }
                };
                let mut widths = Vec::with_capacity(cuts);
                for block in 0..blocks {
                    widths.extend(std::iter::repeat_n(kept(block)?, sublayers));
                }
                widths.push(if *slice_head { kept(blocks - 1)? } else { hidden_size });
                widths
            }
        };
        Ok(Widths::new(widths, cuts, hidden_size)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(start: f64, end: f64, round_to: usize, slice_head: bool) -> Schedule {
        Schedule::Linear { start, end, round_to, slice_head }
    }

    #[test]
    fn schedules_give_the_expected_widths() {
        for (schedule, hidden, blocks, sublayers, expected) in [
            (linear(0.25, 0.25, 8, false), 64, 2, 2, vec![48, 48, 48, 48, 64]),
            (linear(0.25, 0.25, 8, true), 64, 2, 1, vec![48, 48, 48]),
            (linear(0.0, 0.0, 8, false), 60, 1, 2, vec![60, 60, 60]),
            (linear(0.3, 0.3, 1, true), 10, 1, 1, vec![7, 7]),
            // The schedule of the reference for three layers of 64, from 10 % to 30 %.
            (linear(0.1, 0.3, 1, false), 64, 3, 2, vec![57, 57, 51, 51, 44, 44, 64]),
            (linear(0.1, 0.3, 8, true), 64, 3, 2, vec![56, 56, 48, 48, 40, 40, 40]),
            (Schedule::Widths(vec![3, 4]), 4, 1, 1, vec![3, 4]),
        ] {
            let widths = schedule.widths(hidden, blocks, sublayers).unwrap();
            assert_eq!(widths.as_slice(), expected, "{schedule:?}");
        }
    }

    #[test]
    fn impossible_schedules_are_errors_with_a_reason() {
        for (schedule, words) in [
            (linear(1.0, 1.0, 8, false), "not in [0, 1)"),
            (linear(-0.1, 0.2, 8, false), "not in [0, 1)"),
            (linear(0.2, f64::NAN, 8, false), "not in [0, 1)"),
            (linear(0.99, 0.99, 8, false), "keeps nothing"),
            (linear(0.2, 0.2, 0, false), "round-to is 0"),
            (Schedule::Widths(vec![3]), "1 widths given, but the model has 3 cuts"),
            (Schedule::Widths(vec![3, 0, 4]), "width 0 at cut 1"),
            (Schedule::Widths(vec![3, 5, 4]), "width 5 at cut 1"),
        ] {
            let error = schedule.widths(4, 1, 2).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
