//! [`Split`]: how large a decoder in one basis is along each of its axes, and [`Grid`]: the splits
//! of a size.

use slicegpt_core::Axis;

/// How large a decoder in one basis is along each of its axes. Every block is equally large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Split {
    /// The number of blocks.
    pub layers: usize,
    /// The width of the stream.
    pub width: usize,
    /// Groups of heads of every attention: the number of its key and value heads. 0 where the
    /// decoder declares none.
    pub heads: usize,
    /// The width of the hidden layer of every MLP. 0 where the decoder declares none.
    pub intermediate: usize,
}

impl Split {
    /// The number of units that stay in every group of an axis.
    pub fn units(self, axis: Axis) -> usize {
        match axis {
            Axis::Mlp => self.intermediate,
            Axis::Heads => self.heads,
        }
    }
}

/// Splits with the same layers and heads, to choose a stream and an MLP width from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    /// The largest split.
    pub largest: Split,
    /// What the width of the stream is a multiple of, unless it is the largest; `None` if only the
    /// largest is allowed.
    pub width_step: Option<usize>,
    /// The same for the width of the MLPs.
    pub intermediate_step: Option<usize>,
}

impl Grid {
    /// For every width of the stream, the split with the widest MLP whose `count` is at most
    /// `limit`; the widest stream first. `count` must grow with both widths. A width is left out if
    /// even the narrowest MLP is above the limit, or if the split is more than `slack` below it.
    pub fn of_size(&self, limit: u64, slack: u64, count: impl Fn(Split) -> u64) -> Vec<Split> {
        self.widths()
            .filter_map(|width| {
                let split = self.widest(width, limit, &count)?;
                (limit - count(split) <= slack).then_some(split)
            })
            .collect()
    }

    /// The split with the largest `count` that is at most `limit`, or, if there is none, the
    /// smallest split.
    pub fn nearest(&self, limit: u64, count: impl Fn(Split) -> u64) -> Split {
        let within = self.widths().filter_map(|width| self.widest(width, limit, &count));
        let best = within.max_by_key(|split| count(*split));
        let smallest = |step: Option<usize>, largest: usize| step.unwrap_or(largest).min(largest);
        best.unwrap_or(Split {
            width: smallest(self.width_step, self.largest.width),
            intermediate: smallest(self.intermediate_step, self.largest.intermediate),
            ..self.largest
        })
    }

    /// This grid with at most `count` widths of the stream, evenly spaced.
    pub fn coarse(self, count: usize) -> Self {
        let coarser = |step: usize| step * (self.largest.width / step).div_ceil(count).max(1);
        Self { width_step: self.width_step.map(coarser), ..self }
    }

    /// All widths of the stream, the largest one first.
    fn widths(&self) -> impl Iterator<Item = usize> {
        let largest = self.largest.width;
        let step = self.width_step.unwrap_or(largest).max(1);
        let multiples = (1..=largest / step).rev().map(move |n| n * step);
        std::iter::once(largest).chain(multiples.filter(move |width| *width != largest))
    }

    fn widest(&self, width: usize, limit: u64, count: &impl Fn(Split) -> u64) -> Option<Split> {
        let largest = self.largest.intermediate;
        let split = |intermediate| Split { width, intermediate, ..self.largest };
        if count(split(largest)) <= limit {
            return Some(split(largest));
        }
        let step = self.intermediate_step?;
        let (most, of) = (largest / step, |n: usize| count(split(n * step)));
        let low = (most > 0).then(|| of(1)).filter(|low| *low <= limit)?;
        // The counts grow with the width, and mostly by as much at every step.
        let high = of(most);
        if high <= limit {
            return Some(split(most * step));
        }
        let steps = u128::from(limit - low) * (most as u128 - 1) / u128::from(high - low);
        let guess = 1 + steps as usize;
        let found = match of(guess) <= limit && of(guess + 1) > limit {
            true => guess,
            false => first(2, most, |n| of(n) > limit) - 1,
        };
        Some(split(found * step))
    }
}

/// The first number from `low` on, before `high`, for which `holds`, or `high`. It must hold for
/// all numbers after one for which it does.
pub(super) fn first(low: usize, high: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(width: Option<usize>, intermediate: Option<usize>) -> Grid {
        let largest = Split { layers: 4, width: 128, heads: 2, intermediate: 341 };
        Grid { largest, width_step: width, intermediate_step: intermediate }
    }

    /// The parameters of a decoder with a vocabulary of 1000.
    fn count(split: Split) -> u64 {
        let Split { layers, width, intermediate, .. } = split;
        (2 * 1000 * width + layers * width * (3 * 128 + 3 * intermediate)) as u64
    }

    #[test]
    fn every_split_has_the_size() {
        let grid = grid(Some(8), Some(1));
        let limit = count(grid.largest) * 3 / 4;
        let slack = limit / 200;
        let splits = grid.of_size(limit, slack, count);
        assert!(splits.len() > 2);
        for split in &splits {
            assert!(split.width.is_multiple_of(8) && (1..=341).contains(&split.intermediate));
            assert!((limit - slack..=limit).contains(&count(*split)), "{split:?}");
        }
        assert!(splits.is_sorted_by(|a, b| a.width > b.width));
        assert_eq!(grid.nearest(limit, count).width % 8, 0);
        let all = grid.of_size(u64::MAX, u64::MAX, count);
        assert_eq!(all[0], grid.largest);
        assert!(grid.coarse(3).of_size(u64::MAX, u64::MAX, count).len() <= 3);
    }

    #[test]
    fn an_axis_without_a_step_stays_as_it_is() {
        let limit = count(grid(None, None).largest) * 3 / 4;
        let splits = grid(None, Some(1)).of_size(limit, limit, count);
        assert_eq!(splits.iter().map(|split| split.width).collect::<Vec<_>>(), [128]);
        let splits = grid(Some(8), None).of_size(limit, limit, count);
        assert!(splits.iter().all(|split| split.intermediate == 341 && split.width < 128));
        assert!(grid(None, None).of_size(limit, limit, count).is_empty());
    }

    #[test]
    fn a_size_that_is_too_small_has_only_a_nearest_split() {
        let grid = grid(Some(64), Some(300));
        assert!(grid.of_size(10, 5, count).is_empty());
        let nearest = grid.nearest(10, count);
        assert_eq!([nearest.width, nearest.intermediate], [64, 300]);
    }
}
