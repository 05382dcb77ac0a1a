//! Q6_K: super-blocks of 16 groups of 16 values, `d * scale * (q - 32)`. Scales have
//! eight bits.

use super::block::{SUPER, put_half};
use super::scales::{NEGLIGIBLE, nearest, symmetric};

/// Values per group.
const GROUP: usize = 16;

/// 128 bytes of low nibbles, 64 of high pairs, 16 scales, `d`.
pub(super) fn encode(x: &[f32], out: &mut [u8]) {
    let mut quants = [0; SUPER];
    let mut scales = [0.0; SUPER / GROUP];
    let mut largest = 0.0_f32;
    for (group, x) in x.chunks_exact(GROUP).enumerate() {
        let scale = symmetric(x, 32, &mut quants[GROUP * group..GROUP * (group + 1)]);
        scales[group] = scale;
        if scale.abs() > largest.abs() {
            largest = scale;
        }
    }
    if largest.abs() < NEGLIGIBLE {
        out.fill(0);
        return;
    }
    let inverse = -128.0 / largest;
    let d = put_half(&mut out[208..], 1.0 / inverse);
    for (group, x) in x.chunks_exact(GROUP).enumerate() {
        let scale = nearest(inverse * scales[group]).min(127) as i8;
        out[192 + group] = scale as u8;
        let scale = d * f32::from(scale);
        if scale == 0.0 {
            continue;
        }
        for (q, x) in quants[GROUP * group..].iter_mut().zip(x) {
            *q = (nearest(x / scale).clamp(-32, 31) + 32) as u8;
        }
    }
    for half in 0..2 {
        let quants = &quants[128 * half..128 * (half + 1)];
        for l in 0..32 {
            let [a, b, c, d] = [0, 32, 64, 96].map(|offset| quants[l + offset]);
            out[64 * half + l] = (a & 0xf) | (c << 4);
            out[64 * half + l + 32] = (b & 0xf) | (d << 4);
            out[128 + 32 * half + l] =
                (a >> 4) | ((b >> 4) << 2) | ((c >> 4) << 4) | ((d >> 4) << 6);
        }
    }
}
