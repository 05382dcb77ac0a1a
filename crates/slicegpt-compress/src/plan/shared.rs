//! Candidates of a size in one basis: which splits a plan allows, over all free axes.

use slicegpt_core::Axis;
use slicegpt_slice::Schedule;

use super::resolve::{KEEP, ROUND_TO, SLACK};
use super::split::{Grid, first};
use super::{FreeAxes, HeadTying, MlpWidths, Plan, PlanError, SharedCut, Size, Split, field};
use crate::Dimensions;

/// The largest number of numbers of blocks, and of numbers of groups of heads, that are candidates
/// if another axis can make up for the difference.
const COUNTS: usize = 6;

/// The largest number of them if no other axis can.
const MOST_COUNTS: usize = 128;

/// About how many widths of the stream are candidates where blocks or heads are removed.
const COARSE_WIDTHS: usize = 8;

/// The largest number of widths of the stream that are candidates. The widest models known have
/// half as many.
const MOST_WIDTHS: usize = 4096;

impl Plan {
    /// What a plan with one basis means for a decoder.
    pub(super) fn shared(&self, dense: &dyn Dimensions) -> Result<SharedCut, PlanError> {
        let tied = match self.head {
            HeadTying::Auto => dense.is_tied(),
            HeadTying::Tied if !dense.is_tied() => return Err(PlanError::NotTied),
            HeadTying::Tied => true,
            HeadTying::Untied => false,
        };
        let is_free = match self.mlp_widths {
            Some(widths) => widths == MlpWidths::Free,
            None => !dense.is_rms_only(),
        };
        let full = Split {
            layers: dense.blocks(),
            width: dense.hidden_size(),
            heads: dense.widest(Axis::Heads),
            intermediate: dense.widest(Axis::Mlp),
        };
        let count = |split: Split| dense.parameters_of_split(split, tied, is_free);
        for (field, step) in [(field::ALIGN, self.align), (field::ROUND_TO, self.round_to)] {
            if step == Some(0) {
                return Err(PlanError::Zero(field));
            }
        }
        let multiple =
            self.align.unwrap_or_else(|| channel_step(full, dense.dense_parameters(), count));
        let free = is_free.then_some(multiple);
        let one = |split: Split| Ok(SharedCut { splits: vec![split], tied, free });
        let fixed = self.fixed.within(dense, full)?;
        self.check_heads(dense, fixed)?;
        if let Some(Size::Sparsity { start, .. }) = self.size {
            if let Some((field, _)) = self.fixed.fields().into_iter().find(|(_, x)| x.is_some()) {
                return Err(PlanError::Sparsity { field });
            }
            if self.axes.is_some() {
                return Err(PlanError::Sparsity { field: field::AXES });
            }
            let round_to = self.width_step(dense, full.heads);
            let schedule = Schedule::Linear { start, end: start, round_to, slice_head: true };
            return one(Split { width: schedule.widths(full.width, 1, 1)?.head(), ..full });
        }
        if self.size.is_none() && !self.fixed.is_empty() {
            return match self.axes {
                Some(_) => Err(PlanError::AxesWithoutSize),
                None => one(fixed),
            };
        }
        let axes = self.free_axes(FreeAxes::has(dense, full))?;
        let splits = self.candidates(dense, (fixed, axes), multiple, count)?;
        Ok(SharedCut { splits, tied, free })
    }

    /// The axes that may be cut, of those that the decoder has.
    fn free_axes(&self, has: FreeAxes) -> Result<FreeAxes, PlanError> {
        let fixed = self.fixed.fields();
        let asked = self.axes.map(FreeAxes::flags);
        let mut free = [false; 4];
        for (number, axis) in FreeAxes::NAMES.into_iter().enumerate() {
            let (field, size) = fixed[number];
            free[number] = match asked {
                Some(asked) if asked[number] && size.is_some() => {
                    return Err(PlanError::FixedAndFree { field, axis });
                }
                Some(asked) if asked[number] && !has.flags()[number] => {
                    return Err(PlanError::NoAxis { axis, has: has.names() });
                }
                Some(asked) => asked[number],
                None => has.flags()[number] && size.is_none(),
            };
        }
        Ok(FreeAxes::of(free))
    }

    /// The splits of the size asked for, not larger than `largest` and equal to it on axes that are
    /// not free.
    fn candidates(
        &self,
        dense: &dyn Dimensions,
        (largest, axes): (Split, FreeAxes),
        multiple: usize,
        count: impl Fn(Split) -> u64,
    ) -> Result<Vec<Split>, PlanError> {
        let before = dense.dense_parameters();
        let default = (KEEP * before as f64).round() as u64;
        let asked = self.parameters(dense)?.unwrap_or(default);
        let slack = (SLACK * before as f64) as u64;
        // Fewer than these are below the size before anything else is cut.
        let enough = |split: Split| count(split) >= asked.saturating_sub(slack);
        let fine = axes.stream || axes.mlp;
        let layers = counts(axes.layers.then_some(2), largest.layers, fine, |layers| {
            enough(Split { layers, ..largest })
        });
        let heads = counts(axes.heads.then_some(1), largest.heads, fine, |heads| {
            enough(Split { heads, ..largest })
        });
        let corners = || {
            let pairs =
                layers.iter().flat_map(|layers| heads.iter().map(move |heads| (layers, heads)));
            pairs.map(|(layers, heads)| Split { layers: *layers, heads: *heads, ..largest })
        };
        let grids = corners().map(|corner| {
            let grid = self.grid(dense, (corner, axes), multiple)?;
            let is_whole = [corner.layers, corner.heads] == [largest.layers, largest.heads];
            Ok(grid.coarse(if is_whole { MOST_WIDTHS } else { COARSE_WIDTHS }))
        });
        let grids = grids.collect::<Result<Vec<Grid>, PlanError>>()?;
        let splits: Vec<Split> =
            grids.iter().flat_map(|grid| grid.of_size(asked, slack, &count)).collect();
        if !splits.is_empty() {
            return Ok(splits);
        }
        // Above a bound is worse than anything below it.
        let miss = |split: &Split| {
            let found = count(*split);
            (self.is_bound() && found > asked, found.abs_diff(asked))
        };
        let nearest = grids.iter().map(|grid| grid.nearest(asked, &count)).min_by_key(miss);
        // Slightly above the size, within the slack.
        let nearest = nearest.unwrap_or(largest);
        self.check_size(dense, asked, count(nearest))?;
        Ok(vec![nearest])
    }

    /// The widths to choose from with the layers and heads of `corner`.
    fn grid(
        &self,
        dense: &dyn Dimensions,
        (corner, axes): (Split, FreeAxes),
        multiple: usize,
    ) -> Result<Grid, PlanError> {
        let wide = self.width_step(dense, corner.heads);
        let mut largest = corner;
        if let Some(step) = self.align {
            let Split { width, intermediate, .. } = corner;
            if axes.stream && wide > width || axes.mlp && step > intermediate {
                return Err(PlanError::Align { step, width, intermediate });
            }
            largest.width = if axes.stream { width / wide * wide } else { width };
            largest.intermediate = if axes.mlp { intermediate / step * step } else { intermediate };
        } else if axes.stream && !corner.width.is_multiple_of(dense.width_multiple(corner.heads)) {
            largest.width = (corner.width / wide * wide).max(1);
        }
        Ok(Grid {
            largest,
            width_step: axes.stream.then_some(wide),
            intermediate_step: axes.mlp.then_some(multiple),
        })
    }

    /// What the width of the stream is a multiple of, unless it is the full one.
    fn width_step(&self, dense: &dyn Dimensions, heads: usize) -> usize {
        match self.align.or(self.round_to) {
            Some(step) => lcm(step, dense.required_multiple(heads)),
            None => lcm(ROUND_TO, dense.width_multiple(heads)),
        }
    }

    /// Refuses a width that the family does not take with its heads, or with those given.
    fn check_heads(&self, dense: &dyn Dimensions, fixed: Split) -> Result<(), PlanError> {
        let multiple = dense.width_multiple(fixed.heads);
        let given = self.size.is_none() || self.fixed.hidden_size.is_some();
        let required = dense.required_multiple(fixed.heads);
        match self.fixed.kv_heads {
            _ if !given || fixed.width.is_multiple_of(multiple) => Ok(()),
            Some(heads) => Err(PlanError::Multiple { heads, width: fixed.width, multiple }),
            // The width of the dense model is what it is.
            None if fixed.width == dense.hidden_size() => Ok(()),
            None if fixed.width.is_multiple_of(required) => Ok(()),
            None => Err(PlanError::HiddenSize { width: fixed.width, multiple: required }),
        }
    }
}

/// Numbers of blocks, or of groups of heads, to choose from: the largest first, down to `least` if
/// that is given, as long as `enough` is left. Not many of them if another axis is `fine`, so that
/// it makes up for the difference.
fn counts(
    least: Option<usize>,
    largest: usize,
    fine: bool,
    enough: impl Fn(usize) -> bool,
) -> Vec<usize> {
    let Some(least) = least else { return vec![largest] };
    // What is left grows with the number: bisect.
    let fewest = if fine { first(least, largest, enough) } else { least };
    let fewer = largest.saturating_sub(fewest);
    let chosen = fewer.min(if fine { COUNTS } else { MOST_COUNTS });
    // The first one, the last one, and some between them.
    let at = |number: usize| match chosen {
        1 => largest - 1,
        _ => largest - 1 - number * (fewer - 1) / (chosen - 1),
    };
    std::iter::once(largest).chain((0..chosen).map(at)).collect()
}

/// The largest power of two, up to 64, such that one step of MLP width is at most a thousandth of
/// the model.
fn channel_step(full: Split, before: u64, count: impl Fn(Split) -> u64) -> usize {
    if full.intermediate < 2 {
        return 1;
    }
    let one = count(full) - count(Split { intermediate: full.intermediate - 1, ..full });
    let steps = std::iter::successors(Some(64), |step| Some(step / 2));
    steps
        .take_while(|step| *step > 1)
        .find(|step| step * 1000 * one as usize <= before as usize)
        .unwrap_or(1)
}

fn lcm(a: usize, b: usize) -> usize {
    let gcd = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    a / gcd(a, b) * b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_blocks_are_spread_over_what_is_possible() {
        assert_eq!(counts(None, 30, true, |_| true), [30]);
        assert_eq!(counts(Some(2), 30, true, |count| count > 26), [30, 29, 28, 27]);
        assert_eq!(counts(Some(2), 30, true, |count| count > 19), [30, 29, 28, 26, 24, 22, 20]);
        assert_eq!(counts(Some(2), 5, false, |_| false), [5, 4, 3, 2]);
        assert_eq!(counts(Some(2), 30, true, |_| false), [30]);
        assert_eq!(counts(Some(1), 3, true, |count| count > 1), [3, 2]);
    }
}
