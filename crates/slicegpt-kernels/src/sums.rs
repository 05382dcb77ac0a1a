//! Sums in float32 with many partial sums, for speed and accuracy.

use rayon::prelude::*;

/// The number of partial sums kept for each sum: a register of AVX-512.
const LANES: usize = 16;

/// The number of rows that a thread sums at a time.
const ROWS: usize = 128;

/// The sum of all numbers.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    let (whole, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for x in whole {
        for lane in 0..LANES {
            sums[lane] += x[lane];
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += x;
    }
    sums.iter().sum()
}

/// The sum of `(x - mean)^2`.
#[inline(always)]
pub(crate) fn sum_of_squares(x: &[f32], mean: f32) -> f32 {
    let (whole, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for x in whole {
        for lane in 0..LANES {
            sums[lane] += (x[lane] - mean) * (x[lane] - mean);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += (x - mean) * (x - mean);
    }
    sums.iter().sum()
}

/// The sum of `(x - mean) y`.
#[inline(always)]
pub(crate) fn sum_of_products(x: &[f32], mean: f32, y: &[f32]) -> f32 {
    let (whole, rest) = x.as_chunks::<LANES>();
    let (whole2, rest2) = y.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (x, y) in whole.iter().zip(whole2) {
        for lane in 0..LANES {
            sums[lane] += (x[lane] - mean) * y[lane];
        }
    }
    for (sum, (x, y)) in sums.iter_mut().zip(rest.iter().zip(rest2)) {
        *sum += (x - mean) * y;
    }
    sums.iter().sum()
}

/// The sum of the rows of a matrix, on all threads.
///
/// # Shapes
/// - `x`: `[rows, width]`
/// - output: `[width]`
pub(crate) fn sum_of_rows(x: &[f32], width: usize) -> Vec<f32> {
    let pieces = x.par_chunks(ROWS * width).map(|rows| {
        let mut sums = vec![0.0; width];
        rows.chunks_exact(width).for_each(|row| add(&mut sums, row));
        sums
    });
    total(pieces.collect(), width)
}

/// The sum of vectors of one length.
pub(crate) fn total(vectors: Vec<Vec<f32>>, width: usize) -> Vec<f32> {
    vectors.into_iter().fold(vec![0.0; width], |mut sums, vector| {
        add(&mut sums, &vector);
        sums
    })
}

fn add(sums: &mut [f32], row: &[f32]) {
    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_the_sums() {
        for length in [1, 15, 16, 17, 100] {
            let x: Vec<f32> = (0..length).map(|i| (i % 7) as f32 - 2.0).collect();
            let y: Vec<f32> = (0..length).map(|i| (i % 5) as f32 - 1.0).collect();
            assert_eq!(sum(&x), x.iter().sum::<f32>());
            let products = x.iter().zip(&y).map(|(x, y)| (x - 3.0) * y);
            assert_eq!(sum_of_products(&x, 3.0, &y), products.sum::<f32>());
            assert_eq!(sum_of_squares(&x, 1.0), x.iter().map(|x| (x - 1.0).powi(2)).sum::<f32>());
        }
        let rows: Vec<f32> = (0..3 * 500).map(|i| (i % 3) as f32).collect();
        assert_eq!(sum_of_rows(&rows, 3), [0.0, 500.0, 1000.0]);
    }
}
