//! [`SpectrumRecord`]: the eigenvalues of a covariance at a bounded number of directions.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The eigenvalues of one covariance, sampled at some of its directions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpectrumRecord {
    /// Number of eigenvalues.
    pub width: usize,
    /// Directions that were kept.
    pub kept: usize,
    /// Tokens summed over.
    pub tokens: u64,
    /// The fraction of the energy, the sum of all eigenvalues, outside the `kept` largest.
    pub lost: f64,
    /// Samples: a number of directions, the smallest of their eigenvalues divided by the largest of
    /// all, and the fraction of the energy outside them. At most [`SpectrumRecord::POINTS`].
    pub points: Vec<(usize, f32, f32)>,
}

impl SpectrumRecord {
    /// The largest number of samples.
    pub const POINTS: usize = 65;

    /// Samples `eigenvalues`, which are in descending order, and of which `kept` were kept.
    pub fn new(eigenvalues: &[f64], tokens: u64, kept: usize) -> Self {
        let width = eigenvalues.len();
        // Summed from the smallest, so that small fractions are as exact as large ones. Rounding
        // makes some of the eigenvalues that should be zero negative.
        let mut tails = vec![0.0; width + 1];
        for index in (0..width).rev() {
            tails[index] = tails[index + 1] + eigenvalues[index].max(0.0);
        }
        let outside = |directions: usize| {
            if tails[0] > 0.0 { tails[directions.min(width)] / tails[0] } else { 0.0 }
        };
        let largest = eigenvalues.first().copied().filter(|largest| *largest > 0.0);
        let relative = |index: usize| eigenvalues[index].max(0.0) / largest.unwrap_or(1.0);
        let points = sampled(width, kept)
            .into_iter()
            .map(|count| (count, relative(count - 1) as f32, outside(count) as f32))
            .collect();
        Self { width, kept, tokens, lost: outside(kept), points }
    }
}

/// Numbers of directions from 1 to `width`, `kept` among them: half of them in equal steps, half in
/// equal ratios.
fn sampled(width: usize, kept: usize) -> BTreeSet<usize> {
    if width < SpectrumRecord::POINTS {
        return (1..=width).collect();
    }
    let half = (SpectrumRecord::POINTS - 1) / 2;
    let steps = (1..=half).map(|step| width * step / half);
    let ratio = |step: usize| (width as f64).powf(step as f64 / half as f64).round() as usize;
    let ratios = (0..half).map(ratio);
    steps.chain(ratios).chain([kept]).filter(|count| (1..=width).contains(count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spectrum_is_sampled_at_a_bounded_number_of_points() {
        let eigenvalues: Vec<f64> = (0..1000).map(|i| 0.5_f64.powi(i)).collect();
        let record = SpectrumRecord::new(&eigenvalues, 7, 30);
        assert!(record.points.len() <= SpectrumRecord::POINTS);
        assert_eq!((record.points[0].0, record.points.last().unwrap().0), (1, 1000));
        // The tail of a geometric series is exact, however small.
        assert!((record.lost / 0.5_f64.powi(30) - 1.0).abs() < 1e-6, "{}", record.lost);
        assert!(record.points.iter().any(|(count, ..)| *count == 30));
        assert_eq!(record.points.last().unwrap().2, 0.0);
        let few = SpectrumRecord::new(&[3.0, 1.0, 0.0, -1e-9], 7, 1);
        assert_eq!(few.points.len(), 4);
        assert_eq!(few.points[1], (2, 1.0 / 3.0, 0.0));
        assert_eq!(few.lost, 0.25);
        // A signal of zeros loses nothing.
        assert_eq!(SpectrumRecord::new(&[0.0, 0.0], 7, 1).lost, 0.0);
    }
}
