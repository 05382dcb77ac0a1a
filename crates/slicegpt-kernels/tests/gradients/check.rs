//! Random tensors, and gradients compared with central differences.

use burn::tensor::{Device, Gradients, Tensor, TensorData};

/// Seeded numbers between -1 and 1.
pub fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// A random tensor without autodiff.
pub fn plain<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let values = random(shape.iter().product(), seed);
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// The numbers of a tensor, row-major.
pub fn values<const D: usize>(x: &Tensor<D>) -> Vec<f32> {
    x.clone().without_autodiff().into_data().try_into_vec().unwrap()
}

/// `sum c y` with random numbers `c`, and its backward pass.
pub fn backward<const D: usize>(y: &Tensor<D>) -> Gradients {
    let c = plain(y.dims(), 99).autodiff();
    (y.clone() * c).sum().backward()
}

/// Fails if a gradient is not near that of Burn.
pub fn assert_near<const D: usize>(what: &str, found: Option<Tensor<D>>, exact: Option<Tensor<D>>) {
    let (found, exact) = match (found, exact) {
        (None, None) => return,
        (found, exact) => (found.expect("a gradient"), exact.expect("a gradient of Burn")),
    };
    assert_eq!(found.dims(), exact.dims(), "{what}");
    let most = values(&exact).iter().fold(0.0f32, |most, x| most.max(x.abs()));
    for (found, exact) in values(&found).into_iter().zip(values(&exact)) {
        assert!((found - exact).abs() <= 2e-5 * most + 1e-6, "{what}: {found}, of Burn {exact}");
    }
}

/// Fails if the gradient of `sum c y` for input `index` is not that of central differences of
/// `formula` in float64, which computes `y` from all inputs.
pub fn assert_central<const D: usize>(
    what: &str,
    found: &Tensor<D>,
    inputs: &[Vec<f32>],
    index: usize,
    formula: impl Fn(&[Vec<f64>]) -> Vec<f64>,
) {
    const STEP: f64 = 1e-4;
    let inputs: Vec<Vec<f64>> =
        inputs.iter().map(|x| x.iter().map(|x| f64::from(*x)).collect()).collect();
    let sum = |inputs: &[Vec<f64>]| -> f64 {
        let y = formula(inputs);
        let c = random(y.len(), 99);
        y.iter().zip(c).map(|(y, c)| y * f64::from(c)).sum()
    };
    let found = values(found);
    assert_eq!(found.len(), inputs[index].len(), "{what}: input {index}");
    let exact: Vec<f64> = (0..found.len())
        .map(|at| {
            let moved = |by: f64| {
                let mut inputs = inputs.clone();
                inputs[index][at] += by;
                sum(&inputs)
            };
            (moved(STEP) - moved(-STEP)) / (2.0 * STEP)
        })
        .collect();
    let most = exact.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    for (found, exact) in found.into_iter().zip(exact) {
        let error = (f64::from(found) - exact).abs();
        assert!(error <= 2e-5 * most + 1e-6, "{what}, input {index}: {found}, exactly {exact}");
    }
}
