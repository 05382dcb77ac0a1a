//! Making sublayers narrower inside: which channels stay, and removing the others.

use burn::nn::Linear;
use burn::tensor::{DType, Int, Tensor, TensorData};
use slicegpt_core::{Block, PrunableChannels, SublayerMut, host_vec, replace_param};

/// What the channels of one [`PrunableChannels`] put into the stream: for each channel, the sum over tokens of
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

/// The most important channels of several groups together, `total` of them, in the order they stand:
/// groups get them in portions of `step`, the most worthy portion first, and each group one at least.
///
/// # Panics
///
/// If `step` is 0.
pub fn allocate_channels(groups: &[&[f64]], total: usize, step: usize) -> Vec<Vec<usize>> {
    let portions = |group: &[f64]| -> Vec<f64> {
        let mut sorted = group.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        sorted.chunks(step).map(|portion| portion.iter().sum()).collect()
    };
    let mut all: Vec<(f64, usize)> = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        // The first is a group's own.
        all.extend(portions(group).into_iter().skip(1).map(|worth| (worth, number)));
    }
    // Within a group portions go down, so that the first of them come first; the sort is stable.
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut widths: Vec<usize> = groups.iter().map(|group| step.min(group.len())).collect();
    let mut left = total.saturating_sub(widths.iter().sum());
    for (_, number) in all {
        let more = step.min(groups[number].len() - widths[number]);
        if more <= left {
            widths[number] += more;
            left -= more;
        }
    }
    groups.iter().zip(widths).map(|(group, width)| most_important(group, width)).collect()
}

/// Removes all channels of `inner` of sublayer `index` but `kept`, in that order.
///
/// # Panics
///
/// If a channel does not exist.
pub fn narrow<B: Block>(block: &mut B, index: usize, inner: &PrunableChannels, kept: &[usize]) {
    let SublayerMut { mut readers, mut writers, .. } = block.sublayer_mut(index);
    let writer = &mut writers[inner.writer];
    let [channels, _] = writer.weight.dims();
    if kept.len() == channels {
        return;
    }
    let numbers: Vec<i64> = kept.iter().map(|channel| *channel as i64).collect();
    let data = TensorData::new(numbers, [kept.len()]);
    let kept = Tensor::<1, Int>::from_data(data, &writer.weight.val().device());
    replace_param(&mut writer.weight, |w| w.select(0, kept.clone()));
    for reader in &inner.readers {
        let Linear { weight, bias, .. } = &mut readers[*reader];
        replace_param(weight, |w| w.select(1, kept.clone()));
        if let Some(bias) = bias {
            replace_param(bias, |b| b.select(0, kept.clone()));
        }
    }
}

/// What a token counts where the stream is written: errors matter in relation to its length, which the
/// next norm divides by. A few tokens that are a thousand times longer would else decide everything.
///
/// # Shapes
/// - `stream`: `[batch, tokens, width]`
/// - output: `[batch, tokens, 1]`
pub(crate) fn inverse_rms(stream: &Tensor<3>) -> Tensor<3> {
    let mean_square = stream.clone().cast(DType::F32).square().mean_dim(2);
    mean_square.add_scalar(f32::MIN_POSITIVE).sqrt().recip().cast(stream.dtype())
}

/// For each row of a weight, the sum of its squares.
pub(crate) fn squared_rows(weight: Tensor<2>) -> Vec<f64> {
    host_vec(weight.cast(DType::F32).square().sum_dim(1))
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

    #[test]
    fn the_most_important_of_all_go_where_they_are_worth_most() {
        let groups: [&[f64]; 3] =
            [&[9.0, 8.0, 7.0, 1.0], &[0.1, 0.2, 0.3, 0.4], &[5.0, 0.5, 6.0, 4.0]];
        let chosen = allocate_channels(&groups, 7, 1);
        assert_eq!(chosen, [vec![0, 1, 2], vec![3], vec![0, 2, 3]]);
        let chosen = allocate_channels(&groups, 8, 2);
        assert_eq!(chosen, [vec![0, 1, 2, 3], vec![2, 3], vec![0, 2]]);
        // All of them, and fewer than one each.
        assert_eq!(allocate_channels(&groups, 12, 5), vec![vec![0, 1, 2, 3]; 3]);
        assert_eq!(allocate_channels(&groups, 0, 1), [vec![0], vec![3], vec![2]]);
    }
}
