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
    writers: Vec<&mut Linear>,
) -> Result<(), RidgeError> {
    let (prior, width) = weight_of(writers.iter().map(|writer| &**writer));
    let prior = MatRef::from_row_major_slice(&prior, prior.len() / width, width);
    let biases = bias_of(writers.iter().map(|writer| &**writer));
    let Affine { matrix, shift } = ridge.solve(moments, prior, biases.as_deref())?;
    set_writers(writers, matrix.as_ref(), shift);
    Ok(())
}

/// The weights of all writers below each other, row-major, and their number of outputs.
pub(super) fn weight_of<'a>(writers: impl Iterator<Item = &'a Linear>) -> (Vec<f64>, usize) {
    let (mut all, mut width) = (Vec::new(), 1);
    for writer in writers {
        width = writer.weight.dims()[1];
        all.extend(host_vec::<f64, _, _>(writer.weight.val()));
    }
    (all, width)
}

/// The sum of the biases, if there are any.
pub(super) fn bias_of<'a>(writers: impl Iterator<Item = &'a Linear>) -> Option<Vec<f64>> {
    let mut all: Option<Vec<f64>> = None;
    for bias in writers.filter_map(|writer| writer.bias.as_ref()) {
        let values: Vec<f64> = host_vec(bias.val());
        let sum = all.get_or_insert_with(|| vec![0.0; values.len()]);
        sum.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
    }
    all
}

/// Replaces the weights of `writers` by rows of `matrix`, one after the other. There is one
/// constant for all: the first bias takes it, the others become zero.
pub(super) fn set_writers(
    mut writers: Vec<&mut Linear>,
    matrix: MatRef<'_, f64>,
    mut shift: Option<Vec<f64>>,
) {
    let width = matrix.ncols();
    let mut first = 0;
    for writer in &mut writers {
        let [rows, _] = writer.weight.dims();
        let part = matrix.submatrix(first, 0, rows, width);
        first += rows;
        replace_param(&mut writer.weight, |old| tensor(part, &old));
    }
    for bias in writers.iter_mut().filter_map(|writer| writer.bias.as_mut()) {
        let values = shift.take().unwrap_or_else(|| vec![0.0; width]);
        replace_param(bias, |old| {
            let data = TensorData::new(values, [width]).convert_dtype(old.dtype());
            Tensor::from_data(data, (&old.device(), old.dtype()))
        });
    }
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
