//! The searches of the K types for the scale, and the minimum, that fit a group of values best.

/// Rounds to nearest, halfway cases to even. `x` is below 2^22 in magnitude.
pub(super) fn nearest(x: f32) -> i32 {
    // Adding 1.5 * 2^23 shifts the fraction out of the significand.
    let shifted = x + 12_582_912.0;
    (shifted.to_bits() & 0x007f_ffff) as i32 - 0x0040_0000
}

/// A group whose values are all below this is encoded as zeros.
pub(super) const NEGLIGIBLE: f32 = 1e-15;

/// The scale of `scale * (q - most)` that fits `x` best, with each squared error weighted by the
/// value's square. `quants` become `q`, from 0 to `2 * most - 1`.
pub(super) fn symmetric(x: &[f32], most: i32, quants: &mut [u8]) -> f32 {
    let largest = signed_largest(x);
    if largest.abs() < NEGLIGIBLE {
        quants.fill(0);
        return 0.0;
    }
    let quant = |inverse: f32, x: f32| nearest(inverse * x).clamp(-most, most - 1);
    let sums = |inverse: f32| {
        x.iter().fold((0.0_f32, 0.0_f32), |(xl, ll), x| {
            let (weight, l) = (x * x, quant(inverse, *x) as f32);
            (xl + weight * x * l, ll + weight * l * l)
        })
    };
    let mut fill = |inverse: f32| {
        for (q, x) in quants.iter_mut().zip(x) {
            *q = (most + quant(inverse, *x)) as u8;
        }
    };
    let start = -(most as f32) / largest;
    fill(start);
    let (xl, ll) = sums(start);
    let mut scale = if ll == 0.0 { 0.0 } else { xl / ll };
    let mut best = scale * xl;
    for step in (-9..=9).filter(|step| *step != 0) {
        let inverse = -(most as f32 + 0.1 * step as f32) / largest;
        let (xl, ll) = sums(inverse);
        if ll > 0.0 && xl * xl > best * ll {
            fill(inverse);
            scale = xl / ll;
            best = scale * xl;
        }
    }
    scale
}

/// The scale of `scale * (q - most)` that fits `x`, found by coordinate descent over the `q`.
/// `quants` become `q`, from 0 to `2 * most - 1`.
pub(super) fn descended(x: &[f32], most: i32, quants: &mut [u8]) -> f32 {
    let largest = signed_largest(x);
    if largest.abs() < NEGLIGIBLE {
        quants.fill(0);
        return 0.0;
    }
    let inverse = -(most as f32) / largest;
    let mut signed = [0_i32; 16];
    let signed = &mut signed[..x.len()];
    let (mut xl, mut ll) = (0.0_f32, 0.0_f32);
    for (l, x) in signed.iter_mut().zip(x) {
        *l = nearest(inverse * x).clamp(-most, most - 1);
        let weight = x * x;
        xl += weight * x * *l as f32;
        ll += weight * *l as f32 * *l as f32;
    }
    for _ in 0..5 {
        let mut changed = false;
        for (l, x) in signed.iter_mut().zip(x) {
            let weight = x * x;
            let mut other_xl = xl - weight * x * *l as f32;
            if other_xl > 0.0 {
                let mut other_ll = ll - weight * *l as f32 * *l as f32;
                let moved = nearest(x * other_ll / other_xl).clamp(-most, most - 1);
                if moved != *l {
                    other_xl += weight * x * moved as f32;
                    other_ll += weight * moved as f32 * moved as f32;
                    if other_ll > 0.0 && other_xl * other_xl * ll > xl * xl * other_ll {
                        *l = moved;
                        (xl, ll) = (other_xl, other_ll);
                        changed = true;
                    }
                }
            }
        }
        if !changed {
            break;
        }
    }
    for (q, l) in quants.iter_mut().zip(signed) {
        *q = (*l + most) as u8;
    }
    if ll > 0.0 { xl / ll } else { 0.0 }
}

/// The parameters of a search for a scale and a minimum.
pub(super) struct Search {
    /// The largest quant.
    pub most: i32,
    /// The first inverse scale tried, as an offset in quants from the one that spans the range.
    pub first: f32,
    /// Number of inverse scales tried after it, 0.1 quants apart.
    pub steps: i32,
    /// Whether errors count by magnitude instead of square.
    pub absolute: bool,
}

impl Search {
    /// The scale and the negated minimum of `scale * q - minimum` that fit `x` best, with errors
    /// weighted by `weights`. `quants` become `q`, from 0 to `most`.
    pub fn run(&self, x: &[f32], weights: &[f32], quants: &mut [u8]) -> (f32, f32) {
        let (mut min, mut max) = (x[0], x[0]);
        let mut sum_w = weights[0];
        let mut sum_x = sum_w * x[0];
        for (x, w) in x.iter().zip(weights).skip(1) {
            min = if *x < min { *x } else { min };
            max = if *x > max { *x } else { max };
            sum_w += w;
            sum_x += w * x;
        }
        min = min.min(0.0);
        if max == min {
            quants.fill(0);
            return (0.0, -min);
        }
        let quant =
            |inverse: f32, min: f32, x: f32| nearest(inverse * (x - min)).clamp(0, self.most) as u8;
        let error = |scale: f32, min: f32, quants: &[u8]| {
            x.iter().zip(weights).zip(quants).fold(0.0_f32, |sum, ((x, w), q)| {
                let difference = scale * f32::from(*q) + min - x;
                let cost = if self.absolute { difference.abs() } else { difference * difference };
                sum + w * cost
            })
        };
        let inverse = self.most as f32 / (max - min);
        let mut scale = 1.0 / inverse;
        for (q, x) in quants.iter_mut().zip(x) {
            *q = quant(inverse, min, *x);
        }
        let mut best = error(scale, min, quants);
        let mut tried = [0_u8; 32];
        let tried = &mut tried[..x.len()];
        for step in 0..=self.steps {
            // `min` changes with every better fit.
            let inverse = (self.first + 0.1 * step as f32 + self.most as f32) / (max - min);
            let (mut l, mut ll, mut xl) = (0.0_f32, 0.0_f32, 0.0_f32);
            for ((q, x), w) in tried.iter_mut().zip(x).zip(weights) {
                *q = quant(inverse, min, *x);
                let quant = f32::from(*q);
                l += w * quant;
                ll += w * quant * quant;
                xl += w * quant * x;
            }
            let determinant = sum_w * ll - l * l;
            if determinant > 0.0 {
                let mut this_scale = (sum_w * xl - sum_x * l) / determinant;
                let mut this_min = (ll * sum_x - l * xl) / determinant;
                if this_min > 0.0 {
                    this_min = 0.0;
                    this_scale = xl / ll;
                }
                let this = error(this_scale, this_min, tried);
                if this < best {
                    quants.copy_from_slice(tried);
                    best = this;
                    scale = this_scale;
                    min = this_min;
                }
            }
        }
        (scale, -min)
    }
}

/// The value of largest magnitude, with its sign; the first of several.
fn signed_largest(x: &[f32]) -> f32 {
    x.iter().fold(0.0_f32, |largest, x| if x.abs() > largest.abs() { *x } else { largest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halfway_cases_go_to_even() {
        for (x, rounded) in
            [(0.5, 0), (1.5, 2), (-0.5, 0), (-2.5, -2), (2.501, 3), (1e6, 1_000_000)]
        {
            assert_eq!(nearest(x), rounded, "{x}");
        }
    }

    #[test]
    fn values_on_a_grid_are_fitted_exactly() {
        let x: Vec<f32> = (0..32).map(|i| 0.25 * (i % 16) as f32 - 1.0).collect();
        let mut quants = [0; 32];
        let search = Search { most: 15, first: -1.0, steps: 20, absolute: false };
        let (scale, min) = search.run(&x, &[1.0; 32], &mut quants);
        for (x, q) in x.iter().zip(quants) {
            assert!((scale * f32::from(q) - min - x).abs() < 1e-6, "{x}");
        }
    }
}
