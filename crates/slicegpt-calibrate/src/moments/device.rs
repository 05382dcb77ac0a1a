//! The sums to double-precision accuracy, from float32 products on an accelerator. They stay there:
//! nothing is read back.

use burn::tensor::Tensor;
use slicegpt_core::precise::{OperandPrecision, ROWS, Split, Total};

use crate::covariance::zero_padding;

/// Adds the kept rows of inputs, `[n, inputs]`, each followed by the constant, `[n, 1]`, and of
/// targets, `[n, targets]`.
pub fn add(
    gram: &mut Total,
    cross: &mut Total,
    [x, y, constant]: [Tensor<2>; 3],
    keep: Option<&[bool]>,
) {
    let [n, _] = x.dims();
    let precision = OperandPrecision::of(&x.device());
    let x = zero_padding(Tensor::cat(vec![x, constant], 1), keep);
    let y = zero_padding(y, keep);
    for start in (0..n).step_by(ROWS) {
        let some =
            |x: &Tensor<2>| Split::new(x.clone().narrow(0, start, ROWS.min(n - start)), precision);
        let (x, y) = (some(&x), some(&y));
        gram.add_gram(&x);
        cross.add(&x, &y);
    }
}
