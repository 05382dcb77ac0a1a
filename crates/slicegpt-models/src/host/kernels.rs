//! The loops, written so that a compiler turns them into vector instructions.

/// Numbers worked on at a time: two registers of AVX-512, four of AVX2.
const LANES: usize = 32;

/// Adding it rounds a number below `2^22` to a whole one, which then stands in the lowest bits.
const ROUND: f32 = 1.5 * (1 << 23) as f32;

/// `e^x`, to two units in the last place; NaN stays NaN, and below -87.3 it is `e^-87.3 = 1.2e-38`.
///
/// `x = n log 2 + r` with a whole `n`, and `e^r` by the polynomial of Cephes (Moshier, `expf.c`).
#[inline(always)]
fn exp(x: f32, multiply_add: impl Fn(f32, f32, f32) -> f32) -> f32 {
    // Comparisons, unlike min and max, let NaN through.
    let x = if x < -87.3 { -87.3 } else { x };
    let x = if x > 88.3 { 88.3 } else { x };
    let shifted = multiply_add(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // log 2 in two parts: products of the first with n are exact.
    let r = multiply_add(n, -355.0 / 512.0, x);
    let r = multiply_add(n, 2.121_944_4e-4, r);
    let p = multiply_add(1.987_569_2e-4, r, 1.398_199_9e-3);
    let p = multiply_add(p, r, 8.333_452e-3);
    let p = multiply_add(p, r, 4.166_579_6e-2);
    let p = multiply_add(p, r, 1.666_666_5e-1);
    let p = multiply_add(p, r, 0.5);
    let p = multiply_add(p, r * r, r) + 1.0;
    let power = (shifted.to_bits() << 23).wrapping_add(127 << 23);
    p * f32::from_bits(power)
}

/// `x / (1 + e^-x)`.
#[inline(always)]
pub fn silu(values: &mut [f32], multiply_add: impl Fn(f32, f32, f32) -> f32 + Copy) {
    for x in values {
        *x /= 1.0 + exp(-*x, multiply_add);
    }
}

/// `x (1 + tanh(u)) / 2 = x / (1 + e^-2u)`, with `u = sqrt(2 / pi) (x + 0.044715 x^3)`.
#[inline(always)]
pub fn gelu_tanh(values: &mut [f32], multiply_add: impl Fn(f32, f32, f32) -> f32 + Copy) {
    const TWICE: f32 = 2.0 * 0.797_884_6;
    for x in values {
        let minus_twice_u = -TWICE * *x * multiply_add(0.044_715 * *x, *x, 1.0);
        *x /= 1.0 + exp(minus_twice_u, multiply_add);
    }
}

/// `e^(scale (x - m)) / sum`, with the greatest `m`. A NaN or an infinity makes all of them NaN.
#[inline(always)]
pub fn softmax(row: &mut [f32], scale: f32, multiply_add: impl Fn(f32, f32, f32) -> f32 + Copy) {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let mut greatest = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = row.as_chunks::<LANES>();
    for chunk in whole {
        for (greatest, x) in greatest.iter_mut().zip(chunk) {
            *greatest = greater(*greatest, *x);
        }
    }
    let greatest = greatest.into_iter().chain(rest.iter().copied());
    let greatest = greatest.fold(f32::NEG_INFINITY, greater);

    let mut sums = [0.0; LANES];
    let (whole, rest) = row.as_chunks_mut::<LANES>();
    for chunk in whole {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *x = exp(scale * (*x - greatest), multiply_add);
            *sum += *x;
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *x = exp(scale * (*x - greatest), multiply_add);
        *sum += *x;
    }
    let factor = sums.iter().sum::<f32>().recip();
    row.iter_mut().for_each(|x| *x *= factor);
}
