//! Q3_K: super-blocks of 16 groups of 16 values, `d * (scale - 32) * (q - 4)`. Scales have six
//! bits.

use super::block::{SUPER, put_half};
use super::q2_k::pairs;
use super::scales::{descended, nearest};

/// Values per group.
const GROUP: usize = 16;

/// 32 bytes of third bits, 64 of low pairs, 12 of scales, `d`.
pub(super) fn encode(x: &[f32], out: &mut [u8]) {
    let mut quants = [0; SUPER];
    let mut scales = [0.0; SUPER / GROUP];
    let mut largest = 0.0_f32;
    for (group, x) in x.chunks_exact(GROUP).enumerate() {
        let scale = descended(x, 4, &mut quants[GROUP * group..GROUP * (group + 1)]);
        scales[group] = scale;
        if scale.abs() > largest.abs() {
            largest = scale;
        }
    }
    out.fill(0);
    if largest != 0.0 {
        let inverse = -32.0 / largest;
        let d = put_half(&mut out[108..], 1.0 / inverse);
        let packed = &mut out[96..108];
        for (group, x) in x.chunks_exact(GROUP).enumerate() {
            // Through eight bits, as in llama.cpp. The scales of real weights fit.
            let rounded = i32::from(nearest(inverse * scales[group]) as i8).clamp(-32, 31);
            let six = (rounded + 32) as u8;
            packed[group % 8] |= (six & 0xf) << (4 * (group / 8));
            packed[8 + group % 4] |= (six >> 4) << (2 * (group / 4));
            let scale = d * rounded as f32;
            if scale == 0.0 {
                continue;
            }
            for (q, x) in quants[GROUP * group..].iter_mut().zip(x) {
                *q = (nearest(x / scale).clamp(-4, 3) + 4) as u8;
            }
        }
    }
    for (bit, quants) in quants.chunks_exact(32).enumerate() {
        for (mask, q) in out[..32].iter_mut().zip(quants) {
            *mask |= (q >> 2) << bit;
        }
    }
    pairs(&quants, &mut out[32..96]);
}
