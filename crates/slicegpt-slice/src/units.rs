//! Prunable units: how important each is, which ones to keep, and how to remove the others.

use std::ops::Range;

use burn::nn::Linear;
use burn::tensor::{DType, Int, Tensor, TensorData};
use slicegpt_core::{Block, PrunableUnits, SublayerMut, host_vec, replace_param};

/// What each unit of one group of [`PrunableUnits`] contributes to the stream: for each input of
/// the writer, the sum over tokens of its squared value, divided by the mean square of the token's
/// stream after the sublayer, times the squared norm of its row of the writer; and the sum of that
/// over the inputs of the unit.
pub type Importance = Vec<f64>;

/// The indices of the `count` most important units, ascending.
///
/// # Panics
///
/// If `count` is 0 or above the number of units.
pub fn most_important(importance: &[f64], count: usize) -> Vec<usize> {
    assert!((1..=importance.len()).contains(&count), "{count} of {} units", importance.len());
    let mut order: Vec<usize> = (0..importance.len()).collect();
    order.sort_by(|a, b| importance[*b].total_cmp(&importance[*a]).then(a.cmp(b)));
    order.truncate(count);
    order.sort_unstable();
    order
}

/// The indices of the most important units of several groups together, `total` of them, ascending
/// in each group. Units are allocated to groups in portions of `step`, the most important portion
/// first; each group gets at least one portion.
///
/// # Panics
///
/// If `step` is 0.
pub fn allocate_units(groups: &[&[f64]], total: usize, step: usize) -> Vec<Vec<usize>> {
    let portions = |group: &[f64]| -> Vec<f64> {
        let mut sorted = group.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        sorted.chunks(step).map(|portion| portion.iter().sum()).collect()
    };
    let mut all: Vec<(f64, usize)> = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        // Every group has its first portion anyway.
        all.extend(portions(group).into_iter().skip(1).map(|importance| (importance, number)));
    }
    // Within a group the portions descend, and the sort is stable: a group's portions stay in
    // order.
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut widths: Vec<usize> = groups.iter().map(|group| step.min(group.len())).collect();
    let mut remaining = total.saturating_sub(widths.iter().sum());
    for (_, number) in all {
        let portion = step.min(groups[number].len() - widths[number]);
        if portion <= remaining {
            widths[number] += portion;
            remaining -= portion;
        }
    }
    groups.iter().zip(widths).map(|(group, width)| most_important(group, width)).collect()
}

/// Removes all units of `group` of sublayer `index` except `kept`, which stay in that order.
///
/// # Panics
///
/// If a unit does not exist.
pub fn narrow<B: Block>(block: &mut B, index: usize, group: &PrunableUnits, kept: &[usize]) {
    if kept.len() == group.count(&block.sublayer(index)) {
        return;
    }
    let SublayerMut { mut readers, mut writers, .. } = block.sublayer_mut(index);
    let writer = &mut writers[group.writer];
    let device = writer.weight.val().device();
    let numbers = |size: usize| {
        let numbers: Vec<i64> =
            kept.iter().flat_map(|unit| rows_of(*unit, size)).map(|row| row as i64).collect();
        let count = numbers.len();
        Tensor::<1, Int>::from_data(TensorData::new(numbers, [count]), &device)
    };
    let rows = numbers(group.inputs);
    replace_param(&mut writer.weight, |w| w.select(0, rows));
    for (reader, outputs) in &group.readers {
        let columns = numbers(*outputs);
        let Linear { weight, bias, .. } = &mut readers[*reader];
        replace_param(weight, |w| w.select(1, columns.clone()));
        if let Some(bias) = bias {
            replace_param(bias, |b| b.select(0, columns));
        }
    }
}

/// The rows, or columns, of a unit of this size.
pub(crate) fn rows_of(unit: usize, size: usize) -> Range<usize> {
    unit * size..(unit + 1) * size
}

/// The weight of each token where errors in the stream are measured: the reciprocal of its root
/// mean square. The next norm divides by that length, so that only relative errors matter. Without
/// the weight a few tokens that are a thousand times longer than the others would dominate.
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
    fn the_most_important_units_keep_their_order() {
        assert_eq!(most_important(&[1.0, 5.0, 0.0, 3.0], 2), [1, 3]);
        assert_eq!(most_important(&[1.0, 1.0, 1.0], 2), [0, 1]);
        assert_eq!(most_important(&[2.0, f64::NAN, 1.0], 3), [0, 1, 2]);
    }

    #[test]
    fn units_are_allocated_to_the_groups_where_they_are_most_important() {
        let groups: [&[f64]; 3] =
            [&[9.0, 8.0, 7.0, 1.0], &[0.1, 0.2, 0.3, 0.4], &[5.0, 0.5, 6.0, 4.0]];
        let chosen = allocate_units(&groups, 7, 1);
        assert_eq!(chosen, [vec![0, 1, 2], vec![3], vec![0, 2, 3]]);
        let chosen = allocate_units(&groups, 8, 2);
        assert_eq!(chosen, [vec![0, 1, 2, 3], vec![2, 3], vec![0, 2]]);
        // All channels, and fewer than one per group.
        assert_eq!(allocate_units(&groups, 12, 5), vec![vec![0, 1, 2, 3]; 3]);
        assert_eq!(allocate_units(&groups, 0, 1), [vec![0], vec![3], vec![2]]);
    }
}
