//! Covariances on the device that `SLICEGPT_DEVICE` names, against float64 products by faer.

use burn::tensor::{DType, Device, Tensor, TensorData};
use faer::{Mat, Side};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rand_distr::{Distribution, StandardNormal};
use slicegpt_calibrate::{Arithmetic, Covariance, NotFinite, Orientation, principal};
use slicegpt_testkit::device;

const BOTH: [Arithmetic; 2] = [Arithmetic::Float64, Arithmetic::SplitFloat32];

/// The kind of signal of a test.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Independent numbers of one magnitude: the hardest case, because the Frobenius norm of the
    /// sum is smallest.
    White,
    /// A few dimensions 1000 times larger, as in trained decoders.
    Outliers,
    /// A few tokens 1000 times larger, as the first token of a sequence is in trained decoders.
    Massive,
    /// Eigenvalues over 12 decades, in directions that are not coordinate axes.
    Graded,
}

/// Row-major float32 values, `[tokens, width]`.
fn signal(kind: Kind, tokens: usize, width: usize, seed: u64) -> Vec<f32> {
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    let mut normal = |rows, columns| -> Mat<f64> {
        Mat::from_fn(rows, columns, |_, _| StandardNormal.sample(&mut *rng))
    };
    let white = normal(tokens, width);
    let signal = match kind {
        Kind::White => white,
        Kind::Outliers => Mat::from_fn(tokens, width, |i, j| {
            white[(i, j)] * if j % 17 == 3 { 1000.0 } else { 1.0 }
        }),
        Kind::Massive => Mat::from_fn(tokens, width, |i, j| {
            white[(i, j)] * if i % 50 == 0 { 1000.0 } else { 1.0 }
        }),
        Kind::Graded => {
            let directions = normal(width, width).qr().compute_Q();
            let decay = |j: usize| 10f64.powf(-6.0 * j as f64 / (width - 1).max(1) as f64);
            let scaled = Mat::from_fn(tokens, width, |i, j| white[(i, j)] * decay(j));
            &scaled * directions.transpose()
        }
    };
    (0..tokens).flat_map(|i| (0..width).map(move |j| (i, j))).map(|at| signal[at] as f32).collect()
}

/// The full sum in float64.
fn exact(values: &[f32], width: usize, keep: Option<&[bool]>) -> Mat<f64> {
    let rows = values.chunks(width).enumerate();
    let rows: Vec<_> = rows.filter(|(i, _)| keep.is_none_or(|keep| keep[*i])).collect();
    let x = Mat::from_fn(rows.len(), width, |i, j| f64::from(rows[i].1[j]));
    x.transpose() * &x
}

fn on(device: &Device, values: &[f32], width: usize) -> Tensor<3> {
    let data = TensorData::new(values.to_vec(), [1, values.len() / width, width]);
    Tensor::from_data(data, (device, DType::F32))
}

fn full(covariance: &Covariance) -> Mat<f64> {
    let lower = covariance.lower().unwrap();
    Mat::from_fn(lower.nrows(), lower.nrows(), |i, j| lower[(i.max(j), i.min(j))])
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::White), Just(Kind::Outliers), Just(Kind::Massive), Just(Kind::Graded)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A relative error of 1e-10 in the Frobenius norm, for any shape, any signal, and one batch or
    /// two.
    #[test]
    fn sums_have_double_precision_accuracy(
        kind in kinds(),
        width in 1usize..180,
        tokens in 1usize..700,
        seed in any::<u64>(),
        padded in any::<bool>(),
        magnitude in -20i32..20,
    ) {
        let device = device();
        let mut values = signal(kind, tokens, width, seed);
        values.iter_mut().for_each(|x| *x *= 2f32.powi(magnitude));
        let keep: Vec<bool> = (0..tokens).map(|i| i % 3 > 0).collect();
        let keep = padded.then_some(keep.as_slice());
        let expected = exact(&values, width, keep);
        for arithmetic in BOTH {
            let mut covariance = Covariance::new(width, arithmetic);
            for rows in [0..tokens / 2, tokens / 2..tokens] {
                let part = &values[rows.start * width..rows.end * width];
                if !part.is_empty() {
                    covariance.add(on(&device, part, width), keep.map(|keep| &keep[rows]));
                }
            }
            let (error, norm) = ((full(&covariance) - &expected).norm_l2(), expected.norm_l2());
            prop_assert!(error <= 1e-10 * norm, "{kind:?} {arithmetic:?}: {:e}", error / norm);
            let kept = keep.map_or(tokens, |keep| keep.iter().filter(|keep| **keep).count());
            prop_assert_eq!(covariance.tokens(), kept as u64);
        }
    }
}

/// The leading directions agree with those of float64, for a signal whose eigenvalues span 12
/// decades and for one with dimensions that are 1000 times larger than the others. Plain float32
/// fails this test.
#[test]
fn the_leading_subspace_agrees_with_float64() {
    let (width, tokens, rank) = (96, 1500, 40);
    let leading = |h: &Mat<f64>| {
        let eigen = h.self_adjoint_eigen(Side::Lower).unwrap();
        eigen.U().subcols(width - rank, rank).to_owned()
    };
    // The sine of the largest angle between two subspaces is at most this.
    let angle = |a: &Mat<f64>, b: &Mat<f64>| (a - b * (b.transpose() * a)).norm_l2();
    for kind in [Kind::Outliers, Kind::Graded] {
        let values = signal(kind, tokens, width, 5);
        let expected = leading(&exact(&values, width, None));
        let x = Mat::from_fn(tokens, width, |i, j| values[i * width + j]);
        let single = x.transpose() * &x;
        let single = leading(&Mat::from_fn(width, width, |i, j| f64::from(single[(i, j)])));
        let by_float32 = angle(&single, &expected);
        for arithmetic in BOTH {
            let mut covariance = Covariance::new(width, arithmetic);
            covariance.add(on(&device(), &values, width), None);
            let found = angle(&leading(&full(&covariance)), &expected);
            assert!(found < 1e-6, "{kind:?} {arithmetic:?}: {found:e}");
            assert!(found < by_float32 / 20.0, "{kind:?}: {found:e} against {by_float32:e}");
            let (basis, _) = principal(&covariance, rank, &mut Orientation::Pca).unwrap();
            let basis = Mat::from_fn(width, rank, |i, j| basis.values()[i * rank + j]);
            assert!(angle(&basis, &expected) < 1e-6);
        }
    }
}

#[test]
fn signals_that_are_not_finite_are_errors() {
    for damage in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for arithmetic in BOTH {
            let mut values = signal(Kind::White, 40, 7, 1);
            values[123] = damage;
            let mut covariance = Covariance::new(7, arithmetic);
            covariance.add(on(&device(), &values, 7), None);
            assert_eq!(covariance.lower().err(), Some(NotFinite), "{damage} {arithmetic:?}");
            // Padding does not count.
            let keep: Vec<bool> = (0..40).map(|i| i != 123 / 7).collect();
            let mut covariance = Covariance::new(7, arithmetic);
            covariance.add(on(&device(), &values, 7), Some(&keep));
            assert!(covariance.lower().is_ok(), "{damage} {arithmetic:?}");
        }
    }
}

#[test]
fn the_covariance_of_zeros_is_zero() {
    for arithmetic in BOTH {
        let mut covariance = Covariance::new(5, arithmetic);
        covariance.add(on(&device(), &[0.0; 50], 5), None);
        assert_eq!(full(&covariance).norm_max(), 0.0);
    }
}
