//! The sum of outer products to double-precision accuracy, from float32 products on an accelerator.
//! It stays there: nothing is read back.

use burn::tensor::{Bool, Tensor, TensorData};
use slicegpt_core::precise::{OperandPrecision, ROWS, Split, Total};

/// Adds the outer products of `rows`, `[n, width]`.
pub fn add(total: &mut Total, rows: Tensor<2>, keep: Option<&[bool]>) {
    let [n, _] = rows.dims();
    let precision = OperandPrecision::of(&rows.device());
    let rows = zero_padding(rows, keep);
    for start in (0..n).step_by(ROWS) {
        let some = rows.clone().narrow(0, start, ROWS.min(n - start));
        total.add_gram(&Split::new(some, precision));
    }
}

/// `rows`, `[n, width]`, with zeros where `keep` is false.
pub fn zero_padding(rows: Tensor<2>, keep: Option<&[bool]>) -> Tensor<2> {
    let Some(keep) = keep else { return rows };
    let shape @ [n, _] = rows.dims();
    let padding: Vec<bool> = keep.iter().map(|keep| !keep).collect();
    let padding = Tensor::<2, Bool>::from_data(TensorData::new(padding, [n, 1]), &rows.device());
    rows.mask_fill(padding.expand(shape), 0.0)
}
