//! [`Candidates`]: the splits of a size and the blocks that they remove, and the order in which
//! they are measured. It does not know how a candidate is measured.

use std::collections::HashMap;

use slicegpt_slice::Distances;

use crate::Split;

/// A split, and the blocks that it removes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Candidate {
    pub split: Split,
    /// Blocks of the dense model, ascending.
    pub removed: Vec<usize>,
}

impl Candidate {
    /// A split that removes no block.
    pub fn whole(split: Split) -> Self {
        Self { split, removed: Vec::new() }
    }
}

/// The number of widths of the stream that are measured first where nothing else is cut but MLPs.
const COARSE: usize = 5;

/// How many of the first round are measured again.
const SURVIVORS: usize = 3;

/// The largest number of measurements in the second round.
const REFINED: usize = 10;

/// A sweep over the width of the stream: candidates with the same blocks and heads, the widest
/// stream first; at least one.
struct Sweep {
    /// The number of this way to remove as many blocks.
    choice: usize,
    members: Vec<Candidate>,
}

impl Sweep {
    /// The number of blocks, and of groups of heads.
    fn size(&self) -> [usize; 2] {
        let Split { layers, heads, .. } = self.members[0].split;
        [layers, heads]
    }
}

/// The candidates of a size.
pub(crate) struct Candidates {
    /// The first one removes the fewest blocks and heads.
    sweeps: Vec<Sweep>,
}

/// A candidate, by sweep and position in it.
type At = (usize, usize);

/// What a search asks of each candidate: its loss, in this round, or `None` if the time is over.
pub(crate) type Measure<'m, E> = dyn FnMut(&Candidate, usize) -> Result<Option<f64>, E> + 'm;

impl Candidates {
    /// All of `splits`, in the order of [`SharedCut::splits`](crate::SharedCut::splits), with each
    /// way to remove blocks that `distances` propose.
    pub fn new(splits: &[Split], distances: &Distances) -> Self {
        let mut sweeps: Vec<Sweep> = Vec::new();
        for split in splits {
            let choices = distances.choices(distances.blocks() - split.layers);
            for (choice, removed) in choices.into_iter().enumerate() {
                let candidate = Candidate { split: *split, removed };
                let size = [split.layers, split.heads];
                match sweeps.iter_mut().find(|it| it.size() == size && it.choice == choice) {
                    Some(sweep) => sweep.members.push(candidate),
                    None => sweeps.push(Sweep { choice, members: vec![candidate] }),
                }
            }
        }
        Self { sweeps }
    }

    /// The only candidate, if there is one only.
    pub fn only(&self) -> Option<&Candidate> {
        match self.sweeps.as_slice() {
            [Sweep { members, .. }] if members.len() == 1 => members.first(),
            _ => None,
        }
    }

    /// The candidate with the smallest loss: some of every kind are measured in round 0; the best
    /// of them again in round 1, on more text, and then neighbours of the best one along each axis,
    /// as long as one of them is better.
    ///
    /// # Errors
    ///
    /// The first error of `measure`.
    pub fn search<E>(&self, measure: &mut Measure<'_, E>) -> Result<Candidate, E> {
        let mut first: Vec<(f64, At)> = Vec::new();
        for at in self.coarse() {
            match measure(self.get(at), 0)? {
                Some(loss) => first.push((loss, at)),
                None => break,
            }
        }
        first.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut refined = Refined { candidates: self, measure, losses: HashMap::new() };
        let mut best: Option<(f64, At)> = None;
        for (_, at) in first.iter().take(SURVIVORS) {
            if let Some(loss) = refined.loss(*at)?
                && best.is_none_or(|(other, _)| loss < other)
            {
                best = Some((loss, *at));
            }
        }
        let Some((mut loss, mut at)) = best else {
            return Ok(self.get(first.first().map_or((0, 0), |(_, at)| *at)).clone());
        };
        let mut step = self.sweeps[at.0].members.len().div_ceil(2 * (COARSE - 1));
        loop {
            let mut nearest: Option<(f64, At)> = None;
            for next in self.neighbours(at, step) {
                if let Some(found) = refined.loss(next)?
                    && found < nearest.map_or(loss, |(other, _)| other)
                {
                    nearest = Some((found, next));
                }
            }
            match nearest {
                Some((better, next)) => (loss, at) = (better, next),
                None if step > 1 => step /= 2,
                None => return Ok(self.get(at).clone()),
            }
            if refined.losses.len() >= REFINED {
                return Ok(self.get(at).clone());
            }
        }
    }

    fn get(&self, (sweep, member): At) -> &Candidate {
        &self.sweeps[sweep].members[member]
    }

    /// Candidates of every kind: of the sweep that removes the fewest blocks and heads some widths
    /// of the stream; of those that also remove blocks, or heads, but not both, the fewest, the
    /// most and a number between them, with the widest stream.
    fn coarse(&self) -> Vec<At> {
        let base = self.sweeps[0].size();
        let last = self.sweeps[0].members.len() - 1;
        let mut widths: Vec<usize> = (0..COARSE).map(|i| i * last / (COARSE - 1)).collect();
        widths.dedup();
        let mut chosen: Vec<At> = widths.into_iter().map(|member| (0, member)).collect();
        for axis in [0, 1] {
            let sweeps = || {
                let all = self.sweeps.iter().map(Sweep::size).enumerate();
                all.filter(move |(_, size)| {
                    size[axis] < base[axis] && size[1 - axis] == base[1 - axis]
                })
            };
            let mut sizes: Vec<usize> = sweeps().map(|(_, size)| size[axis]).collect();
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            sizes.dedup();
            let Some(most) = sizes.len().checked_sub(1) else { continue };
            let mut some = vec![sizes[0], sizes[most / 2], sizes[most]];
            some.dedup();
            for wanted in some {
                let found = sweeps().filter(|(_, size)| size[axis] == wanted);
                chosen.extend(found.map(|(number, _)| (number, 0)));
            }
        }
        chosen
    }

    /// The candidates next to one: with a stream `step` positions wider or narrower, and of the
    /// sweeps with the next number of blocks or heads, at the nearest width.
    fn neighbours(&self, (number, member): At, step: usize) -> Vec<At> {
        let sweep = &self.sweeps[number];
        let here = sweep.size();
        let mut found = Vec::new();
        found.extend(member.checked_sub(step).map(|member| (number, member)));
        found.extend((member + step < sweep.members.len()).then_some((number, member + step)));
        let width = sweep.members[member].split.width;
        for axis in [0, 1] {
            let others = || {
                self.sweeps.iter().enumerate().filter(move |(_, other)| {
                    // Other numbers of blocks are removed in other ways.
                    let removes_alike = axis == 0 || other.choice == sweep.choice;
                    other.size()[1 - axis] == here[1 - axis] && removes_alike
                })
            };
            let sizes = || others().map(|(_, other)| other.size()[axis]);
            let below = sizes().filter(|size| *size < here[axis]).max();
            let above = sizes().filter(|size| *size > here[axis]).min();
            for size in [below, above].into_iter().flatten() {
                for (number, other) in others().filter(|(_, other)| other.size()[axis] == size) {
                    let distance = |at: &usize| other.members[*at].split.width.abs_diff(width);
                    let nearest = (0..other.members.len()).min_by_key(distance);
                    found.extend(nearest.map(|member| (number, member)));
                }
            }
        }
        found
    }
}

/// The losses of the second round.
struct Refined<'c, 'm, 'f, E> {
    candidates: &'c Candidates,
    measure: &'m mut Measure<'f, E>,
    losses: HashMap<At, f64>,
}

impl<E> Refined<'_, '_, '_, E> {
    /// The loss of a candidate; `None` if it is unknown and nothing more is to be measured.
    fn loss(&mut self, at: At) -> Result<Option<f64>, E> {
        if let Some(loss) = self.losses.get(&at) {
            return Ok(Some(*loss));
        }
        if self.losses.len() >= REFINED {
            return Ok(None);
        }
        let found = (self.measure)(self.candidates.get(at), 1)?;
        self.losses.extend(found.map(|loss| (at, loss)));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// Splits of 12 blocks and 3 groups of heads, with streams of 8 to 64.
    fn candidates() -> Candidates {
        let mut splits = Vec::new();
        for layers in [12, 11, 10, 8] {
            for heads in [3, 2] {
                for width in (1..=8).rev().map(|n| 8 * n) {
                    splits.push(Split { layers, width, heads, intermediate: 100 });
                }
            }
        }
        let line: Vec<f64> = [0.0, 1.0, 2.0, 2.1, 3.1, 4.0, 5.0, 5.2, 6.0, 7.0, 8.0, 9.0].to_vec();
        let values = line.iter().flat_map(|x| line.iter().map(move |y| f64::abs(x - y)));
        Candidates::new(&splits, &Distances::from_values(values.collect()).unwrap())
    }

    #[test]
    fn the_search_finds_the_smallest_loss_along_every_axis() {
        let candidates = candidates();
        for (layers, heads, width) in
            [(12, 3, 64), (12, 3, 24), (10, 3, 56), (12, 2, 64), (8, 3, 64)]
        {
            let mut count = 0;
            let found = candidates.search::<Infallible>(&mut |candidate, _| {
                count += 1;
                let Split { layers: l, width: w, heads: h, .. } = candidate.split;
                let far = |a: usize, b: usize, scale: f64| a.abs_diff(b) as f64 / scale;
                Ok(Some(far(l, layers, 4.0) + far(w, width, 40.0) + far(h, heads, 2.0)))
            });
            let Split { layers: l, width: w, heads: h, .. } = found.unwrap().split;
            assert_eq!([l, h, w], [layers, heads, width]);
            assert!(count <= 5 + 6 + 1 + REFINED, "{count}");
        }
    }

    #[test]
    fn a_search_without_time_takes_what_it_has_measured() {
        let candidates = candidates();
        for limit in [1, 3, 12] {
            let mut losses = Vec::new();
            let found = candidates.search::<Infallible>(&mut |candidate, _| {
                if losses.len() == limit {
                    return Ok(None);
                }
                let loss = 1.0 / candidate.split.width as f64 + candidate.removed.len() as f64;
                losses.push((loss, candidate.clone()));
                Ok(Some(loss))
            });
            let best = losses.iter().min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
            assert_eq!(found.unwrap().split, best.1.split);
        }
    }

    #[test]
    fn one_split_with_one_way_to_remove_blocks_is_no_search() {
        let split = Split { layers: 2, width: 8, heads: 0, intermediate: 4 };
        let distances = Distances::from_values(vec![0.0, 1.0, 1.0, 0.0]).unwrap();
        assert_eq!(Candidates::new(&[split], &distances).only().unwrap().split, split);
        assert!(candidates().only().is_none());
    }
}
