//! Q2_K: super-blocks of 16 groups of 16 values, `d * scale * q - dmin * min`. Scales and minima
//! have four bits each.

use super::block::{SUPER, put_half};
use super::scales::{Search, nearest};

/// Values per group.
const GROUP: usize = 16;

/// 16 bytes of scales (low nibble) and minima (high), 64 of quants, `d`, `dmin`.
pub(super) fn encode(x: &[f32], out: &mut [u8]) {
    let search = Search { most: 3, first: -0.5, steps: 15, absolute: true };
    let mut quants = [0; SUPER];
    let mut scales = [0.0; SUPER / GROUP];
    let mut mins = [0.0; SUPER / GROUP];
    let (mut max_scale, mut max_min) = (0.0_f32, 0.0_f32);
    for (group, x) in x.chunks_exact(GROUP).enumerate() {
        let mut weights = [0.0; GROUP];
        for (weight, x) in weights.iter_mut().zip(x) {
            *weight = x.abs();
        }
        let quants = &mut quants[GROUP * group..GROUP * (group + 1)];
        (scales[group], mins[group]) = search.run(x, &weights, quants);
        max_scale = max_scale.max(scales[group]);
        max_min = max_min.max(mins[group]);
    }
    let inverse = |max: f32| if max > 0.0 { 15.0 / max } else { 0.0 };
    let (inverse_scale, inverse_min) = (inverse(max_scale), inverse(max_min));
    let d = put_half(&mut out[80..], max_scale.max(0.0) / 15.0);
    let dmin = put_half(&mut out[82..], max_min.max(0.0) / 15.0);
    for (group, x) in x.chunks_exact(GROUP).enumerate() {
        let scale = nearest(inverse_scale * scales[group]) as u8;
        let min = nearest(inverse_min * mins[group]) as u8;
        let both = scale | (min << 4);
        out[group] = both;
        let (scale, min) = (d * f32::from(both & 0xf), dmin * f32::from(both >> 4));
        if scale == 0.0 {
            continue;
        }
        for (q, x) in quants[GROUP * group..].iter_mut().zip(x) {
            *q = nearest((x + min) / scale).clamp(0, 3) as u8;
        }
    }
    pairs(&quants, &mut out[16..80]);
}

/// Packs two bits per value: a byte holds four values that are 32 apart.
pub(super) fn pairs(quants: &[u8], out: &mut [u8]) {
    for (quants, out) in quants.chunks_exact(128).zip(out.chunks_exact_mut(32)) {
        for (l, out) in out.iter_mut().enumerate() {
            let [a, b, c, d] = [0, 32, 64, 96].map(|offset| quants[l + offset] & 3);
            *out = a | (b << 2) | (c << 4) | (d << 6);
        }
    }
}
