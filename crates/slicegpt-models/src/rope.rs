//! Rotary positions, half-split as in Hugging Face checkpoints, with the published scalings for
//! long contexts.

use std::f64::consts::PI;

use burn::tensor::{Device, Tensor, TensorData};
use slicegpt_kernels::has_kernels;

/// Rotary positions over the first `dim` dimensions of each head.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// The number of rotated dimensions, even; the rest of a head passes unchanged (partial
    /// rotary).
    pub dim: usize,
    /// Base of the frequencies.
    pub theta: f64,
    /// How the frequencies are scaled for contexts longer than that of the original training.
    pub scaling: Scaling,
}

/// How rotary frequencies are scaled. Each variant follows the function of the same name in
/// Hugging Face transformers' `modeling_rope_utils.py`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the fields carry the names of config.json
pub enum Scaling {
    /// No scaling.
    None,
    /// All frequencies divided by `factor`.
    Linear { factor: f64 },
    /// NTK-aware: the base grows when a sequence is longer than the context.
    Dynamic { factor: f64, context_length: usize },
    /// Llama 3.1: low frequencies divided, high ones kept, a ramp in between.
    Llama3 { factor: f64, low: f64, high: f64, original: usize },
    /// YaRN (arXiv 2309.00071).
    Yarn {
        factor: f64,
        original: usize,
        beta_fast: f64,
        beta_slow: f64,
        truncate: bool,
        attention_factor: Option<f64>,
        mscale: Option<(f64, f64)>,
    },
    /// LongRoPE (arXiv 2402.13753), Phi-3: one divisor per frequency, another list for sequences
    /// longer than `original`.
    LongRope {
        short: Vec<f64>,
        long: Vec<f64>,
        original: usize,
        factor: f64,
        attention_factor: Option<f64>,
    },
}

/// YaRN's factor for cosine and sine.
fn grow(scale: f64, mscale: f64) -> f64 {
    if scale <= 1.0 { 1.0 } else { 0.1 * mscale * scale.ln() + 1.0 }
}

impl Rope {
    /// The `dim / 2` angular frequencies for a sequence of `length` tokens, and the factor that
    /// cosine and sine are multiplied by.
    pub fn frequencies(&self, length: usize) -> (Vec<f64>, f64) {
        let half = self.dim / 2;
        let plain = |theta: f64| -> Vec<f64> {
            (0..half).map(|i| theta.powf(-2.0 * i as f64 / self.dim as f64)).collect()
        };
        let base = plain(self.theta);
        match &self.scaling {
            Scaling::None => (base, 1.0),
            Scaling::Linear { factor } => (base.iter().map(|f| f / factor).collect(), 1.0),
            Scaling::Dynamic { factor, context_length } => {
                let stretch = length.max(*context_length) as f64 / *context_length as f64;
                let grown = factor * stretch - (factor - 1.0);
                let power = self.dim as f64 / (self.dim as f64 - 2.0);
                (plain(self.theta * grown.powf(power)), 1.0)
            }
            Scaling::Llama3 { factor, low, high, original } => {
                let original = *original as f64;
                let scale = |f: &f64| {
                    let turns = original * f / (2.0 * PI);
                    if turns < *low {
                        f / factor
                    } else if turns > *high {
                        *f
                    } else {
                        let smooth = (turns - low) / (high - low);
                        (1.0 - smooth) * f / factor + smooth * f
                    }
                };
                (base.iter().map(scale).collect(), 1.0)
            }
            Scaling::Yarn {
                factor,
                original,
                beta_fast,
                beta_slow,
                truncate,
                attention_factor,
                mscale,
            } => {
                // The dimension whose frequency turns `rotations` times over the old context.
                let dimension = |rotations: f64| {
                    self.dim as f64 * (*original as f64 / (rotations * 2.0 * PI)).ln()
                        / (2.0 * self.theta.ln())
                };
                let (low, high) = (dimension(*beta_fast), dimension(*beta_slow));
                let (low, high) = if *truncate { (low.floor(), high.ceil()) } else { (low, high) };
                let (low, mut high) = (low.max(0.0), high.min(self.dim as f64 - 1.0));
                if low == high {
                    high += 0.001; // as transformers does, to avoid a division by zero
                }
                let keep = |i: usize| 1.0 - ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                let frequencies = base
                    .iter()
                    .enumerate()
                    .map(|(i, f)| f / factor * (1.0 - keep(i)) + f * keep(i))
                    .collect();
                let attention = attention_factor.unwrap_or_else(|| match mscale {
                    Some((m, all)) if *m != 0.0 && *all != 0.0 => {
                        grow(*factor, *m) / grow(*factor, *all)
                    }
                    _ => grow(*factor, 1.0),
                });
                (frequencies, attention)
            }
            Scaling::LongRope { short, long, original, factor, attention_factor } => {
                let divisors = if length > *original { long } else { short };
                let frequencies = base.iter().zip(divisors).map(|(f, d)| f / d).collect();
                let attention = attention_factor.unwrap_or_else(|| {
                    if *factor <= 1.0 {
                        1.0
                    } else {
                        (1.0 + factor.ln() / (*original as f64).ln()).sqrt()
                    }
                });
                (frequencies, attention)
            }
        }
    }

    /// Cosine and sine for positions `start..start + length` of a sequence `start + length` long,
    /// each `[length, dim]`. The sign of the rotation is in the sine: its first half is negated.
    pub fn tables(&self, start: usize, length: usize, device: &Device) -> [Tensor<2>; 2] {
        let (frequencies, attention) = self.frequencies(start + length);
        let mut cos = Vec::with_capacity(length * self.dim);
        let mut sin = Vec::with_capacity(length * self.dim);
        for position in start..start + length {
            let angles = frequencies.iter().map(|frequency| position as f64 * frequency);
            let of_half: Vec<[f32; 2]> = angles
                .map(|angle| angle.sin_cos())
                .map(|(sin, cos)| [(cos * attention) as f32, (sin * attention) as f32])
                .collect();
            for sign in [-1.0, 1.0] {
                cos.extend(of_half.iter().map(|[cos, _]| cos));
                sin.extend(of_half.iter().map(|[_, sin]| sign * sin));
            }
        }
        [cos, sin]
            .map(|table| Tensor::from_data(TensorData::new(table, [length, self.dim]), device))
    }
}

/// Rotates the first dimensions of each head: `x cos + swap(x) sin`, where `swap` exchanges the
/// two halves of the rotated part.
///
/// # Shapes
/// - `x`: `[batch, tokens, heads, head_dim]`
/// - `tables`: `[tokens, dim]` each, `dim <= head_dim`
pub(crate) fn rotate(x: Tensor<4>, tables: &[Tensor<2>; 2]) -> Tensor<4> {
    if has_kernels(&x) {
        return slicegpt_kernels::rotate(x, tables);
    }
    let [_, tokens, _, head_dim] = x.dims();
    let [_, dim] = tables[0].dims();
    let [cos, sin] = tables.clone().map(|table| table.cast(x.dtype()).reshape([1, tokens, 1, dim]));
    let pass = (dim < head_dim).then(|| x.clone().narrow(3, dim, head_dim - dim));
    let x = if dim < head_dim { x.narrow(3, 0, dim) } else { x };
    let half = dim / 2;
    let swapped =
        Tensor::cat(vec![x.clone().narrow(3, half, half), x.clone().narrow(3, 0, half)], 3);
    let rotated = x * cos + swapped * sin;
    match pass {
        Some(pass) => Tensor::cat(vec![rotated, pass], 3),
        None => rotated,
    }
}
