//! The values of one block of each type: `d * q`, or `d * q - m` with a minimum.

use half::f16;

/// The values that the four bits of the IQ4 types stand for.
const IQ4: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

fn half(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

fn signed(byte: u8) -> f32 {
    f32::from(byte.cast_signed())
}

/// Value `i` of 32: the first half is in the low nibbles.
fn nibble(bytes: &[u8], i: usize) -> u8 {
    bytes[i % 16] >> (4 * (i / 16)) & 15
}

/// The fifth bit of value `i` of 32.
fn fifth(bytes: &[u8], i: usize) -> u8 {
    (bytes[i / 8] >> (i % 8) & 1) << 4
}

/// The two bits of value `i` of 256: a byte holds four values that are 32 apart.
fn pair(bytes: &[u8], i: usize) -> u8 {
    bytes[i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3
}

fn fill(out: &mut [f32], value: impl Fn(usize) -> f32) {
    out.iter_mut().enumerate().for_each(|(i, x)| *x = value(i));
}

pub(super) fn q4_0(b: &[u8], out: &mut [f32]) {
    let d = half(b);
    fill(out, |i| d * (f32::from(nibble(&b[2..], i)) - 8.0));
}

pub(super) fn q4_1(b: &[u8], out: &mut [f32]) {
    let (d, m) = (half(b), half(&b[2..]));
    fill(out, |i| d * f32::from(nibble(&b[4..], i)) + m);
}

pub(super) fn q5_0(b: &[u8], out: &mut [f32]) {
    let d = half(b);
    fill(out, |i| d * (f32::from(nibble(&b[6..], i) | fifth(&b[2..], i)) - 16.0));
}

pub(super) fn q5_1(b: &[u8], out: &mut [f32]) {
    let (d, m) = (half(b), half(&b[2..]));
    fill(out, |i| d * f32::from(nibble(&b[8..], i) | fifth(&b[4..], i)) + m);
}

pub(super) fn q8_0(b: &[u8], out: &mut [f32]) {
    let d = half(b);
    fill(out, |i| signed(b[2 + i]) * d);
}

/// As Q8_0, with the sum of the values after the scale.
pub(super) fn q8_1(b: &[u8], out: &mut [f32]) {
    let d = half(b);
    fill(out, |i| signed(b[4 + i]) * d);
}

pub(super) fn q2_k(b: &[u8], out: &mut [f32]) {
    let (d, dmin) = (half(&b[80..]), half(&b[82..]));
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let (scale, min) = (d * f32::from(b[group] & 15), dmin * f32::from(b[group] >> 4));
        fill(out, |i| scale * f32::from(pair(&b[16..80], 16 * group + i)) - min);
    }
}

pub(super) fn q3_k(b: &[u8], out: &mut [f32]) {
    let d = half(&b[108..]);
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let low = b[96 + group % 8] >> (4 * (group / 8)) & 15;
        let high = b[104 + group % 4] >> (2 * (group / 4)) & 3;
        let scale = d * (f32::from(low | high << 4) - 32.0);
        fill(out, |i| {
            let i = 16 * group + i;
            let third = (b[i % 32] >> (i / 32) & 1) << 2;
            scale * (f32::from(pair(&b[32..96], i) | third) - 4.0)
        });
    }
}

pub(super) fn q4_k(b: &[u8], out: &mut [f32]) {
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let (scale, min) = scale_and_min(b, group);
        let quants = &b[16 + group / 2 * 32..];
        fill(out, |i| scale * f32::from(quants[i] >> (4 * (group % 2)) & 15) - min);
    }
}

pub(super) fn q5_k(b: &[u8], out: &mut [f32]) {
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let (scale, min) = scale_and_min(b, group);
        let quants = &b[48 + group / 2 * 32..];
        fill(out, |i| {
            let fifth = (b[16 + i] >> group & 1) << 4;
            scale * f32::from(quants[i] >> (4 * (group % 2)) & 15 | fifth) - min
        });
    }
}

/// Scale and minimum of group `group` of 8, of six bits each, times `d` and `dmin`.
fn scale_and_min(b: &[u8], group: usize) -> (f32, f32) {
    let s = &b[4..16];
    let (scale, min) = match group {
        0..4 => (s[group] & 63, s[group + 4] & 63),
        _ => (s[group + 4] & 15 | s[group - 4] >> 6 << 4, s[group + 4] >> 4 | s[group] >> 6 << 4),
    };
    (half(b) * f32::from(scale), half(&b[2..]) * f32::from(min))
}

pub(super) fn q6_k(b: &[u8], out: &mut [f32]) {
    let d = half(&b[208..]);
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let scale = d * signed(b[192 + group]);
        fill(out, |i| {
            let i = 16 * group + i;
            let (part, quarter, l) = (i / 128, i % 128 / 32, i % 32);
            let low = b[64 * part + 32 * (quarter % 2) + l] >> (4 * (quarter / 2)) & 15;
            let high = b[128 + 32 * part + l] >> (2 * quarter) & 3;
            scale * (f32::from(low | high << 4) - 32.0)
        });
    }
}

/// A float32 scale, the values, and sums of them, which are not needed.
pub(super) fn q8_k(b: &[u8], out: &mut [f32]) {
    let d = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    fill(out, |i| d * signed(b[4 + i]));
}

pub(super) fn iq4_nl(b: &[u8], out: &mut [f32]) {
    let d = half(b);
    fill(out, |i| d * f32::from(IQ4[usize::from(nibble(&b[2..], i))]));
}

/// `d`, 2 bytes of high and 4 of low bits of scales, 128 of nibbles.
pub(super) fn iq4_xs(b: &[u8], out: &mut [f32]) {
    let d = half(b);
    let high = u16::from_le_bytes([b[2], b[3]]);
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let low = b[4 + group / 2] >> (4 * (group % 2)) & 15;
        let six = low | ((high >> (2 * group) & 3) as u8) << 4;
        let scale = d * (f32::from(six) - 32.0);
        let quants = &b[8 + 16 * group..];
        fill(out, |i| scale * f32::from(IQ4[usize::from(nibble(quants, i))]));
    }
}
