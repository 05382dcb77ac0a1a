//! Moments, and regressions from them, on the device that `SLICEGPT_DEVICE` names, against float64
//! on the host.

use burn::tensor::{DType, Tensor, TensorData};
use faer::Mat;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use slicegpt_calibrate::{AnalysisError, Moments, NotFinite, Ridge, RidgeError};
use slicegpt_testkit::device;

/// Rows of a signal whose dimensions differ in magnitude by up to `decades` decades.
fn signal(rows: usize, width: usize, decades: f64, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let scale = |column: usize| 10f64.powf(-decades * column as f64 / width as f64);
    let value = |i: usize, rng: &mut ChaCha8Rng| {
        let x: f64 = StandardNormal.sample(rng);
        ((x + 0.5) * scale(i % width)) as f32
    };
    (0..rows * width).map(|i| value(i, &mut rng)).collect()
}

fn tensor(values: &[f32], width: usize) -> Tensor<3> {
    let data = TensorData::new(values.to_vec(), [1, values.len() / width, width]);
    Tensor::from_data(data, (&device(), DType::F32))
}

/// The kept rows in float64, with a constant, multiplied by their weights.
fn wide(values: &[f32], width: usize, weights: &[f32], keep: &[bool], constant: bool) -> Mat<f64> {
    let kept: Vec<usize> = (0..keep.len()).filter(|i| keep[*i]).collect();
    Mat::from_fn(kept.len(), width + usize::from(constant), |i, j| {
        let row = kept[i];
        let value = if j == width { 1.0 } else { values[row * width + j] };
        // In float32, as the device multiplies.
        f64::from(value * weights[row])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn sums_agree_with_float64(
        rows in 1usize..700,
        inputs in 1usize..40,
        targets in 1usize..40,
        decades in 0.0..6.0,
        seed: u64,
    ) {
        let (x, y) = (signal(rows, inputs, decades, seed), signal(rows, targets, decades, !seed));
        let weights: Vec<f32> = (0..rows).map(|i| 1.0 + (i % 3) as f32).collect();
        let keep: Vec<bool> = (0..rows).map(|i| i % 5 != 4).collect();
        let mut moments = Moments::new(inputs, targets);
        let weigh = tensor(&weights, 1);
        moments.add(tensor(&x, inputs), tensor(&y, targets), Some(weigh), Some(&keep));
        prop_assert_eq!(moments.tokens(), keep.iter().filter(|keep| **keep).count() as u64);
        let [gram, cross] = moments.sums().unwrap();
        let x = wide(&x, inputs, &weights, &keep, true);
        let y = wide(&y, targets, &weights, &keep, false);
        let (expected_gram, expected_cross) = (x.transpose() * &x, x.transpose() * &y);
        let norms = |m: &Mat<f64>| -> Vec<f64> {
            (0..m.ncols()).map(|j| m.col(j).norm_l2()).collect()
        };
        let (x, y) = (norms(&x), norms(&y));
        for i in 0..=inputs {
            for j in 0..=i {
                let off = (gram[(i, j)] - expected_gram[(i, j)]).abs();
                prop_assert!(off <= 2e-9 * x[i] * x[j], "{} {}: {}", i, j, off);
            }
            for j in 0..targets {
                let off = (cross[(i, j)] - expected_cross[(i, j)]).abs();
                prop_assert!(off <= 2e-9 * x[i] * y[j], "{} {}: {}", i, j, off);
            }
        }
    }
}

/// With enough tokens, the regression finds the weights and the constant that made the data.
#[test]
fn a_regression_finds_the_map() {
    let (rows, inputs, targets) = (4000, 7, 5);
    let x = signal(rows, inputs, 0.0, 1);
    let map = |i: usize, j: usize| (1 + i) as f64 - 0.7 * j as f64;
    let y: Vec<f32> = (0..rows * targets)
        .map(|at| {
            let (row, j) = (at / targets, at % targets);
            let sum: f64 = (0..inputs).map(|i| f64::from(x[row * inputs + i]) * map(i, j)).sum();
            (sum + 3.0 * j as f64) as f32
        })
        .collect();
    let mut moments = Moments::new(inputs, targets);
    moments.add(tensor(&x, inputs), tensor(&y, targets), None, None);
    let prior = Mat::zeros(inputs, targets);
    let ridge = Ridge { lambda: 0.0 };
    let found = ridge.solve(&moments, prior.as_ref(), Some(&[0.0; 5])).unwrap();
    let shift = found.shift.unwrap();
    for (j, shift) in shift.iter().enumerate() {
        for i in 0..inputs {
            let off = (found.matrix[(i, j)] - map(i, j)).abs();
            assert!(off < 0.05, "{i} {j}: {}", found.matrix[(i, j)]);
        }
        assert!((shift - 3.0 * j as f64).abs() < 0.05, "{j}: {shift}");
    }
}

/// Without tokens, or with padding only, the solution is the prior.
#[test]
fn without_data_the_solution_is_the_prior() {
    let moments = Moments::new(3, 2);
    let prior = Mat::from_fn(3, 2, |i, j| (i + 2 * j) as f64);
    let found = Ridge::default().solve(&moments, prior.as_ref(), Some(&[4.0, 5.0])).unwrap();
    assert!((&found.matrix - &prior).norm_max() < 1e-9);
    assert_eq!(found.shift.unwrap(), [4.0, 5.0]);
    let mut moments = Moments::new(3, 2);
    let x = tensor(&signal(2, 3, 0.0, 5), 3);
    moments.add(x, tensor(&[1.0; 4], 2), None, Some(&[false, false]));
    assert_eq!(moments.tokens(), 0);
}

#[test]
fn signals_that_are_not_finite_are_errors() {
    for (x, y) in [(f32::NAN, 1.0), (1.0, f32::INFINITY), (f32::NEG_INFINITY, 1.0)] {
        let mut moments = Moments::new(2, 1);
        moments.add(tensor(&[1.0, x], 2), tensor(&[y], 1), None, None);
        assert_eq!(moments.sums().err(), Some(NotFinite));
        let prior = Mat::zeros(2, 1);
        let error = Ridge::default().solve(&moments, prior.as_ref(), None).err();
        assert_eq!(error, Some(RidgeError::Analysis(AnalysisError::ActivationsNotFinite)));
    }
}
