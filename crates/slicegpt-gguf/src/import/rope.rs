//! Rotary positions of a file as fields of `config.json`.
//!
//! A file may hold a divisor for every frequency (`rope_freqs`). Where these are those of Llama 3's
//! scaling they become that scaling again, and otherwise two equal lists of longrope, which every
//! family reads.

use serde_json::{Map, Value, json};
use slicegpt_models::{Rope, Scaling};

use super::keys::Keys;
use crate::error::Result;
use crate::file::shortest;

/// Rotary positions.
pub(super) struct RopeFields {
    pub theta: f64,
    /// Rotated dimensions per head.
    pub rotated: usize,
    pub scaling: Option<Map<String, Value>>,
    /// The context before the scaling.
    pub original: Option<u64>,
    /// Whether the scaling is longrope with two lists.
    pub is_long: bool,
}

/// The divisors that a file holds as tensors.
pub(super) struct Divisors {
    pub all: Option<Vec<f32>>,
    pub short: Option<Vec<f32>>,
    pub long: Option<Vec<f32>>,
}

/// The positions of a model with heads of `head_dim`.
pub(super) fn rope(
    keys: &Keys<'_>,
    divisors: &Divisors,
    head_dim: usize,
    context: u64,
) -> Result<RopeFields> {
    let wrong = |reason: &str| keys.file.wrong(reason);
    let theta = keys.number("rope.freq_base")?.unwrap_or(10000.0);
    let rotated = keys.count("rope.dimension_count")?.unwrap_or(head_dim as u64);
    let Some(rotated) = usize::try_from(rotated).ok().filter(|n| *n <= head_dim) else {
        return Err(wrong("`rope.dimension_count` is above the width of a head"));
    };
    for list in [&divisors.all, &divisors.short, &divisors.long].into_iter().flatten() {
        if list.len() != rotated / 2 {
            let (found, needed) = (list.len(), rotated / 2);
            let reason = format!("{found} divisors of rotary frequencies, {needed} are needed");
            return Err(wrong(&reason));
        }
    }
    let factor = keys.number("rope.scaling.factor")?.or(keys.number("rope.scale_linear")?);
    let factor = factor.filter(|factor| *factor > 0.0);
    // llama.cpp takes a factor without a type as linear.
    let kind = keys.text("rope.scaling.type")?.unwrap_or("linear");
    let original = keys.count("rope.scaling.original_context_length")?;
    let attention = keys.number("rope.scaling.attn_factor")?.unwrap_or(1.0);
    let rope = Rope { dim: rotated, theta, scaling: Scaling::None };
    let is_long = divisors.short.is_some() || divisors.long.is_some();
    let scaling = match (&divisors.all, &divisors.short, &divisors.long, kind, factor) {
        (Some(_), ..) if is_long => {
            return Err(wrong("rope_freqs and rope_factors exclude another"));
        }
        (Some(_), _, _, "yarn", _) => {
            return Err(wrong("rope_freqs and yarn scaling exclude another"));
        }
        (Some(_), _, _, _, Some(factor)) if factor != 1.0 => {
            return Err(wrong("rope_freqs and linear scaling exclude another"));
        }
        (Some(list), ..) => one_list(&rope, list, attention, context),
        (None, Some(short), Some(long), ..) => {
            Some(longrope(short, long, attention, original, context))
        }
        (None, ..) if is_long => return Err(wrong("one of the two lists rope_factors is missing")),
        (_, _, _, "none" | "linear", None) => None,
        (_, _, _, "none", Some(_)) => None,
        (_, _, _, "linear", Some(1.0)) => None,
        (_, _, _, "linear", Some(factor)) => {
            Some(object(json!({ "rope_type": "linear", "factor": factor })))
        }
        (_, _, _, "yarn", factor) => Some(yarn(keys, factor, original, attention)?),
        (_, _, _, other, _) => {
            return Err(wrong(&format!(
                "rope scaling `{other}` without what it needs, or unknown"
            )));
        }
    };
    Ok(RopeFields { theta, rotated, scaling, original, is_long })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn yarn(
    keys: &Keys<'_>,
    factor: Option<f64>,
    original: Option<u64>,
    attention: f64,
) -> Result<Map<String, Value>> {
    let factor = factor.ok_or_else(|| keys.missing("rope.scaling.factor"))?;
    let mut scaling = object(json!({ "rope_type": "yarn", "factor": factor }));
    if let Some(original) = original {
        scaling.insert("original_max_position_embeddings".into(), original.into());
    }
    for name in ["beta_fast", "beta_slow"] {
        if let Some(beta) = keys.number(&format!("rope.scaling.yarn_{name}"))? {
            scaling.insert(name.into(), beta.into());
        }
    }
    if attention != 1.0 {
        // llama.cpp multiplies with its own factor too.
        let own = if factor > 1.0 { 0.1 * factor.ln() + 1.0 } else { 1.0 };
        scaling.insert("attention_factor".into(), (attention * own).into());
    }
    Ok(scaling)
}

/// A scaling that gives each frequency its divisor, at any length.
fn one_list(rope: &Rope, list: &[f32], attention: f64, context: u64) -> Option<Map<String, Value>> {
    if list.iter().all(|divisor| *divisor == 1.0) && attention == 1.0 {
        return None;
    }
    match llama3(rope, list) {
        Some(scaling) if attention == 1.0 => Some(scaling),
        _ => Some(longrope(list, list, attention, Some(context), context)),
    }
}

/// The scaling of Llama 3 that has these divisors, if there is one with the usual ramp.
fn llama3(rope: &Rope, list: &[f32]) -> Option<Map<String, Value>> {
    let factor = list.iter().copied().fold(1.0, f32::max);
    let factor = shortest(factor);
    // 8192 is that of the published models.
    let contexts = std::iter::once(13).chain(4..=20).map(|power| 1_usize << power);
    for original in contexts {
        let scaling = Scaling::Llama3 { factor, low: 1.0, high: 4.0, original };
        let scaled = Rope { scaling, ..rope.clone() }.frequencies(0).0;
        let plain = rope.frequencies(0).0;
        let mut divisors = plain.iter().zip(&scaled).map(|(plain, scaled)| plain / scaled);
        let same = |found: f64, given: f32| (found / f64::from(given) - 1.0).abs() < 1e-6;
        if list.iter().all(|x| same(divisors.next().unwrap_or(0.0), *x)) {
            return Some(object(json!({
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": original,
            })));
        }
    }
    None
}

/// Two lists of divisors. The factor of cosine and sine is written where it is not the usual one.
fn longrope(
    short: &[f32],
    long: &[f32],
    attention: f64,
    original: Option<u64>,
    context: u64,
) -> Map<String, Value> {
    let list = |list: &[f32]| -> Vec<f64> { list.iter().map(|x| shortest(*x)).collect() };
    let original = original.unwrap_or(context) as f64;
    let stretch = context as f64 / original;
    let usual = if stretch > 1.0 { (1.0 + stretch.ln() / original.ln()).sqrt() } else { 1.0 };
    let mut scaling = object(json!({
        "rope_type": "longrope",
        "short_factor": list(short),
        "long_factor": list(long),
    }));
    if (attention / usual - 1.0).abs() > 1e-6 {
        scaling.insert("attention_factor".into(), attention.into());
    }
    scaling
}
