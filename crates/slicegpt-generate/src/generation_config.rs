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

/// A setting of a checkpoint that is not what it must be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: field `{field}` is {found}, expected {expected}")]
pub struct InvalidSetting {
    file: &'static str,
    field: &'static str,
    found: String,
    expected: &'static str,
}

type Result<T> = std::result::Result<T, InvalidSetting>;

/// Characters of a value that an error shows.
const SHOWN: usize = 100;

/// A file with settings.
#[derive(Clone, Copy)]
struct Settings<'a> {
    file: &'static str,
    values: &'a Value,
}

impl<'a> Settings<'a> {
    /// The value of a field; null counts as absent.
    fn get(&self, field: &str) -> Option<&'a Value> {
        self.values.get(field).filter(|value| !value.is_null())
    }

    /// A field that `read` understands.
    fn typed<T>(
        &self,
        field: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(field) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => {
                let found = value.to_string().chars().take(SHOWN).collect();
                Err(InvalidSetting { file: self.file, field, found, expected })
            }
        }
    }

    /// A number for which `fits` holds.
    fn number(
        &self,
        field: &'static str,
        expected: &'static str,
        fits: impl FnOnce(f64) -> bool,
    ) -> Result<Option<f32>> {
        let number = self.typed(field, expected, |value| value.as_f64().filter(|x| fits(*x)))?;
        Ok(number.map(|number| number as f32))
    }

    /// How tokens are sampled, if they are.
    fn sampling(&self, sampled: bool) -> Result<Sampling> {
        let greedy = Sampling::default();
        let chosen = if sampled {
            let top_k = |value: &Value| value.as_i64().filter(|k| *k >= -1);
            Sampling {
                temperature: self
                    .number("temperature", "a number from 0", |x| x >= 0.0)?
                    .unwrap_or(1.0),
                // The default of transformers is 50; null, 0 and -1 are all tokens.
                top_k: match self.values.get("top_k") {
                    None => Some(50),
                    Some(_) => self
                        .typed("top_k", "a whole number", top_k)?
                        .and_then(|k| usize::try_from(k).ok().filter(|k| *k > 0)),
                },
                // One above 1 is no limit, in transformers too.
                top_p: self
                    .number("top_p", "a number from 0 to 1", |p| p >= 0.0)?
                    .filter(|p| *p < 1.0),
                min_p: self
                    .number("min_p", "a number from 0 to 1", |p| (0.0..=1.0).contains(&p))?,
                ..greedy
            }
        } else {
            greedy
        };
        let penalty = self.number("repetition_penalty", "a number above 0", |x| x as f32 > 0.0)?;
        Ok(Sampling { repetition_penalty: penalty.unwrap_or(1.0), ..chosen })
    }

    fn stop_strings(&self) -> Result<Vec<String>> {
        let texts =
            self.typed("stop_strings", "a string or a list of strings", |value| match value {
                Value::String(text) => Some(vec![text.clone()]),
                Value::Array(texts) => {
                    texts.iter().map(|text| Some(text.as_str()?.to_string())).collect()
                }
                _ => None,
            })?;
        Ok(texts.unwrap_or_default())
    }

    /// Token ids that end a text. Negative ones are none.
    fn eos(&self) -> Result<Option<Vec<u32>>> {
        let id = |value: &Value| value.as_f64().filter(|id| id.fract() == 0.0);
        let ids =
            self.typed("eos_token_id", "a token id or a list of them", |value| match value {
                Value::Array(ids) => ids.iter().map(id).collect::<Option<Vec<f64>>>(),
                value => Some(vec![id(value)?]),
            })?;
        let possible = |id: &f64| (0.0..=f64::from(u32::MAX)).contains(id);
        Ok(ids.map(|ids| ids.into_iter().filter(possible).map(|id| id as u32).collect()))
    }

    /// Settings that change which tokens transformers chooses, and that are not supported.
    fn ignored(&self, sampled: bool) -> Vec<&'static str> {
        let more = if sampled { UNSUPPORTED_SAMPLING } else { &[] };
        let acts = |(name, neutral): &&(&str, &[f64])| match self.get(name) {
            None | Some(Value::Bool(false)) => false,
            Some(Value::Array(list)) => !list.is_empty(),
            Some(value) => !value.as_f64().is_some_and(|value| neutral.contains(&value)),
        };
        UNSUPPORTED.iter().chain(more).filter(acts).map(|(name, _)| *name).collect()
    }
}

impl GenerationConfig {
    /// Reads the parsed `generation_config.json`. Where there is none, settings are those of
    /// `config.json`, as in transformers, and so is the end of a text that it does not name.
    ///
    /// # Errors
    ///
    /// If a setting is not of its type, or out of its range.
    pub fn read(generation: Option<&Value>, config: &Value) -> Result<Self> {
        let of_config = Settings { file: "config.json", values: config };
        let settings = match generation {
            Some(values) => Settings { file: "generation_config.json", values },
            None => of_config,
        };
        if !settings.values.is_object() {
            let found = settings.values.to_string().chars().take(SHOWN).collect();
            let (file, field, expected) = (settings.file, "generation settings", "a JSON object");
            return Err(InvalidSetting { file, field, found, expected });
        }
        let sampled = settings.typed("do_sample", "true or false", Value::as_bool)? == Some(true);
        let eos = match settings.eos()? {
            Some(eos) => Some(eos),
            None => of_config.eos()?,
        };
        Ok(Self {
            eos: eos.unwrap_or_default(),
            sampling: settings.sampling(sampled)?,
            stop_strings: settings.stop_strings()?,
            ignored: settings.ignored(sampled),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_come_from_the_generation_config_first() {
        let config = json!({"eos_token_id": 2});
        assert_eq!(GenerationConfig::read(None, &config).unwrap().eos, [2]);
        assert_eq!(GenerationConfig::read(None, &config).unwrap().sampling, Sampling::default());
        let generation = json!({
            "eos_token_id": [3, 4], "do_sample": true, "temperature": 0.6, "top_p": 0.9,
        });
        let found = GenerationConfig::read(Some(&generation), &config).unwrap();
        assert_eq!(found.eos, [3, 4]);
        let sampling = &found.sampling;
        assert_eq!((sampling.temperature, sampling.top_p), (0.6, Some(0.9)));
        assert_eq!(sampling.top_k, Some(50));
        assert!(found.ignored.is_empty() && found.stop_strings.is_empty());
        // Sampling parameters have no effect without `do_sample`.
        let generation = json!({"temperature": 0.6});
        let found = GenerationConfig::read(Some(&generation), &config).unwrap();
        assert_eq!(found.sampling, Sampling::default());
    }

    /// Nothing that transformers acts on is ignored silently.
    #[test]
    fn settings_that_are_not_supported_are_named() {
        let read =
            |generation: Value| GenerationConfig::read(Some(&generation), &json!({})).unwrap();
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

    /// transformers makes the generation settings from those of the model if they have no file.
    #[test]
    fn settings_may_be_in_the_config_of_the_model() {
        let config = json!({
            "eos_token_id": 2, "repetition_penalty": 1.5, "no_repeat_ngram_size": 2,
            "do_sample": true, "top_k": 5, "hidden_size": 8,
        });
        let found = GenerationConfig::read(None, &config).unwrap();
        assert_eq!((found.eos, found.ignored), (vec![2], vec!["no_repeat_ngram_size"]));
        assert_eq!((found.sampling.repetition_penalty, found.sampling.top_k), (1.5, Some(5)));
        let found = GenerationConfig::read(Some(&json!({})), &config).unwrap();
        assert_eq!((found.eos, found.ignored), (vec![2], vec![]));
        assert_eq!(found.sampling, Sampling::default());
    }

    #[test]
    fn values_of_other_types_or_out_of_range_are_refused() {
        let read = |field: &str, value: Value| {
            let mut generation = json!({"do_sample": true});
            generation[field] = value;
            GenerationConfig::read(Some(&generation), &json!({}))
        };
        for (field, value) in [
            ("do_sample", json!("yes")),
            ("temperature", json!("hot")),
            ("temperature", json!(-1)),
            ("top_k", json!(1.5)),
            ("top_k", json!(-2)),
            ("top_p", json!(-0.1)),
            ("min_p", json!(2)),
            ("repetition_penalty", json!(0)),
            ("repetition_penalty", json!(-2)),
            ("repetition_penalty", json!(1e-300)),
            ("eos_token_id", json!("1")),
            ("eos_token_id", json!([[1]])),
            ("eos_token_id", json!(1.5)),
            ("stop_strings", json!(["a", 1])),
            ("stop_strings", json!(1)),
        ] {
            let error = read(field, value.clone()).unwrap_err().to_string();
            let begins = format!("generation_config.json: field `{field}` is {value}, expected");
            assert!(error.starts_with(&begins), "{error}");
        }
        for (field, value) in [
            ("temperature", json!(0)),
            ("temperature", json!(null)),
            ("top_k", json!(-1)),
            ("top_k", json!(0)),
            ("top_k", json!(null)),
            ("top_p", json!(1.5)),
            ("eos_token_id", json!(-1)),
            ("eos_token_id", json!([])),
            ("stop_strings", json!([])),
        ] {
            let found = read(field, value.clone()).unwrap();
            assert!(found.eos.is_empty() && found.stop_strings.is_empty(), "{field} {value}");
            assert_eq!((found.sampling.top_p, found.sampling.min_p), (None, None));
            let top_k = if field == "top_k" { None } else { Some(50) };
            assert_eq!(found.sampling.top_k, top_k, "{field} {value}");
        }
        assert_eq!(read("eos_token_id", json!(1.0)).unwrap().eos, [1]);
        for other in [json!(null), json!([]), json!("x")] {
            let error = GenerationConfig::read(Some(&other), &json!({})).unwrap_err().to_string();
            assert!(error.contains("expected a JSON object"), "{error}");
        }
    }
}
