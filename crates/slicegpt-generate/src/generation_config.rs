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
}

impl GenerationConfig {
    /// Reads the parsed `generation_config.json`, which may be absent, and `config.json`.
    pub fn read(generation: Option<&Value>, config: &Value) -> Self {
        let field = |name: &str| generation.and_then(|generation| generation.get(name));
        let eos = ids(field("eos_token_id")).or_else(|| ids(config.get("eos_token_id")));
        let number = |name: &str| field(name).and_then(Value::as_f64).map(|x| x as f32);
        let greedy = Sampling::default();
        let sampling = match field("do_sample").and_then(Value::as_bool) {
            Some(true) => Sampling {
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
            _ => greedy,
        };
        let repetition_penalty = number("repetition_penalty").unwrap_or(1.0);
        Self { eos: eos.unwrap_or_default(), sampling: Sampling { repetition_penalty, ..sampling } }
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
        // Sampling parameters have no effect without `do_sample`.
        let generation = json!({"temperature": 0.6});
        assert_eq!(
            GenerationConfig::read(Some(&generation), &config).sampling,
            Sampling::default()
        );
    }
}
