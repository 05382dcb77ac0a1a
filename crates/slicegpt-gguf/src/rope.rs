//! [`RopeForm`]: rotary positions as an architecture of llama.cpp takes them, as metadata and
//! tensors of divisors.
//!
//! Where only the first dimensions of a head are rotated and the architecture rotates all, the
//! other dimensions get a divisor so large that their angle stays zero, and the base is changed so
//! that the rotated ones keep their frequencies.

use slicegpt_models::{DecoderSpec, Positions, Rope, Scaling};

use crate::Value;

/// A divisor so large that the angle is zero.
const UNROTATED: f32 = 1e30;

/// What an architecture can express of rotary positions.
#[derive(Debug)]
pub(crate) struct RopeSupport {
    /// Whether part of a head may be rotated and the rest not.
    pub partial: bool,
    /// Whether there may be a divisor for each rotary frequency (`rope_freqs`).
    pub divisors: bool,
    /// Whether there may be two lists of them, for short and for long sequences.
    pub long_divisors: bool,
}

/// Rotary positions as an architecture takes them.
#[derive(Debug)]
pub(crate) struct RopeForm {
    /// Keys, without the prefix of the architecture, and values.
    pub metadata: Vec<(&'static str, Value)>,
    /// Tensors of divisors, by name.
    pub factors: Vec<(&'static str, Vec<f32>)>,
    /// Rotated dimensions per head.
    pub rotated: usize,
    /// The factor that llama.cpp multiplies the unrotated dimensions by. Their rows are divided by
    /// it.
    pub unrotated_scale: f32,
    /// A difference between what llama.cpp computes and what the model computes.
    pub note: Option<String>,
}

impl RopeForm {
    /// The rotary positions of `spec` in an architecture named `name` that supports `support`, or
    /// why they do not fit.
    pub fn new(spec: &DecoderSpec, support: &RopeSupport, name: &str) -> Result<Self, String> {
        let Positions::Rotary(rope) = &spec.positions else {
            return Err("its positions are learned".into());
        };
        let head_dim = spec.attention.head_dim;
        let padded = rope.dim < head_dim && !support.partial;
        if padded && !support.divisors {
            return Err(format!(
                "it rotates {} of {head_dim} dimensions of a head, and {name} rotates all",
                rope.dim
            ));
        }
        let mut scaled = Scaled::new(rope, support, name, padded)?;
        let mut theta = rope.theta;
        if padded {
            theta = theta.powf(head_dim as f64 / rope.dim as f64);
            if scaled.factors.is_empty() {
                scaled.factors.push(("rope_freqs.weight", vec![1.0; rope.dim / 2]));
            }
            for (_, list) in &mut scaled.factors {
                list.resize(head_dim / 2, UNROTATED);
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
            unrotated_scale: if padded { scaled.attention as f32 } else { 1.0 },
            note: scaled.note,
        })
    }
}

/// The scaling of the frequencies.
#[derive(Default)]
struct Scaled {
    metadata: Vec<(&'static str, Value)>,
    factors: Vec<(&'static str, Vec<f32>)>,
    /// Factor of cosine and sine, beyond the factor that llama.cpp applies.
    attention: f64,
    note: Option<String>,
}

impl Scaled {
    fn new(rope: &Rope, support: &RopeSupport, name: &str, padded: bool) -> Result<Self, String> {
        let plain = Self { attention: 1.0, ..Self::default() };
        let kind = |kind: &str| ("rope.scaling.type", Value::Text(kind.into()));
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
                    "dynamic rope scaling: the same up to {context_length} tokens; beyond that, \
                     llama.cpp does not scale the positions"
                );
                Ok(Self { note: Some(note), ..plain })
            }
            Scaling::Llama3 { .. } => Self::divisors(rope, support, name, "llama3"),
            Scaling::Yarn { factor, original: tokens, beta_fast, beta_slow, truncate, .. } => {
                let usual = *truncate && *beta_fast == 32.0 && *beta_slow == 1.0;
                if !usual || padded {
                    return Self::divisors(rope, support, name, "yarn with its own betas");
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
                if !support.long_divisors {
                    return Err(format!("{name} has no longrope"));
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

    /// Any scaling that does not depend on the length of the sequence, as a divisor for each
    /// frequency.
    fn divisors(
        rope: &Rope,
        support: &RopeSupport,
        name: &str,
        scaling: &str,
    ) -> Result<Self, String> {
        if !support.divisors {
            return Err(format!("{name} has no rope scaling {scaling}"));
        }
        let unscaled = Rope { scaling: Scaling::None, ..rope.clone() };
        let (frequencies, attention) = rope.frequencies(0);
        let pairs = unscaled.frequencies(0).0.into_iter().zip(frequencies);
        let factors = pairs.map(|(plain, scaled)| (plain / scaled) as f32).collect();
        let factors = vec![("rope_freqs.weight", factors)];
        Ok(Self { factors, attention, ..Self::default() })
    }
}
