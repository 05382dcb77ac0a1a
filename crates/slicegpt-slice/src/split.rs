//! [`Split`]: how a size is shared out between the stream and the MLPs, and the search for the best.

/// How wide a decoder cut to one basis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Of the stream.
    pub width: usize,
    /// Of the hidden layer of every MLP.
    pub intermediate: usize,
}

/// What splits there are.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// The dense decoder.
    pub full: Split,
    /// Both are multiples of these, or full.
    pub step: Split,
}

impl Grid {
    /// For every width, the widest MLP with which `count`, which grows with both by equal steps, stays
    /// within `most`; widest stream first. Where even the narrowest MLP is too much, or the full one
    /// leaves more than `slack` unused, there is none of that width.
    pub fn of_size(&self, most: u64, slack: u64, count: impl Fn(Split) -> u64) -> Vec<Split> {
        self.widths()
            .filter_map(|width| {
                let split = self.widest(width, most, &count)?;
                (most - count(split) <= slack).then_some(split)
            })
            .collect()
    }

    /// The split whose `count` is nearest to `most`, without being more if that is possible.
    pub fn nearest(&self, most: u64, count: impl Fn(Split) -> u64) -> Split {
        let within = self.widths().filter_map(|width| self.widest(width, most, &count));
        let best = within.max_by_key(|split| count(*split));
        best.unwrap_or(Split {
            width: self.step.width.min(self.full.width),
            intermediate: self.step.intermediate.min(self.full.intermediate),
        })
    }

    /// All widths, the full one first.
    fn widths(&self) -> impl Iterator<Item = usize> {
        let (full, step) = (self.full.width, self.step.width);
        let multiples = (1..=full / step).rev().map(move |n| n * step);
        std::iter::once(full).chain(multiples.filter(move |width| *width != full))
    }

    fn widest(&self, width: usize, most: u64, count: &impl Fn(Split) -> u64) -> Option<Split> {
        let (full, step) = (self.full.intermediate, self.step.intermediate);
        let of = |intermediate| Split { width, intermediate };
        if count(of(full)) <= most {
            return Some(of(full));
        }
        let fits = |n: &usize| count(of(n * step)) <= most;
        // The counts grow with the width: bisect.
        let (mut low, mut high) = (0, full / step + 1);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if fits(&middle) { low = middle } else { high = middle }
        }
        (low > 0).then(|| of(low * step))
    }
}

/// A split that was tried, and its loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// What was tried.
    pub split: Split,
    /// What it gave; the lower, the better.
    pub loss: f64,
}

/// Splits tried on a coarse grid.
const COARSE: usize = 5;

/// Looks for the split of least loss among `candidates`, ordered by width: a coarse grid over all of
/// them, then golden section around the best of it. Gives everything that was tried, best first.
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
            // What cannot be computed is no candidate.
            let found = measure(candidates[at])?;
            losses[at] = Some(if found.is_nan() { f64::INFINITY } else { found });
        }
        Ok(losses[at].expect("just found"))
    };
    let mut grid: Vec<usize> = (0..COARSE).map(|i| i * last / (COARSE - 1)).collect();
    grid.dedup();
    let mut best = 0;
    for at in &grid {
        if loss(*at)? < loss(grid[best])? {
            best = grid.iter().position(|other| other == at).expect("it is there");
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
    let found = losses.into_iter().zip(candidates);
    let mut tried: Vec<Trial> =
        found.filter_map(|(loss, split)| Some(Trial { split: *split, loss: loss? })).collect();
    tried.sort_by(|a, b| a.loss.total_cmp(&b.loss));
    Ok(tried)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn grid(width: usize, intermediate: usize) -> Grid {
        let full = Split { width: 128, intermediate: 341 };
        Grid { full, step: Split { width, intermediate } }
    }

    /// As a decoder counts: four blocks, a vocabulary of 1000.
    fn count(split: Split) -> u64 {
        let Split { width, intermediate } = split;
        (2 * 1000 * width + 4 * width * (3 * 128 + 3 * intermediate)) as u64
    }

    #[test]
    fn every_split_is_of_the_size() {
        let grid = grid(8, 1);
        let most = count(grid.full) * 3 / 4;
        let slack = most / 200;
        let splits = grid.of_size(most, slack, count);
        assert!(splits.len() > 2);
        for split in &splits {
            assert!(split.width.is_multiple_of(8) && (1..=341).contains(&split.intermediate));
            assert!((most - slack..=most).contains(&count(*split)), "{split:?}");
        }
        assert!(splits.is_sorted_by(|a, b| a.width > b.width));
        assert_eq!(grid.nearest(most, count).width % 8, 0);
        let all = grid.of_size(u64::MAX, u64::MAX, count);
        assert_eq!(all[0], grid.full);
    }

    #[test]
    fn too_small_has_no_split_but_a_nearest() {
        let grid = grid(64, 300);
        assert!(grid.of_size(10, 5, count).is_empty());
        assert_eq!(grid.nearest(10, count), Split { width: 64, intermediate: 300 });
    }

    #[test]
    fn the_search_finds_a_valley() {
        let candidates: Vec<Split> =
            (1..60).rev().map(|width| Split { width, intermediate: 200 - width }).collect();
        for valley in [1, 5, 17, 31, 42, 59] {
            let mut asked = 0;
            let measure = |split: Split| {
                asked += 1;
                Ok::<_, Infallible>((split.width as f64 - valley as f64).abs())
            };
            let tried = search(&candidates, measure).unwrap();
            assert_eq!(tried[0].split.width, valley);
            assert_eq!(asked, tried.len());
            assert!(asked <= 16, "{asked} for {valley}");
        }
        let one = search(&candidates[..1], |_| Ok::<_, Infallible>(f64::NAN)).unwrap();
        assert_eq!(one.len(), 1);
    }
}
