//! The sum of outer products to double-precision accuracy, from float32 products on an accelerator.

use burn::tensor::{Bool, Tensor, TensorData};
use faer::Mat;
use rayon::prelude::*;
use slicegpt_core::host_vec;
use slicegpt_core::precise::{Gram, LOW, OperandPrecision, Split};

use crate::error::NotFinite;

/// The number of rows added before the sums are read on the host: 128 sums below 2^24 fit into an
/// `i32`.
const ROWS: usize = 128 * slicegpt_core::precise::CHUNK;

/// Adds the outer products of `rows`, `[n, width]`, to the lower triangle.
///
/// # Errors
///
/// If a value is not finite.
pub fn add(lower: &mut Mat<f64>, rows: Tensor<2>, keep: Option<&[bool]>) -> Result<(), NotFinite> {
    let [n, width] = rows.dims();
    let device = rows.device();
    let rows = zero_padding(rows, keep);
    let precision = OperandPrecision::of(&device);
    for start in (0..n).step_by(ROWS) {
        let chunk = rows.clone().narrow(0, start, ROWS.min(n - start));
        let split = Split::new(chunk, precision).ok_or(NotFinite)?;
        let Gram { high, cross, rest } = split.gram();
        let (high, cross): (Vec<i32>, Vec<i32>) = (host_vec(high), host_vec(cross));
        let rest: Vec<f32> = host_vec(rest);
        let units = split.units();
        // The sums are row-major. The result is symmetric because `cross` and `rest` are added to
        // their transposes.
        let columns: Vec<_> = lower.par_col_iter_mut().enumerate().collect::<Vec<_>>();
        columns.into_par_iter().for_each(|(j, column)| {
            let column = column.try_as_col_major_mut().expect("columns").as_slice_mut();
            for (i, sum) in column.iter_mut().enumerate().skip(j) {
                let (at, mirrored) = (i * width + j, j * width + i);
                let below = f64::from(cross[at])
                    + f64::from(cross[mirrored])
                    + f64::from(rest[at])
                    + f64::from(rest[mirrored]);
                *sum += (f64::from(high[at]) + below / LOW) * units[i] * units[j];
            }
        });
    }
    Ok(())
}

/// `rows`, `[n, width]`, with zeros where `keep` is false.
pub fn zero_padding(rows: Tensor<2>, keep: Option<&[bool]>) -> Tensor<2> {
    let Some(keep) = keep else { return rows };
    let shape @ [n, _] = rows.dims();
    let padding: Vec<bool> = keep.iter().map(|keep| !keep).collect();
    let padding = Tensor::<2, Bool>::from_data(TensorData::new(padding, [n, 1]), &rows.device());
    rows.mask_fill(padding.expand(shape), 0.0)
}
