//! What the block types share: the size of a super-block, and float16 numbers.

use half::f16;

/// Values per super-block of the K types.
pub(super) const SUPER: usize = 256;

/// Writes `x` as float16 and returns the rounded value.
pub(super) fn put_half(out: &mut [u8], x: f32) -> f32 {
    let half = f16::from_f32(x);
    out[..2].copy_from_slice(&half.to_le_bytes());
    half.to_f32()
}
