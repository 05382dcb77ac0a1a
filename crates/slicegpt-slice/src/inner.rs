//! Making sublayers narrower inside: which channels stay, and removing the others.

use burn::nn::Linear;
use burn::tensor::{DType, Int, Tensor, TensorData};
use slicegpt_core::{Block, Inner, SublayerMut, edit};

/// What the channels of one [`Inner`] put into the stream: for each channel, the sum over tokens of
/// the square of its value, times the squared length of its row of the writer.
pub type Importance = Vec<f64>;

/// The `width` most important channels, in the order they stand.
///
/// # Panics
///
/// If `width` is 0 or above the number of channels.
pub fn most_important(importance: &[f64], width: usize) -> Vec<usize> {
    assert!((1..=importance.len()).contains(&width), "{width} of {} channels", importance.len());
    let mut order: Vec<usize> = (0..importance.len()).collect();
    order.sort_by(|a, b| importance[*b].total_cmp(&importance[*a]).then(a.cmp(b)));
    order.truncate(width);
    order.sort_unstable();
    order
}

/// Removes all channels of `inner` of sublayer `index` but `kept`, in that order.
///
/// # Panics
///
/// If a channel does not exist.
pub fn narrow<B: Block>(block: &mut B, index: usize, inner: &Inner, kept: &[usize]) {
    let SublayerMut { mut readers, mut writers, .. } = block.sublayer_mut(index);
    let writer = &mut writers[inner.writer];
    let [channels, _] = writer.weight.dims();
    if kept.len() == channels {
        return;
    }
    let numbers: Vec<i64> = kept.iter().map(|channel| *channel as i64).collect();
    let data = TensorData::new(numbers, [kept.len()]);
    let kept = Tensor::<1, Int>::from_data(data, &writer.weight.val().device());
    edit(&mut writer.weight, |w| w.select(0, kept.clone()));
    for reader in &inner.readers {
        let Linear { weight, bias, .. } = &mut readers[*reader];
        edit(weight, |w| w.select(1, kept.clone()));
        if let Some(bias) = bias {
            edit(bias, |b| b.select(0, kept.clone()));
        }
    }
}

/// What a token counts where the stream is written: errors matter in relation to its length, which the
/// next norm divides by. A few tokens that are a thousand times longer would else decide everything.
///
/// # Shapes
/// - `stream`: `[batch, tokens, width]`
/// - output: `[batch, tokens, 1]`
pub(crate) fn of_a_token(stream: &Tensor<3>) -> Tensor<3> {
    let mean_square = stream.clone().cast(DType::F32).square().mean_dim(2);
    mean_square.add_scalar(f32::MIN_POSITIVE).sqrt().recip().cast(stream.dtype())
}

/// For each row of a weight, the sum of its squares.
pub(crate) fn squared_rows(weight: Tensor<2>) -> Vec<f64> {
    let squares = weight.cast(DType::F32).square().sum_dim(1).into_data_dtype(DType::F64);
    squares.try_into_vec().expect("it was just made float64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_important_stay_in_their_order() {
        assert_eq!(most_important(&[1.0, 5.0, 0.0, 3.0], 2), [1, 3]);
        assert_eq!(most_important(&[1.0, 1.0, 1.0], 2), [0, 1]);
        assert_eq!(most_important(&[2.0, f64::NAN, 1.0], 3), [0, 1, 2]);
    }
}
