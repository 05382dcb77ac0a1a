//! Q4_K and Q5_K: super-blocks of 8 groups of 32 values, `d * scale * q - dmin * min`. Scales and
//! minima have six bits each.

use super::block::put_half;
use super::scales::{Search, nearest};

/// Values per group.
const GROUP: usize = 32;

/// Groups per super-block.
const GROUPS: usize = 8;

/// `q` from 0 to 15: `d`, `dmin`, 12 bytes of scales, 128 bytes of nibbles.
pub(super) fn q4_k(x: &[f32], out: &mut [u8]) {
    let search = Search { most: 15, first: -1.0, steps: 20, absolute: false };
    let quants = groups(x, &search, out);
    nibbles(&quants, &mut out[16..]);
}

/// `q` from 0 to 31: as Q4_K, and 32 bytes of fifth bits before the nibbles.
pub(super) fn q5_k(x: &[f32], out: &mut [u8]) {
    let search = Search { most: 31, first: -0.5, steps: 15, absolute: false };
    let quants = groups(x, &search, out);
    let fifth = &mut out[16..48];
    fifth.fill(0);
    for (group, quants) in quants.chunks_exact(GROUP).enumerate() {
        for (bits, q) in fifth.iter_mut().zip(quants) {
            *bits |= (q >> 4) << group;
        }
    }
    nibbles(&quants, &mut out[48..]);
}

/// Writes `d`, `dmin` and the scales, and returns the quants.
fn groups(x: &[f32], search: &Search, out: &mut [u8]) -> [u8; GROUP * GROUPS] {
    let mut quants = [0; GROUP * GROUPS];
    let mut scales = [0.0; GROUPS];
    let mut mins = [0.0; GROUPS];
    let (mut max_scale, mut max_min) = (0.0_f32, 0.0_f32);
    for (group, x) in x.chunks_exact(GROUP).enumerate() {
        let squares = x.iter().fold(0.0_f32, |sum, x| sum + x * x);
        let typical = (squares / 32.0).sqrt();
        let mut weights = [0.0; GROUP];
        for (weight, x) in weights.iter_mut().zip(x) {
            *weight = typical + x.abs();
        }
        let quants = &mut quants[GROUP * group..GROUP * (group + 1)];
        (scales[group], mins[group]) = search.run(x, &weights, quants);
        max_scale = max_scale.max(scales[group]);
        max_min = max_min.max(mins[group]);
    }
    let inverse = |max: f32| if max > 0.0 { 63.0 / max } else { 0.0 };
    let (inverse_scale, inverse_min) = (inverse(max_scale), inverse(max_min));
    let d = put_half(out, max_scale / 63.0);
    let dmin = put_half(&mut out[2..], max_min / 63.0);
    let packed = &mut out[4..16];
    packed.fill(0);
    for group in 0..GROUPS {
        let scale = (nearest(inverse_scale * scales[group]) as u8).min(63);
        let min = (nearest(inverse_min * mins[group]) as u8).min(63);
        if group < 4 {
            packed[group] = scale;
            packed[group + 4] = min;
        } else {
            packed[group + 4] = (scale & 0xf) | ((min & 0xf) << 4);
            packed[group - 4] |= (scale >> 4) << 6;
            packed[group] |= (min >> 4) << 6;
        }
        // The values are rounded again, to multiples of the rounded scale.
        let (scale, min) = (d * f32::from(scale), dmin * f32::from(min));
        if scale == 0.0 {
            continue;
        }
        let values = GROUP * group..GROUP * (group + 1);
        for (q, x) in quants[values.clone()].iter_mut().zip(&x[values]) {
            *q = nearest((x + min) / scale).clamp(0, search.most) as u8;
        }
    }
    quants
}

/// Low nibbles of one group, high nibbles of the next.
fn nibbles(quants: &[u8], out: &mut [u8]) {
    for (pair, out) in quants.chunks_exact(2 * GROUP).zip(out.chunks_exact_mut(GROUP)) {
        for (j, out) in out.iter_mut().enumerate() {
            *out = (pair[j] & 0xf) | (pair[j + GROUP] << 4);
        }
    }
}
