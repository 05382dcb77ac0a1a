//! [`RopeForm`]: rotary positions as an architecture of llama.cpp takes them: metadata, and tensors of
//! divisors.
//!
//! Where only the first dimensions of a head are rotated and the architecture rotates all, the others
//! get a divisor so large that they stand still, and the base is that with which the rotated ones turn
//! as before.

use slicegpt_models::{DecoderSpec, Positions, Rope, Scaling};

use crate::Value;
use crate::architecture::Architecture;

/// A divisor that stops a frequency.
const STILL: f32 = 1e30;

/// Rotary positions, expressed.
#[derive(Debug)]
pub(crate) struct RopeForm {
    /// Keys, without the name of the architecture before them, and values.
    pub metadata: Vec<(&'static str, Value)>,
    /// Tensors of divisors, by name.
    pub factors: Vec<(&'static str, Vec<f32>)>,
    /// Dimensions of a head that are rotated.
    pub rotated: usize,
    /// What the rows of the other dimensions are divided by, because llama.cpp multiplies them with it.
    pub still_scale: f32,
    /// Where llama.cpp computes something else.
    pub note: Option<String>,
}

impl RopeForm {
    /// Those of `spec` in `architecture`, or why they do not fit.
    pub fn new(spec: &DecoderSpec, architecture: &Architecture) -> Result<Self, String> {
        let Positions::Rotary(rope) = &spec.positions else {
            return Err("its positions are learned".into());
        };
        let head_dim = spec.attention.head_dim;
        let padded = rope.dim < head_dim && !architecture.partial;
        if padded && !architecture.frequency_factors {
            return Err(format!(
                "it rotates {} of {head_dim} dimensions of a head, and {} rotates all",
                rope.dim, architecture.name
            ));
        }
        let mut scaled = Scaled::new(rope, architecture, padded)?;
        let mut theta = rope.theta;
        if padded {
            theta = theta.powf(head_dim as f64 / rope.dim as f64);
            if scaled.factors.is_empty() {
                scaled.factors.push(("rope_freqs.weight", vec![1.0; rope.dim / 2]));
            }
            for (_, list) in &mut scaled.factors {
                list.resize(head_dim / 2, STILL);
            }
        }
        let dimensions = if padded { head_dim } else { rope.dim };
        let mut metadata = vec![
            ("rope.dimension_count", Value::U32(dimensions as u32)),
            ("rope.freq_base", Value::F32(theta as f32)),
        ];
        metadata.append(&mut scaled.metadata);
        if scaled.attention != 1.0 {
            metadata.push(("rope.scaling.attn_factor", Value::F32(scaled.attention as f32)));
        }
        Ok(Self {
            metadata,
            factors: scaled.factors,
            rotated: rope.dim,
            still_scale: if padded { scaled.attention as f32 } else { 1.0 },
            note: scaled.note,
        })
    }
}

/// The scaling alone.
#[derive(Default)]
struct Scaled {
    metadata: Vec<(&'static str, Value)>,
    factors: Vec<(&'static str, Vec<f32>)>,
    /// What cosine and sine are multiplied by, beyond what llama.cpp does by itself.
    attention: f64,
    note: Option<String>,
}

impl Scaled {
    fn new(rope: &Rope, architecture: &Architecture, padded: bool) -> Result<Self, String> {
        let plain = Self { attention: 1.0, ..Self::default() };
        let kind = |name: &str| ("rope.scaling.type", Value::Text(name.into()));
        let original =
            |tokens: usize| ("rope.scaling.original_context_length", Value::U32(tokens as u32));
        match &rope.scaling {
            Scaling::None => Ok(plain),
            Scaling::Linear { factor } => {
                let factor = ("rope.scaling.factor", Value::F32(*factor as f32));
                Ok(Self { metadata: vec![kind("linear"), factor], ..plain })
            }
            Scaling::Dynamic { context_length, .. } => {
                let note = format!(
                    "dynamic rope scaling: the same up to {context_length} tokens; beyond, llama.cpp does not \
                     stretch the positions"
                );
                Ok(Self { note: Some(note), ..plain })
            }
            Scaling::Llama3 { .. } => Self::divisors(rope, architecture, "llama3"),
            Scaling::Yarn { factor, original: tokens, beta_fast, beta_slow, truncate, .. } => {
                let usual = *truncate && *beta_fast == 32.0 && *beta_slow == 1.0;
                if !usual || padded {
                    return Self::divisors(rope, architecture, "yarn with its own betas");
                }
                let own = if *factor > 1.0 { 0.1 * factor.ln() + 1.0 } else { 1.0 };
                let factor = ("rope.scaling.factor", Value::F32(*factor as f32));
                Ok(Self {
                    metadata: vec![kind("yarn"), factor, original(*tokens)],
                    attention: rope.frequencies(0).1 / own,
                    ..plain
                })
            }
            Scaling::LongRope { short, long, original: tokens, .. } => {
                if !architecture.long_factors {
                    return Err(format!("{} has no longrope", architecture.name));
                }
                let narrow = |list: &[f64]| list.iter().map(|x| *x as f32).collect();
                Ok(Self {
                    metadata: vec![kind("longrope"), original(*tokens)],
                    factors: vec![
                        ("rope_factors_long.weight", narrow(long)),
                        ("rope_factors_short.weight", narrow(short)),
                    ],
                    attention: rope.frequencies(0).1,
                    ..plain
                })
            }
        }
    }

    /// Any scaling that does not depend on the length of the sequence, as a divisor for each frequency.
    fn divisors(rope: &Rope, architecture: &Architecture, scaling: &str) -> Result<Self, String> {
        if !architecture.frequency_factors {
            return Err(format!("{} has no rope scaling {scaling}", architecture.name));
        }
        let unscaled = Rope { scaling: Scaling::None, ..rope.clone() };
        let (frequencies, attention) = rope.frequencies(0);
        let pairs = unscaled.frequencies(0).0.into_iter().zip(frequencies);
        let factors = pairs.map(|(plain, scaled)| (plain / scaled) as f32).collect();
        let factors = vec![("rope_freqs.weight", factors)];
        Ok(Self { factors, attention, ..Self::default() })
    }
}
