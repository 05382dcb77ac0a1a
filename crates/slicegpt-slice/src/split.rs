//! [`Split`]: how a parameter count is divided between the stream and the MLPs, and the search for
//! the best split.

/// The widths of a decoder that is cut to one basis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// The width of the stream.
    pub width: usize,
    /// The width of the hidden layer of every MLP.
    pub intermediate: usize,
}

/// The splits to choose from.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// The widths of the dense decoder.
    pub full: Split,
    /// Each width is a multiple of the width here, or the full width.
    pub step: Split,
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
        best.unwrap_or(Split {
            width: self.step.width.min(self.full.width),
            intermediate: self.step.intermediate.min(self.full.intermediate),
        })
    }

    /// All widths of the stream, the full one first.
    fn widths(&self) -> impl Iterator<Item = usize> {
        let (full, step) = (self.full.width, self.step.width);
        let multiples = (1..=full / step).rev().map(move |n| n * step);
        std::iter::once(full).chain(multiples.filter(move |width| *width != full))
    }

    fn widest(&self, width: usize, limit: u64, count: &impl Fn(Split) -> u64) -> Option<Split> {
        let (full, step) = (self.full.intermediate, self.step.intermediate);
        let split = |intermediate| Split { width, intermediate };
        if count(split(full)) <= limit {
            return Some(split(full));
        }
        let fits = |n: &usize| count(split(n * step)) <= limit;
        // The counts grow with the width: bisect.
        let (mut low, mut high) = (0, full / step + 1);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if fits(&middle) { low = middle } else { high = middle }
        }
        (low > 0).then(|| split(low * step))
    }
}

/// A split that was measured, and its loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// The split.
    pub split: Split,
    /// Its loss: the lower, the better.
    pub loss: f64,
}

/// The number of splits on the coarse grid.
const COARSE: usize = 5;

/// Searches `candidates`, ordered by width, for the split with the lowest loss: on a coarse grid
/// over all of them, then by golden section around the best point of the grid. Gives all splits
/// that were measured, the best first.
///
/// # Errors
///
/// The first error of `measure`.
///
/// # Panics
///
/// If there is no candidate.
pub fn search<E>(
    candidates: &[Split],
    mut measure: impl FnMut(Split) -> Result<f64, E>,
) -> Result<Vec<Trial>, E> {
    assert!(!candidates.is_empty(), "at least one candidate");
    let last = candidates.len() - 1;
    let mut losses: Vec<Option<f64>> = vec![None; candidates.len()];
    let mut loss = |at: usize| -> Result<f64, E> {
        if losses[at].is_none() {
            // A loss that cannot be computed is the worst.
            let found = measure(candidates[at])?;
            losses[at] = Some(if found.is_nan() { f64::INFINITY } else { found });
        }
        Ok(losses[at].expect("it was just measured"))
    };
    let mut grid: Vec<usize> = (0..COARSE).map(|i| i * last / (COARSE - 1)).collect();
    grid.dedup();
    let mut best = 0;
    for at in &grid {
        if loss(*at)? < loss(grid[best])? {
            best = grid.iter().position(|other| other == at).expect("it comes from the grid");
        }
    }
    let mut low = grid[best.saturating_sub(1)];
    let mut high = grid[(best + 1).min(grid.len() - 1)];
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    while high - low > 2 {
        let reach = (ratio * (high - low) as f64).round() as usize;
        let reach = reach.clamp((high - low) / 2 + 1, high - low - 1);
        let (left, right) = (high - reach, low + reach);
        if loss(left)? <= loss(right)? { high = right } else { low = left }
    }
    for at in low..=high {
        loss(at)?;
    }
    let measured = losses.into_iter().zip(candidates);
    let mut trials: Vec<Trial> =
        measured.filter_map(|(loss, split)| Some(Trial { split: *split, loss: loss? })).collect();
    trials.sort_by(|a, b| a.loss.total_cmp(&b.loss));
    Ok(trials)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn grid(width: usize, intermediate: usize) -> Grid {
        let full = Split { width: 128, intermediate: 341 };
        Grid { full, step: Split { width, intermediate } }
    }

    /// The parameters of a decoder with four blocks and a vocabulary of 1000.
    fn count(split: Split) -> u64 {
        let Split { width, intermediate } = split;
        (2 * 1000 * width + 4 * width * (3 * 128 + 3 * intermediate)) as u64
    }

    #[test]
    fn every_split_has_the_size() {
        let grid = grid(8, 1);
        let limit = count(grid.full) * 3 / 4;
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
        assert_eq!(all[0], grid.full);
    }

    #[test]
    fn a_size_that_is_too_small_has_only_a_nearest_split() {
        let grid = grid(64, 300);
        assert!(grid.of_size(10, 5, count).is_empty());
        assert_eq!(grid.nearest(10, count), Split { width: 64, intermediate: 300 });
    }

    #[test]
    fn the_search_finds_the_minimum() {
        let candidates: Vec<Split> =
            (1..60).rev().map(|width| Split { width, intermediate: 200 - width }).collect();
        for minimum in [1, 5, 17, 31, 42, 59] {
            let mut measured = 0;
            let measure = |split: Split| {
                measured += 1;
                Ok::<_, Infallible>((split.width as f64 - minimum as f64).abs())
            };
            let trials = search(&candidates, measure).unwrap();
            assert_eq!(trials[0].split.width, minimum);
            assert_eq!(measured, trials.len());
            assert!(measured <= 16, "{measured} for {minimum}");
        }
        let one = search(&candidates[..1], |_| Ok::<_, Infallible>(f64::NAN)).unwrap();
        assert_eq!(one.len(), 1);
    }
}
