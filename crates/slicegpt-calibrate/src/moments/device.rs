//! The sums to double-precision accuracy, from float32 products on an accelerator.

use burn::tensor::Tensor;
use faer::Mat;
use slicegpt_core::host_vec;
use slicegpt_core::precise::{CHUNK, LOW, OperandPrecision, Split, Sums};

use crate::covariance::zero_padding;
use crate::error::NotFinite;

/// The number of rows added before the sums are read on the host: 64 sums below 2^25 fit into an
/// `i32`.
const ROWS: usize = 64 * CHUNK;

/// Adds the kept rows of inputs, `[n, inputs]`, each followed by the constant, `[n, 1]`, and of
/// targets, `[n, targets]`.
///
/// # Errors
///
/// If a value is not finite.
pub fn add(
    gram: &mut Mat<f64>,
    cross: &mut Mat<f64>,
    [x, y, constant]: [Tensor<2>; 3],
    keep: Option<&[bool]>,
) -> Result<(), NotFinite> {
    let [n, _] = x.dims();
    let precision = OperandPrecision::of(&x.device());
    let x = zero_padding(Tensor::cat(vec![x, constant], 1), keep);
    let y = zero_padding(y, keep);
    for start in (0..n).step_by(ROWS) {
        let some = |x: &Tensor<2>| x.clone().narrow(0, start, ROWS.min(n - start));
        let x = Split::new(some(&x), precision).ok_or(NotFinite)?;
        let y = Split::new(some(&y), precision).ok_or(NotFinite)?;
        add_product(gram, &x, &x, true);
        add_product(cross, &x, &y, false);
    }
    Ok(())
}

/// Adds `A^T B`, or only its lower triangle.
fn add_product(sum: &mut Mat<f64>, a: &Split, b: &Split, lower: bool) {
    let Sums { high, cross, rest } = a.sums(b);
    let (high, cross): (Vec<i32>, Vec<i32>) = (host_vec(high), host_vec(cross));
    let rest: Vec<f32> = host_vec(rest);
    let (a, b) = (a.units(), b.units());
    for j in 0..sum.ncols() {
        for i in if lower { j } else { 0 }..sum.nrows() {
            let at = i * b.len() + j;
            let below = f64::from(cross[at]) + f64::from(rest[at]);
            sum[(i, j)] += (f64::from(high[at]) + below / LOW) * a[i] * b[j];
        }
    }
}
