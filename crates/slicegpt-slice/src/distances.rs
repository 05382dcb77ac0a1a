//! [`Distances`]: how much spans of blocks change the direction of the stream, measured on some of
//! its tokens; and the blocks whose removal changes it least.

use burn::tensor::{DType, Int, Tensor, TensorData};
use slicegpt_core::host_vec;

/// How much each span of blocks changes the stream: the mean over some tokens of one minus the
/// cosine of the angle between the stream before and after the span, in `[0, 2]`. The norms of a
/// decoder see the direction of the stream only.
///
/// # Example
///
/// Three blocks; the last one changes little:
///
/// ```
/// use slicegpt_slice::Distances;
///
/// let after_block = [0.0, 0.5, 0.6, 0.5, 0.0, 0.1, 0.6, 0.1, 0.0];
/// let distances = Distances::from_values(after_block.to_vec()).unwrap();
/// assert_eq!(distances.blocks(), 3);
/// assert_eq!(distances.choices(1), [[2]]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Distances {
    blocks: usize,
    /// Row-major, `[blocks, blocks]`: between the stream after one block and after another.
    values: Vec<f64>,
}

impl Distances {
    /// From distances between the stream after one block and after another, row-major,
    /// `[blocks, blocks]`; `None` if there are none, or they are not square.
    pub fn from_values(values: Vec<f64>) -> Option<Self> {
        let blocks = values.len().isqrt();
        (blocks > 0 && blocks * blocks == values.len()).then_some(Self { blocks, values })
    }

    /// The number of blocks.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Distances between the stream after one block and after another, `[blocks, blocks]`.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The distance that `count` blocks from block `first` on make.
    ///
    /// # Panics
    ///
    /// If `first` is 0: what is before it has no writers that could do the work of removed blocks.
    pub fn span(&self, first: usize, count: usize) -> f64 {
        self.values[(first - 1) * self.blocks + first - 1 + count]
    }

    /// The ways to remove `count` blocks that are worth a measurement: the contiguous span with the
    /// smallest distance, and the spans, with kept blocks between them, whose sum of distances is
    /// smallest. One list of ascending numbers if both are the same. The first block always stays.
    ///
    /// # Panics
    ///
    /// If no block would be left.
    pub fn choices(&self, count: usize) -> Vec<Vec<usize>> {
        assert!(count < self.blocks, "{count} of {} blocks", self.blocks);
        let contiguous = (1..=self.blocks - count)
            .min_by(|a, b| self.span(*a, count).total_cmp(&self.span(*b, count)))
            .map(|first| (first..first + count).collect());
        let mut choices: Vec<Vec<usize>> = contiguous.into_iter().collect();
        let scattered = self.scattered(count);
        if !choices.contains(&scattered) {
            choices.push(scattered);
        }
        choices
    }

    /// The blocks to remove with the smallest sum of the distances of their spans.
    fn scattered(&self, count: usize) -> Vec<usize> {
        let unreachable = (f64::INFINITY, 0);
        // By number of blocks looked at, the last of which stays, and number of blocks removed: the
        // smallest sum, and the length of the span just before that last block.
        let mut best = vec![vec![unreachable; count + 1]; self.blocks + 1];
        best[1][0] = (0.0, 0);
        let sum = |best: &[Vec<(f64, usize)>], first: usize, removed: usize, span: usize| {
            let before = best[first][removed - span].0;
            if span == 0 { before } else { before + self.span(first, span) }
        };
        for end in 2..=self.blocks {
            for removed in 0..=count {
                let spans = 0..=removed.min(end - 2);
                let sums = spans.map(|span| (sum(&best, end - 1 - span, removed, span), span));
                let least = sums.min_by(|a, b| a.0.total_cmp(&b.0));
                best[end][removed] = least.unwrap_or(unreachable);
            }
        }
        let last = (0..=count).map(|span| (sum(&best, self.blocks - span, count, span), span));
        let (_, mut span) = last.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or(unreachable);
        let (mut end, mut left) = (self.blocks, count);
        let mut removed = Vec::new();
        loop {
            removed.extend(end - span..end);
            (end, left) = (end - span, left - span);
            if end <= 1 {
                break;
            }
            span = best[end][left].1;
            end -= 1;
        }
        removed.sort_unstable();
        removed
    }
}

/// The stream of some tokens after every block so far, each scaled to length 1.
#[derive(Default)]
pub(crate) struct Probe {
    after_block: Vec<Vec<Vec<f32>>>,
}

/// The largest number of tokens of a sequence that a probe remembers.
const TOKENS_OF_A_SEQUENCE: usize = 8;

/// The largest number of tokens that a probe remembers.
const TOKENS: usize = 128;

/// A sample of a batch, and the mask of the batch.
pub(crate) type Sample = (Tensor<3>, Option<Vec<bool>>);

/// The stream of some tokens of a batch: `[batch, tokens, width]`, and fewer tokens.
pub(crate) fn sample(stream: &Tensor<3>) -> Tensor<3> {
    let positions: Vec<i64> = positions(stream.dims()[1]).map(|position| position as i64).collect();
    let count = positions.len();
    let data = TensorData::new(positions, [count]);
    let positions = Tensor::<1, Int>::from_data(data, &stream.device());
    stream.clone().select(1, positions).cast(DType::F32)
}

impl Probe {
    /// Remembers the stream after another block, of the samples of all batches.
    pub fn boundary(&mut self, samples: Vec<Sample>) {
        let mut tokens = Vec::new();
        for (sample, keep) in samples {
            let [sequences, count, width] = sample.dims();
            let counts: Vec<bool> = match keep {
                None => vec![true; sequences * count],
                Some(keep) => {
                    let length = keep.len() / sequences;
                    let of = |first: &[bool]| positions(length).map(|at| first[at]).collect();
                    keep.chunks(length).map(of).collect::<Vec<Vec<bool>>>().concat()
                }
            };
            let values: Vec<f32> = host_vec(sample);
            let kept = values.chunks(width).zip(counts).filter(|(_, counts)| *counts);
            tokens.extend(kept.map(|(token, _)| unit(token)));
        }
        let step = tokens.len().div_ceil(TOKENS).max(1);
        self.after_block.push(tokens.into_iter().step_by(step).collect());
    }

    /// The distances of all spans.
    pub fn distances(&self) -> Distances {
        let blocks = self.after_block.len();
        let mut values = vec![0.0; blocks * blocks];
        for (i, before) in self.after_block.iter().enumerate() {
            for (j, after) in self.after_block.iter().enumerate().skip(i + 1) {
                let cosine = |(x, y): (&Vec<f32>, &Vec<f32>)| -> f64 {
                    x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
                };
                let sum: f64 = before.iter().zip(after).map(cosine).sum();
                let distance = 1.0 - sum / before.len().max(1) as f64;
                values[i * blocks + j] = distance;
                values[j * blocks + i] = distance;
            }
        }
        Distances { blocks, values }
    }
}

/// Positions of a sequence of `length` tokens, evenly spaced.
fn positions(length: usize) -> impl Iterator<Item = usize> {
    let count = length.min(TOKENS_OF_A_SEQUENCE);
    (0..count).map(move |number| (2 * number + 1) * length / (2 * count))
}

/// A vector scaled to length 1.
fn unit(token: &[f32]) -> Vec<f32> {
    let length = token.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    token.iter().map(|x| (f64::from(*x) / length.max(f64::MIN_POSITIVE)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// Distances between points on a line.
    fn line(points: &[f64]) -> Distances {
        let values = points.iter().flat_map(|x| points.iter().map(move |y| (x - y).abs()));
        Distances::from_values(values.collect()).unwrap()
    }

    #[test]
    fn the_spans_that_change_least_are_removed() {
        // Steps after block 0: 1, 0.1, 5, 0.2, 0.3.
        let distances = line(&[0.0, 1.0, 1.1, 6.1, 6.3, 6.6]);
        assert_eq!(distances.choices(0), [Vec::<usize>::new()]);
        assert_eq!(distances.choices(1), [[2]]);
        assert_eq!(distances.choices(2), [[4, 5], [2, 4]]);
        assert_eq!(distances.choices(3), [[2, 3, 4], [2, 4, 5]]);
        assert_eq!(distances.choices(5), [[1, 2, 3, 4, 5]]);
    }

    /// Two spans that lie next to each other are one span, whose distance counts.
    #[test]
    fn a_span_costs_what_it_changes_as_a_whole() {
        // Blocks 1 and 2 change little each, in the same direction; blocks 3 and 4 undo each other.
        let distances = line(&[0.0, 1.0, 2.0, 3.5, 2.0]);
        assert_eq!(distances.choices(2)[0], [3, 4]);
    }

    #[test]
    fn a_probe_measures_angles_of_tokens_that_count() {
        let device = Device::flex();
        let batch = |tokens: [[f32; 2]; 3]| {
            let values = tokens.concat();
            Tensor::<3>::from_data(TensorData::new(values, [1, 3, 2]), &device)
        };
        let mut probe = Probe::default();
        // The last token is padding.
        let keep = || Some(vec![true, true, false]);
        for tokens in [
            [[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]],
            [[0.0, 3.0], [0.0, 5.0], [f32::NAN, 0.0]],
            [[-1.0, 0.0], [0.0, -1.0], [1.0, 0.0]],
        ] {
            let sample = sample(&batch(tokens));
            probe.boundary(vec![(sample, keep())]);
        }
        let distances = probe.distances();
        let found = [distances.span(1, 1), distances.span(1, 2), distances.span(2, 1)];
        for (found, expected) in found.into_iter().zip([0.5, 2.0, 1.5]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn values_that_are_not_square_are_no_distances() {
        assert_eq!(Distances::from_values(vec![0.0; 3]), None);
        assert_eq!(Distances::from_values(Vec::new()), None);
    }
}
