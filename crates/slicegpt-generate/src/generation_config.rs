//! [`GenerationConfig`]: the generation settings of a checkpoint.

use serde_json::Value;

use crate::Sampling;

/// The settings of `generation_config.json`, or else of `config.json`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerationConfig {
    /// End-of-sequence tokens.
    pub eos: Vec<u32>,
    /// How tokens are chosen: greedily, unless the checkpoint asks for sampling.
    pub sampling: Sampling,
    /// Texts that end a generation.
    pub stop_strings: Vec<String>,
    /// Settings that transformers acts on and this crate does not.
    pub ignored: Vec<&'static str>,
}

/// Settings that change which tokens transformers chooses, with the values that change nothing.
/// Null changes nothing anywhere.
const UNSUPPORTED: &[(&str, &[f64])] = &[
    ("assistant_early_exit", &[]),
    ("bad_words_ids", &[]),
    ("begin_suppress_tokens", &[]),
    ("constraints", &[]),
    ("diversity_penalty", &[0.0]),
    ("dola_layers", &[]),
    ("encoder_no_repeat_ngram_size", &[0.0]),
    ("encoder_repetition_penalty", &[1.0]),
    ("exponential_decay_length_penalty", &[]),
    ("force_words_ids", &[]),
    ("forced_bos_token_id", &[]),
    ("forced_decoder_ids", &[]),
    ("forced_eos_token_id", &[]),
    ("guidance_scale", &[1.0]),
    ("min_length", &[0.0]),
    ("min_new_tokens", &[0.0]),
    ("no_repeat_ngram_size", &[0.0]),
    ("num_beam_groups", &[1.0]),
    ("num_beams", &[1.0]),
    ("penalty_alpha", &[0.0]),
    ("remove_invalid_values", &[]),
    ("sequence_bias", &[]),
    ("suppress_tokens", &[]),
    ("token_healing", &[]),
    ("watermarking_config", &[]),
];

/// The same, where tokens are sampled.
const UNSUPPORTED_SAMPLING: &[(&str, &[f64])] = &[
    ("epsilon_cutoff", &[0.0]),
    ("eta_cutoff", &[0.0]),
    ("renormalize_logits", &[]),
    ("top_h", &[1.0]),
    ("typical_p", &[1.0]),
];

impl GenerationConfig {
    /// Reads the parsed `generation_config.json`, which may be absent, and `config.json`.
    pub fn read(generation: Option<&Value>, config: &Value) -> Self {
        let field = |name: &str| generation.and_then(|generation| generation.get(name));
        let eos = ids(field("eos_token_id")).or_else(|| ids(config.get("eos_token_id")));
        let number = |name: &str| field(name).and_then(Value::as_f64).map(|x| x as f32);
        let greedy = Sampling::default();
        let sampled = field("do_sample").and_then(Value::as_bool) == Some(true);
        let sampling = match sampled {
            true => Sampling {
                temperature: number("temperature").unwrap_or(1.0),
                // The default of transformers is 50.
                top_k: match field("top_k") {
                    Some(k) => k.as_u64().filter(|k| *k > 0).map(|k| k as usize),
                    None => Some(50),
                },
                top_p: number("top_p").filter(|p| *p < 1.0),
                min_p: number("min_p"),
                ..greedy
            },
            false => greedy,
        };
        let repetition_penalty = number("repetition_penalty").unwrap_or(1.0);
        let stop_strings = match field("stop_strings") {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(texts)) => {
                texts.iter().filter_map(|text| Some(text.as_str()?.to_string())).collect()
            }
            _ => Vec::new(),
        };
        let more = if sampled { UNSUPPORTED_SAMPLING } else { &[] };
        let acts = |(name, neutral): &&(&str, &[f64])| match field(name) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Array(list)) => !list.is_empty(),
            Some(value) => !value.as_f64().is_some_and(|value| neutral.contains(&value)),
        };
        let ignored = UNSUPPORTED.iter().chain(more).filter(acts).map(|(name, _)| *name).collect();
        let sampling = Sampling { repetition_penalty, ..sampling };
        Self { eos: eos.unwrap_or_default(), sampling, stop_strings, ignored }
    }
}

/// A number, or a list of numbers.
fn ids(value: Option<&Value>) -> Option<Vec<u32>> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value? {
        Value::Array(ids) => Some(ids.iter().filter_map(id).collect()),
        value => id(value).map(|id| vec![id]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_come_from_the_generation_config_first() {
        let config = json!({"eos_token_id": 2});
        assert_eq!(GenerationConfig::read(None, &config).eos, [2]);
        assert_eq!(GenerationConfig::read(None, &config).sampling, Sampling::default());
        let generation = json!({
            "eos_token_id": [3, 4], "do_sample": true, "temperature": 0.6, "top_p": 0.9,
        });
        let found = GenerationConfig::read(Some(&generation), &config);
        assert_eq!(found.eos, [3, 4]);
        let sampling = &found.sampling;
        assert_eq!((sampling.temperature, sampling.top_p), (0.6, Some(0.9)));
        assert_eq!(sampling.top_k, Some(50));
        assert!(found.ignored.is_empty() && found.stop_strings.is_empty());
        // Sampling parameters have no effect without `do_sample`.
        let generation = json!({"temperature": 0.6});
        assert_eq!(
            GenerationConfig::read(Some(&generation), &config).sampling,
            Sampling::default()
        );
    }

    /// Nothing that transformers acts on is ignored silently.
    #[test]
    fn settings_that_are_not_supported_are_named() {
        let read = |generation: Value| GenerationConfig::read(Some(&generation), &json!({}));
        let neutral = json!({
            "num_beams": 1, "no_repeat_ngram_size": 0, "suppress_tokens": [], "min_length": 0,
            "forced_eos_token_id": null, "renormalize_logits": false, "guidance_scale": 1.0,
            "typical_p": 0.5, "max_new_tokens": 5, "use_cache": true, "transformers_version": "5",
        });
        assert_eq!(read(neutral).ignored, Vec::<&str>::new());
        let acting = json!({
            "num_beams": 4, "no_repeat_ngram_size": 3, "suppress_tokens": [5], "min_new_tokens": 2,
            "forced_eos_token_id": 2, "renormalize_logits": true, "do_sample": true,
            "typical_p": 0.5, "penalty_alpha": 0.6, "watermarking_config": {"bias": 2},
        });
        let want = [
            "forced_eos_token_id",
            "min_new_tokens",
            "no_repeat_ngram_size",
            "num_beams",
            "penalty_alpha",
            "suppress_tokens",
            "watermarking_config",
            "renormalize_logits",
            "typical_p",
        ];
        assert_eq!(read(acting).ignored, want);
        assert_eq!(read(json!({"stop_strings": "END"})).stop_strings, ["END"]);
        assert_eq!(read(json!({"stop_strings": ["a", "b"]})).stop_strings, ["a", "b"]);
    }
}
