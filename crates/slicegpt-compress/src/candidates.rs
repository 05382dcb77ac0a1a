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

/// Candidates with the same blocks and heads, the widest stream first.
struct Family {
    layers: usize,
    heads: usize,
    /// The number of this way to remove as many blocks.
    choice: usize,
    members: Vec<Candidate>,
}

/// The candidates of a size.
pub(crate) struct Candidates {
    families: Vec<Family>,
}

/// A candidate, by family and position in it.
type At = (usize, usize);

/// What a search asks of each candidate: its loss, in this round, or `None` if the time is over.
pub(crate) type Measure<'m, E> = dyn FnMut(&Candidate, usize) -> Result<Option<f64>, E> + 'm;

impl Candidates {
    /// All of `splits`, with each way to remove blocks that `distances` propose.
    pub fn new(splits: &[Split], distances: &Distances) -> Self {
        let mut families: Vec<Family> = Vec::new();
        for split in splits {
            let choices = distances.choices(distances.blocks() - split.layers);
            for (choice, removed) in choices.into_iter().enumerate() {
                let candidate = Candidate { split: *split, removed };
                let same = |family: &&mut Family| {
                    [family.layers, family.heads, family.choice]
                        == [split.layers, split.heads, choice]
                };
                match families.iter_mut().find(same) {
                    Some(family) => family.members.push(candidate),
                    None => families.push(Family {
                        layers: split.layers,
                        heads: split.heads,
                        choice,
                        members: vec![candidate],
                    }),
                }
            }
        }
        Self { families }
    }

    /// The only candidate, if there is one only.
    pub fn only(&self) -> Option<&Candidate> {
        match self.families.as_slice() {
            [Family { members, .. }] if members.len() == 1 => members.first(),
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
        let mut step = self.families[at.0].members.len().div_ceil(2 * (COARSE - 1));
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

    fn get(&self, (family, member): At) -> &Candidate {
        &self.families[family].members[member]
    }

    /// The family that removes the fewest blocks and heads.
    fn base(&self) -> usize {
        let size = |family: &Family| (family.layers, family.heads);
        let largest = (0..self.families.len()).rev().max_by_key(|at| size(&self.families[*at]));
        largest.unwrap_or_default()
    }

    /// Candidates of every kind: of the family that removes the fewest blocks and heads some widths
    /// of the stream; of families that also remove blocks, or heads, but not both, the fewest, the
    /// most and a number between them, with the widest stream.
    fn coarse(&self) -> Vec<At> {
        let base = self.base();
        let Family { layers, heads, members, .. } = &self.families[base];
        let last = members.len() - 1;
        let mut widths: Vec<usize> = (0..COARSE).map(|i| i * last / (COARSE - 1)).collect();
        widths.dedup();
        let mut chosen: Vec<At> = widths.into_iter().map(|member| (base, member)).collect();
        for of in [
            (|family: &Family| (family.layers, family.heads)) as fn(&Family) -> (usize, usize),
            |family| (family.heads, family.layers),
        ] {
            let (here, other) = of(&self.families[base]);
            let mut sizes: Vec<usize> = self
                .families
                .iter()
                .filter(|family| of(family).1 == other && of(family).0 < here)
                .map(|family| of(family).0)
                .collect();
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            sizes.dedup();
            let Some(most) = sizes.len().checked_sub(1) else { continue };
            let mut some = vec![sizes[0], sizes[most / 2], sizes[most]];
            some.dedup();
            for size in some {
                let families = self.families.iter().enumerate();
                let found = families.filter(|(_, family)| of(family) == (size, other));
                chosen.extend(found.map(|(number, _)| (number, 0)));
            }
        }
        debug_assert!(*layers > 0 && self.families.iter().all(|family| family.heads <= *heads));
        chosen
    }

    /// The candidates next to one: with a stream `step` positions wider or narrower, and of the
    /// families with the next number of blocks or heads, at the nearest width.
    fn neighbours(&self, (number, member): At, step: usize) -> Vec<At> {
        let family = &self.families[number];
        let mut found = Vec::new();
        found.extend(member.checked_sub(step).map(|member| (number, member)));
        found.extend((member + step < family.members.len()).then_some((number, member + step)));
        let width = family.members[member].split.width;
        for (same, of) in [
            (
                (|a, b| a.heads == b.heads) as fn(&Family, &Family) -> bool,
                (|family| family.layers) as fn(&Family) -> usize,
            ),
            (|a, b| a.layers == b.layers && a.choice == b.choice, |family| family.heads),
        ] {
            let here = of(family);
            let others = || {
                let all = self.families.iter().enumerate();
                all.filter(|(_, other)| same(family, other) && of(other) != here)
            };
            let below = others().map(|(_, other)| of(other)).filter(|size| *size < here).max();
            let above = others().map(|(_, other)| of(other)).filter(|size| *size > here).min();
            for size in [below, above].into_iter().flatten() {
                for (number, other) in others().filter(|(_, other)| of(other) == size) {
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
