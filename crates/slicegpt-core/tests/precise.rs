//! Products to double-precision accuracy, on the device that `SLICEGPT_DEVICE` names.

use burn::tensor::{DType, Device, Tensor, TensorData};
use slicegpt_core::precise::{OperandPrecision, PreciseMatrix, ROWS, Split, Total, product};
use slicegpt_core::{Basis, host_vec};
use slicegpt_testkit::device;

/// Seeded numbers between -1 and 1, with some columns and some single numbers that are much larger.
fn numbers(rows: usize, columns: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    let number = |i: usize| {
        let column = if i % columns % 7 == 2 { 1000.0 } else { 1.0 };
        next() * column * if i % 31 == 5 { 50.0 } else { 1.0 }
    };
    (0..rows * columns).map(number).collect()
}

fn rounded(values: &[f64]) -> Vec<f64> {
    values.iter().map(|x| f64::from(*x as f32)).collect()
}

fn on(device: &Device, values: &[f64], [rows, columns]: [usize; 2]) -> Tensor<2> {
    let data = TensorData::new(values.to_vec(), [rows, columns]).convert_dtype(DType::F32);
    Tensor::from_data(data, (device, DType::F32))
}

fn values(tensor: Tensor<2>) -> Vec<f64> {
    host_vec(tensor)
}

/// `A^T B` of row-major matrices with `rows` rows, and the tolerance for rounding in float32.
fn exact(a: &[f64], b: &[f64], rows: usize) -> Vec<(f64, f64)> {
    let (n, m) = (a.len() / rows, b.len() / rows);
    let mut all = Vec::new();
    for i in 0..n {
        for j in 0..m {
            let terms = (0..rows).map(|k| (a[k * n + i], b[k * m + j]));
            let sum: f64 = terms.clone().map(|(x, y)| x * y).sum();
            let lengths: f64 = terms.clone().map(|(x, _)| x * x).sum::<f64>().sqrt()
                * terms.map(|(_, y)| y * y).sum::<f64>().sqrt();
            // The result is rounded twice; the error of its terms is negligible.
            all.push((sum, sum.abs() * 2f64.powi(-23) + lengths * 2f64.powi(-32)));
        }
    }
    all
}

fn check(found: &[f64], expected: &[(f64, f64)], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, (expected, tolerance)) in found.iter().zip(expected) {
        let off = (found - expected).abs();
        assert!(off <= *tolerance, "{what}: {found}, not {expected}: {off:e} over {tolerance:e}");
    }
}

const SHAPES: [[usize; 3]; 5] = [[1, 1, 1], [3, 5, 2], [40, 300, 17], [70, 256, 33], [9, 700, 20]];

#[test]
fn products_are_correct_in_all_places_but_the_last() {
    let device = device();
    for (seed, [n, rows, m]) in (1..).zip(SHAPES) {
        let a = rounded(&numbers(rows, n, seed));
        let b = rounded(&numbers(rows, m, seed + 100));
        let expected = exact(&a, &b, rows);
        let left = || on(&device, &a, [rows, n]);
        let right = || on(&device, &b, [rows, m]);
        let by_device = product(left().transpose(), right()).cast(DType::F32);
        check(&values(by_device), &expected, "by device");
        for precision in [OperandPrecision::Float32, OperandPrecision::Tf32] {
            let split = |x| Split::new(x, precision);
            let found = split(left()).product(&split(right()));
            check(&values(found), &expected, &format!("{precision:?} {n} x {rows} x {m}"));
        }
    }
}

#[test]
fn float64_matrices_keep_their_precision_on_the_device() {
    let device = device();
    for (seed, [n, rows, m]) in (7..).zip(SHAPES) {
        let (basis, w) = (numbers(rows, n, seed), rounded(&numbers(rows, m, seed + 100)));
        let transposed: Vec<f64> = (0..m * rows).map(|i| w[(i % rows) * m + i / rows]).collect();
        let expected = exact(&basis, &w, rows);
        let mirrored = exact(&w, &basis, rows);
        let both = [OperandPrecision::Float32, OperandPrecision::Tf32]
            .map(|precision| PreciseMatrix::split(&basis, [rows, n], &device, precision));
        let by_device = [PreciseMatrix::from_f64(&basis, [rows, n], &device)];
        for matrix in by_device.iter().chain(&both) {
            let read = matrix.transposed_times(on(&device, &w, [rows, m]));
            check(&values(read), &expected, "B^T W");
            let written = matrix.apply(on(&device, &transposed, [m, rows]));
            check(&values(written), &mirrored, "W B");
            let square = matrix.transposed_times_matrix(matrix, DType::F32);
            check(&values(square), &exact(&basis, &basis, rows), "B^T B");
        }
    }
}

#[test]
fn axes_change_nothing() {
    let axes = Basis::axes(5, 5).on(&device());
    assert!(axes.is_identity());
    let w = rounded(&numbers(5, 3, 9));
    assert_eq!(values(axes.transposed_times(on(&device(), &w, [5, 3]))), w);
}

#[test]
fn numbers_that_are_not_finite_make_their_products_not_finite() {
    for damage in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut damaged = numbers(300, 4, 1);
        damaged[777] = damage;
        for precision in [OperandPrecision::Float32, OperandPrecision::Tf32] {
            let split = Split::new(on(&device(), &damaged, [300, 4]), precision);
            let product = values(split.product(&split));
            let mut total = Total::new();
            total.add_gram(&split);
            assert!(!total.is_finite() && Total::new().is_finite());
            let total = total.read().unwrap();
            for (at, product) in product.into_iter().enumerate() {
                let (i, j) = (at / 4, at % 4);
                let finite = i != 777 % 4 && j != 777 % 4;
                assert_eq!(product.is_finite(), finite, "{precision:?}, {damage}, {at}");
                assert_eq!(total.at(i, j).is_finite(), finite, "{precision:?}, {damage}, {at}");
            }
        }
    }
    let zeros = Split::new(on(&device(), &[0.0; 12], [4, 3]), OperandPrecision::Float32);
    assert!(values(zeros.product(&zeros)).iter().all(|x| *x == 0.0));
}

/// Terms of very different magnitudes, rising and falling, column by column.
#[test]
fn totals_have_double_precision_accuracy() {
    let (device, rows, n, m) = (device(), 300, 7, 5);
    for precision in [OperandPrecision::Float32, OperandPrecision::Tf32] {
        let (mut gram, mut cross) = (Total::new(), Total::new());
        assert!(gram.read().is_none());
        let (mut all_a, mut all_b) = (Vec::new(), Vec::new());
        for (term, magnitude) in [0, 3, -9, 9, 30, 29, -60, 31].into_iter().enumerate() {
            let seed = term as u64 + 1;
            let scale = |values: Vec<f64>, columns: usize| -> Vec<f64> {
                let by = |column: usize| 2f64.powi(magnitude - (column * term) as i32);
                values.iter().enumerate().map(|(i, x)| x * by(i % columns)).collect()
            };
            let a = rounded(&scale(numbers(rows, n, seed), n));
            let b = rounded(&scale(numbers(rows, m, seed + 100), m));
            let split = |x: &[f64], columns| Split::new(on(&device, x, [rows, columns]), precision);
            let (left, right) = (split(&a, n), split(&b, m));
            gram.add_gram(&left);
            cross.add(&left, &right);
            all_a.extend(a);
            all_b.extend(b);
            let [gram, cross] = [&gram, &cross].map(|total| total.read().unwrap());
            assert_eq!([gram.shape(), cross.shape()], [[n, n], [n, m]]);
            let norms = |values: &[f64], columns: usize| -> Vec<f64> {
                let column = |j| values.iter().skip(j).step_by(columns);
                (0..columns).map(|j| column(j).map(|x| x * x).sum::<f64>().sqrt()).collect()
            };
            let (a_norms, b_norms) = (norms(&all_a, n), norms(&all_b, m));
            for i in 0..n {
                let sum = |other: &[f64], columns: usize, j: usize| -> f64 {
                    (0..all_a.len() / n).map(|k| all_a[k * n + i] * other[k * columns + j]).sum()
                };
                for j in 0..n {
                    let off = (gram.at(i, j) - sum(&all_a, n, j)).abs() / (a_norms[i] * a_norms[j]);
                    assert!(off <= 2f64.powi(-32), "{precision:?}, {term}, {i} {j}: {off:e}");
                }
                for (j, b_norm) in b_norms.iter().enumerate() {
                    let off = (cross.at(i, j) - sum(&all_b, m, j)).abs() / (a_norms[i] * b_norm);
                    assert!(off <= 2f64.powi(-32), "{precision:?}, {term}, {i} {j}: {off:e}");
                }
            }
        }
    }
}

/// More than 32 bits of integers: the sum of 2^20 tokens of the largest magnitude.
#[test]
fn totals_hold_many_tokens() {
    let ones = Tensor::<2>::ones([ROWS, 2], (&device(), DType::F32));
    let split = Split::new(ones, OperandPrecision::Float32);
    let mut total = Total::new();
    for _ in 0..64 {
        total.add_gram(&split);
    }
    assert!(total.is_finite());
    let total = total.read().unwrap();
    assert_eq!([total.at(0, 0), total.at(1, 0)], [(64 * ROWS) as f64; 2]);
}

/// A large negative sum, then a token so long that the sum is a fraction of its unit.
#[test]
fn totals_survive_a_jump_of_the_unit() {
    let split = |rows: Vec<f64>| {
        let shape = [rows.len() / 2, 2];
        Split::new(on(&device(), &rows, shape), OperandPrecision::Float32)
    };
    for jump in [8192.0, 131_072.0] {
        let mut total = Total::new();
        total.add_gram(&split([1.0, -1.0].repeat(1024)));
        total.add_gram(&split(vec![jump; 2]));
        let off = total.read().unwrap().at(1, 0) - (jump * jump - 1024.0);
        assert!(off.abs() <= 2f64.powi(-38) * jump * jump, "{jump}: {off}");
    }
}
