//! The loop of products with few rows: every weight is read once, for all of them.

/// Sums kept of a row that is alone: two registers of AVX-512.
const ALONE: usize = 32;

/// Rows that share a weight while it is in a register, and the sums kept of each.
const TOGETHER: usize = 4;
const SUMS: usize = 16;

/// `out[o][r] = sum_i weights[o][i] x[r][i]`.
///
/// # Shapes
/// - `weights`: `[outputs, inputs]`, as a checkpoint stores them
/// - `x`: `[rows, inputs]`
/// - `out`: `[outputs, rows]`
#[inline(always)]
pub fn products<W: Copy>(
    weights: &[W],
    x: &[f32],
    inputs: usize,
    out: &mut [f32],
    widen: impl Fn(W) -> f32 + Copy,
    multiply_add: impl Fn(f32, f32, f32) -> f32 + Copy,
) {
    let rows = x.len() / inputs;
    for (weights, out) in weights.chunks_exact(inputs).zip(out.chunks_exact_mut(rows)) {
        let mut row = 0;
        while row + TOGETHER <= rows {
            let x: [&[f32]; TOGETHER] =
                std::array::from_fn(|r| &x[(row + r) * inputs..(row + r + 1) * inputs]);
            let sums = dots::<W, TOGETHER, SUMS>(weights, x, widen, multiply_add);
            out[row..row + TOGETHER].copy_from_slice(&sums);
            row += TOGETHER;
        }
        while row < rows {
            let x = [&x[row * inputs..(row + 1) * inputs]];
            [out[row]] = dots::<W, 1, ALONE>(weights, x, widen, multiply_add);
            row += 1;
        }
    }
}

/// The products of one row of weights with some rows.
#[inline(always)]
fn dots<W: Copy, const ROWS: usize, const LANES: usize>(
    weights: &[W],
    x: [&[f32]; ROWS],
    widen: impl Fn(W) -> f32,
    multiply_add: impl Fn(f32, f32, f32) -> f32,
) -> [f32; ROWS] {
    let (whole, rest) = weights.as_chunks::<LANES>();
    let x = x.map(|x| {
        let (chunks, left) = x[..weights.len()].as_chunks::<LANES>();
        (&chunks[..whole.len()], left)
    });
    let mut sums = [[0.0f32; LANES]; ROWS];
    for (i, weights) in whole.iter().enumerate() {
        // A loop: `map` of an array is a call that is not always inlined, and then not of these instructions.
        let mut wide = [0.0f32; LANES];
        for lane in 0..LANES {
            wide[lane] = widen(weights[lane]);
        }
        for (sums, (x, _)) in sums.iter_mut().zip(&x) {
            for lane in 0..LANES {
                sums[lane] = multiply_add(wide[lane], x[i][lane], sums[lane]);
            }
        }
    }
    std::array::from_fn(|r| {
        let tail = rest.iter().zip(x[r].1).map(|(w, x)| widen(*w) * x).sum::<f32>();
        // Halves first: fewer roundings follow each other, and no order of a compiler's choice.
        let mut sums = sums[r];
        let mut half = LANES / 2;
        while half > 0 {
            for lane in 0..half {
                sums[lane] += sums[lane + half];
            }
            half /= 2;
        }
        sums[0] + tail
    })
}

/// The bits of a bfloat16, exactly.
#[inline(always)]
pub fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The bits of a float16, exactly: by selection, which vector units do many at a time.
#[inline(always)]
pub fn from_f16(bits: u16) -> f32 {
    /// What the exponents differ by, and the least number that is not subnormal.
    const BIAS: u32 = (127 - 15) << 23;
    const LEAST: u32 = 113 << 23;
    /// The exponent of infinities and of what is no number, in float16 (shifted) and in float32.
    const SPECIAL: u32 = 0x1f << 23;
    const ALL: u32 = 0xff << 23;
    let bits = u32::from(bits);
    let number = (bits & 0x7fff) << 13;
    let sign = (bits & 0x8000) << 16;
    let normal = number + BIAS;
    let subnormal = (f32::from_bits(number + LEAST) - f32::from_bits(LEAST)).to_bits();
    let finite = if number < (1 << 23) { subnormal } else { normal };
    let magnitude = if number < SPECIAL { finite } else { number | ALL };
    f32::from_bits(magnitude | sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_widened_exactly() {
        for bits in 0..=u16::MAX {
            let (f16, bf16) = (half::f16::from_bits(bits), half::bf16::from_bits(bits));
            match f16.is_nan() {
                true => assert!(from_f16(bits).is_nan(), "{bits:x}"),
                false => assert_eq!(from_f16(bits).to_bits(), f16.to_f32().to_bits(), "{bits:x}"),
            }
            if !bf16.is_nan() {
                assert_eq!(from_bf16(bits).to_bits(), bf16.to_f32().to_bits(), "{bits:x}");
            }
        }
    }
}
