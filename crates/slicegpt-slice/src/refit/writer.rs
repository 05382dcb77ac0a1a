//! [`refit_writers`]: one regression for all writers of a sublayer.

use burn::nn::Linear;
use burn::tensor::{Tensor, TensorData};
use faer::MatRef;
use slicegpt_calibrate::{Affine, Moments, Ridge, RidgeError};
use slicegpt_core::{host_vec, replace_param};

/// Refits sliced `writers` together, from moments of their concatenated inputs on the target of
/// their sum. Their present weights are the priors.
///
/// # Errors
///
/// See [`RidgeError`].
///
/// # Panics
///
/// If the widths of the moments do not match.
pub fn refit_writers(
    ridge: &Ridge,
    moments: &Moments,
    mut writers: Vec<&mut Linear>,
) -> Result<(), RidgeError> {
    let width = writers[0].weight.dims()[1];
    let rows: usize = writers.iter().map(|writer| writer.weight.dims()[0]).sum();
    let mut prior = Vec::with_capacity(rows * width);
    for writer in &writers {
        prior.extend(host_vec::<f64, _, _>(writer.weight.val()));
    }
    let prior = MatRef::from_row_major_slice(&prior, rows, width);
    let mut biases: Option<Vec<f64>> = None;
    for bias in writers.iter().filter_map(|writer| writer.bias.as_ref()) {
        let values: Vec<f64> = host_vec(bias.val());
        let sum = biases.get_or_insert_with(|| vec![0.0; width]);
        sum.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
    }
    let Affine { matrix, shift } = ridge.solve(moments, prior, biases.as_deref())?;
    let mut first = 0;
    for writer in &mut writers {
        let [rows, _] = writer.weight.dims();
        let part = matrix.submatrix(first, 0, rows, width);
        first += rows;
        replace_param(&mut writer.weight, |old| tensor(part, &old));
    }
    // There is one constant for all writers. The first bias takes it, the others become zero.
    let mut shift = shift;
    for bias in writers.iter_mut().filter_map(|writer| writer.bias.as_mut()) {
        let values = shift.take().unwrap_or_else(|| vec![0.0; width]);
        replace_param(bias, |old| {
            let data = TensorData::new(values, [width]).convert_dtype(old.dtype());
            Tensor::from_data(data, (&old.device(), old.dtype()))
        });
    }
    Ok(())
}

/// A matrix on the device and in the type of `like`.
fn tensor(values: MatRef<'_, f64>, like: &Tensor<2>) -> Tensor<2> {
    let (rows, columns) = (values.nrows(), values.ncols());
    let row_major: Vec<f64> = (0..rows)
        .flat_map(|i| (0..columns).map(move |j| (i, j)))
        .map(|(i, j)| values[(i, j)])
        .collect();
    let data = TensorData::new(row_major, [rows, columns]).convert_dtype(like.dtype());
    Tensor::from_data(data, (&like.device(), like.dtype()))
}
