//! Checks the precise sums and products on the device against float64 on the host. Everything else
//! builds on them.

use std::time::Instant;

use anyhow::Result;
use burn::tensor::{DType, Device, Tensor, TensorData};
use slicegpt_calibrate::{Arithmetic, Covariance, Moments, Orientation, principal, random_basis};
use slicegpt_core::precise::product;

use super::context::{Context, attempt};
use crate::{Check, Log};

/// Tolerance of a covariance against float64, relative in the Frobenius norm.
const COVARIANCE: f64 = 1e-10;

/// Tolerance of moments against float64, relative to the norms of the two columns.
const MOMENTS: f64 = 2e-9;

/// Tolerance of the leading directions: the Frobenius norm of their component outside the span of
/// those of float64, which is at least the sine of the largest angle between the two spans.
const DIRECTIONS: f64 = 1e-6;

/// Tolerance of products, in units of the error allowed for two roundings to float32.
const PRODUCT: f64 = 1.0;

/// The distribution of a signal.
#[derive(Clone, Copy)]
enum Kind {
    /// Independent numbers of the same scale.
    White,
    /// A few dimensions 1000 times larger, as in trained decoders.
    Outliers,
    /// A few tokens 1000 times larger, as the first token of a sequence is in trained decoders.
    Massive,
    /// Dimensions whose scales span six decades.
    Graded,
}

const KINDS: [(&str, Kind); 4] = [
    ("white", Kind::White),
    ("outliers", Kind::Outliers),
    ("massive tokens", Kind::Massive),
    ("graded", Kind::Graded),
];

/// Width and tokens of the signals.
struct Size {
    width: usize,
    tokens: usize,
}

pub fn run(context: &Context, log: &mut Log<'_>) -> Result<()> {
    let size = if context.tested()?.software {
        Size { width: 96, tokens: 900 }
    } else {
        Size { width: 512, tokens: 6000 }
    };
    let opened = context.open()?;
    let device = &opened.device;
    for (name, kind) in KINDS {
        let values = signal(kind, &size, 1);
        put(log, name, || covariance(device, &values, &size, name))?;
    }
    for (name, kind) in [KINDS[1], KINDS[3]] {
        let values = signal(kind, &size, 2);
        put(log, name, || directions(device, &values, &size, name))?;
    }
    put(log, "moments", || moments(device, &size))?;
    put(log, "products", || products(device, &size))?;
    Ok(())
}

fn put(log: &mut Log<'_>, name: &str, work: impl FnOnce() -> Result<Vec<Check>>) -> Result<()> {
    match attempt(work) {
        Ok(checks) => checks.into_iter().try_for_each(|check| log.check(check)),
        Err(reason) => log.failed(name, reason),
    }
}

/// Checks the covariance of all tokens, and of some of them.
fn covariance(device: &Device, values: &[f32], size: &Size, name: &str) -> Result<Vec<Check>> {
    let keep: Vec<bool> = (0..size.tokens).map(|i| i % 3 > 0).collect();
    let mut checks = Vec::new();
    for (what, keep) in [("", None), (", padded", Some(&keep[..]))] {
        let began = Instant::now();
        let sum = |device: &Device, arithmetic: Arithmetic| {
            let mut covariance = Covariance::new(size.width, arithmetic);
            covariance.add(on(device, values, size.width), keep);
            covariance.values()
        };
        let found = sum(device, Arithmetic::SplitFloat32)?;
        let wanted = sum(&Device::flex(), Arithmetic::Float64)?;
        let off = distance(&found, &wanted) / length(&wanted);
        let name = format!("{name}{what}, {} x {}", size.tokens, size.width);
        let seconds = began.elapsed().as_secs_f64();
        checks.push(Check::new("covariance", name, off, COVARIANCE, seconds));
    }
    Ok(checks)
}

/// Checks the leading directions: the component of each outside the span of those of float64.
fn directions(device: &Device, values: &[f32], size: &Size, name: &str) -> Result<Vec<Check>> {
    let began = Instant::now();
    let rank = size.width / 3;
    let leading = |device: &Device, arithmetic: Arithmetic| {
        let mut covariance = Covariance::new(size.width, arithmetic);
        covariance.add(on(device, values, size.width), None);
        principal(&covariance, rank, &mut Orientation::Pca).map(|(basis, _)| basis)
    };
    let found = leading(device, Arithmetic::SplitFloat32)?;
    let wanted = leading(&Device::flex(), Arithmetic::Float64)?;
    let (a, b) = (found.values(), wanted.values());
    let mut outside = 0.0;
    for j in 0..rank {
        let column: Vec<f64> = (0..size.width).map(|i| a[i * rank + j]).collect();
        let inside: Vec<f64> =
            (0..rank).map(|k| (0..size.width).map(|i| b[i * rank + k] * column[i]).sum()).collect();
        for i in 0..size.width {
            let back: f64 = (0..rank).map(|k| b[i * rank + k] * inside[k]).sum();
            outside += (column[i] - back).powi(2);
        }
    }
    let name = format!("{name}, {rank} of {}", size.width);
    let seconds = began.elapsed().as_secs_f64();
    Ok(vec![Check::new("directions", name, f64::sqrt(outside), DIRECTIONS, seconds)])
}

/// Checks the moments of regressions: the products of inputs, and of inputs with targets.
fn moments(device: &Device, size: &Size) -> Result<Vec<Check>> {
    let began = Instant::now();
    let (inputs, targets) = (size.width, size.width / 2);
    let x = signal(Kind::Outliers, size, 3);
    let y = signal(Kind::Graded, &Size { width: targets, ..*size }, 4);
    let sums = |device: &Device| -> Result<[Vec<f64>; 2]> {
        let mut moments = Moments::new(inputs, targets);
        moments.add(on(device, &x, inputs), on(device, &y, targets), None, None);
        let [gram, cross] = moments.sums()?;
        let gram_at = (0..inputs).flat_map(|i| (0..=i).map(move |j| (i, j)));
        let cross_at = (0..inputs).flat_map(|i| (0..targets).map(move |j| (i, j)));
        Ok([gram_at.map(|at| gram[at]).collect(), cross_at.map(|at| cross[at]).collect()])
    };
    let [found, wanted] = [sums(device)?, sums(&Device::flex())?];
    let lengths = |values: &[f32], width: usize| -> Vec<f64> {
        let square = |j: usize| values.iter().skip(j).step_by(width).map(|x| f64::from(x * x));
        (0..width).map(|j| square(j).sum::<f64>().sqrt()).collect()
    };
    let (x, y) = (lengths(&x, inputs), lengths(&y, targets));
    let gram = (0..inputs).flat_map(|i| (0..=i).map(move |j| (i, j))).map(|(i, j)| x[i] * x[j]);
    let cross =
        (0..inputs).flat_map(|i| (0..targets).map(move |j| (i, j))).map(|(i, j)| x[i] * y[j]);
    let scales: [Vec<f64>; 2] = [gram.collect(), cross.collect()];
    let worst = |index: usize| {
        let pairs = found[index].iter().zip(&wanted[index]).zip(&scales[index]);
        pairs.fold(0.0, |worst: f64, ((a, b), scale)| larger(worst, (a - b).abs() / scale))
    };
    let seconds = began.elapsed().as_secs_f64();
    let named = [("of inputs", 0), ("of inputs with targets", 1)];
    let check =
        |(name, index): (&str, usize)| Check::new("moments", name, worst(index), MOMENTS, seconds);
    Ok(named.map(check).into())
}

/// Checks products of weights, and of a basis with weights.
fn products(device: &Device, size: &Size) -> Result<Vec<Check>> {
    let began = Instant::now();
    let (rows, n, m) = (size.tokens / 2, size.width / 4, size.width / 6);
    let a = signal(Kind::Outliers, &Size { width: n, tokens: rows }, 5);
    let b = signal(Kind::Massive, &Size { width: m, tokens: rows }, 6);
    let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|x| f64::from(*x)).collect() };
    let found = product(flat(on(device, &a, n)).transpose(), flat(on(device, &b, m)));
    let name = format!("{n} x {rows} x {m}");
    let off = off(&host(found), &wide(&a), &wide(&b), rows);
    let mut checks = vec![Check::new("product", name, off, PRODUCT, began.elapsed().as_secs_f64())];

    let began = Instant::now();
    let basis = random_basis(size.width, 7);
    let w = signal(Kind::White, &Size { width: m, tokens: size.width }, 8);
    let found = basis.on(device).transposed_times(flat(on(device, &w, m)));
    let off = self::off(&host(found), basis.values(), &wide(&w), size.width);
    let name = format!("basis {} x {m}", size.width);
    checks.push(Check::new("product", name, off, PRODUCT, began.elapsed().as_secs_f64()));
    Ok(checks)
}

/// The largest error of `A^T B`, in units of the allowed error: that of rounding the result to
/// float32 twice, plus `2^-32` of the product of the norms of the two columns.
fn off(found: &[f64], a: &[f64], b: &[f64], rows: usize) -> f64 {
    let (n, m) = (a.len() / rows, b.len() / rows);
    let mut worst = 0.0;
    for i in 0..n {
        for j in 0..m {
            let terms = (0..rows).map(|k| (a[k * n + i], b[k * m + j]));
            let sum: f64 = terms.clone().map(|(x, y)| x * y).sum();
            let square = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
            let lengths = square(&mut terms.clone().map(|(x, _)| x)).sqrt()
                * square(&mut terms.map(|(_, y)| y)).sqrt();
            let unit = sum.abs() * 2f64.powi(-23) + lengths * 2f64.powi(-32);
            worst = larger(worst, (found[i * m + j] - sum).abs() / unit);
        }
    }
    worst
}

/// The larger of two numbers; NaN if either is NaN.
fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

fn length(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// Seeded row-major values, `[tokens, width]`.
fn signal(kind: Kind, size: &Size, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    let width = size.width;
    let scale = |i: usize, j: usize| match kind {
        Kind::White => 1.0,
        Kind::Outliers if j % 17 == 3 => 1000.0,
        Kind::Massive if i.is_multiple_of(50) => 1000.0,
        Kind::Outliers | Kind::Massive => 1.0,
        Kind::Graded => 10f64.powf(-6.0 * j as f64 / width as f64),
    };
    // The sum of four is close enough to normal.
    let mut value =
        |at: usize| scale(at / width, at % width) * (0..4).map(|_| uniform()).sum::<f64>();
    (0..size.tokens * width).map(|at| value(at) as f32).collect()
}

fn on(device: &Device, values: &[f32], width: usize) -> Tensor<3> {
    let data = TensorData::new(values.to_vec(), [1, values.len() / width, width]);
    Tensor::from_data(data, (device, DType::F32))
}

fn flat(tensor: Tensor<3>) -> Tensor<2> {
    let [_, rows, width] = tensor.dims();
    tensor.reshape([rows, width])
}

fn host(tensor: Tensor<2>) -> Vec<f64> {
    let data = tensor.cast(DType::F32).into_data_dtype(DType::F64);
    data.try_into_vec().expect("it was just made float64")
}
