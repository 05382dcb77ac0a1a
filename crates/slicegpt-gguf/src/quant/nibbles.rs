//! The types with 32 values per block: one scale and, for the `_1` types, one minimum. Half of the
//! values are in the low nibbles, half in the high ones; fifth bits are stored separately.

use super::block::put_half;

/// Values per block.
const BLOCK: usize = 32;

/// `d * q`, `q` from -127 to 127.
pub(super) fn q8_0(x: &[f32], out: &mut [u8]) {
    let largest = x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    let d = largest / 127.0;
    put_half(out, d);
    let inverse = inverse(d);
    for (x, out) in x.iter().zip(&mut out[2..]) {
        *out = (x * inverse).round() as i8 as u8;
    }
}

/// `d * (q - 8)`, `q` from 0 to 15.
pub(super) fn q4_0(x: &[f32], out: &mut [u8]) {
    let d = largest(x) / -8.0;
    put_half(out, d);
    let inverse = inverse(d);
    let quant = |x: f32| ((x * inverse + 8.5) as i8).min(15) as u8;
    pack(x, &mut out[2..], quant);
}

/// `d * q + m`, `q` from 0 to 15.
pub(super) fn q4_1(x: &[f32], out: &mut [u8]) {
    let (min, max) = range(x);
    let d = (max - min) / 15.0;
    put_half(out, d);
    put_half(&mut out[2..], min);
    let inverse = inverse(d);
    let quant = |x: f32| (((x - min) * inverse + 0.5) as i8).min(15) as u8;
    pack(x, &mut out[4..], quant);
}

/// `d * (q - 16)`, `q` from 0 to 31.
pub(super) fn q5_0(x: &[f32], out: &mut [u8]) {
    let d = largest(x) / -16.0;
    put_half(out, d);
    let inverse = inverse(d);
    let quant = |x: f32| ((x * inverse + 16.5) as i8).min(31) as u8;
    let fifth = pack(x, &mut out[6..], quant);
    out[2..6].copy_from_slice(&fifth.to_le_bytes());
}

/// `d * q + m`, `q` from 0 to 31.
pub(super) fn q5_1(x: &[f32], out: &mut [u8]) {
    let (min, max) = range(x);
    let d = (max - min) / 31.0;
    put_half(out, d);
    put_half(&mut out[2..], min);
    let inverse = inverse(d);
    let quant = |x: f32| ((x - min) * inverse + 0.5) as u8;
    let fifth = pack(x, &mut out[8..], quant);
    out[4..8].copy_from_slice(&fifth.to_le_bytes());
}

/// The value of largest magnitude, with its sign; the first of several.
fn largest(x: &[f32]) -> f32 {
    x.iter().fold(0.0_f32, |largest, x| if largest.abs() < x.abs() { *x } else { largest })
}

fn range(x: &[f32]) -> (f32, f32) {
    x.iter().fold((f32::MAX, -f32::MAX), |(min, max), x| {
        (if *x < min { *x } else { min }, if *x > max { *x } else { max })
    })
}

fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

/// Quantises a block: writes four bits of each value to `out` and returns the fifth bits.
fn pack(x: &[f32], out: &mut [u8], quant: impl Fn(f32) -> u8) -> u32 {
    let mut fifth = 0;
    for j in 0..BLOCK / 2 {
        let (low, high) = (quant(x[j]), quant(x[j + BLOCK / 2]));
        out[j] = (low & 0xf) | (high << 4);
        fifth |= u32::from(low >> 4 & 1) << j;
        fifth |= u32::from(high >> 4 & 1) << (j + BLOCK / 2);
    }
    fifth
}
