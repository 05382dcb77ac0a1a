//! Results that other programs of this project write as JSON: perplexity, divergence, tasks, speed.
//! The kind is recognised by the keys.

use serde_json::Value;

use crate::ReportError;

/// A result of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Score {
    /// Perplexity of a text.
    Perplexity {
        /// The perplexity.
        value: f64,
        /// The text it was measured on.
        text: ScoredText,
    },
    /// Divergence from another model.
    Kl {
        /// That model, as the user named it; absent for the dense one.
        base: Option<String>,
        /// Mean KL divergence, in nats per token.
        mean: f64,
        /// Its standard error.
        error: f64,
        /// The fraction of positions at which both predict the same token.
        agreement: f64,
        /// The text it was measured on.
        text: ScoredText,
    },
    /// One metric of a task.
    Task {
        /// The task.
        task: String,
        /// The metric, for example `acc`.
        metric: String,
        /// Value of the metric.
        value: f64,
        /// Standard error of the metric, where it has one.
        error: Option<f64>,
        /// Number of solved examples before each question.
        shots: u64,
        /// Number of questions.
        items: u64,
    },
    /// Speed of the model.
    Speed {
        /// `prefill` or `decode`.
        phase: String,
        /// Name of the device.
        device: String,
        /// The type of its weights in memory, where it is given.
        weights: Option<String>,
        /// Tokens per sequence that are processed.
        tokens: u64,
        /// Tokens before them in the KV cache.
        context: u64,
        /// Sequences per batch.
        batch: u64,
        /// Tokens per second, summed over the batch.
        tokens_per_second: f64,
        /// Milliseconds per token.
        milliseconds_per_token: Option<f64>,
    },
}

/// A text that a result was measured on, and the protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredText {
    /// Name of the file, where known.
    pub name: Option<String>,
    /// Path of the file as the user gave it, where known.
    pub path: Option<String>,
    /// Number of sequences.
    pub samples: u64,
    /// Tokens per sequence.
    pub seqlen: u64,
    /// How it was measured, for a reader.
    pub protocol: String,
}

/// A result, and the model it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The model, as the user named it.
    pub model: String,
    /// The result.
    pub score: Score,
}

/// Reads the results in a JSON value.
///
/// # Errors
///
/// If it holds no known kind of result, or a field is missing.
pub fn scores(json: &Value) -> Result<Vec<Measured>, ReportError> {
    // Those of several texts.
    if let Some(several) = json["texts"].as_array().filter(|list| !list.is_empty()) {
        let found: Result<Vec<_>, _> = several.iter().map(one).collect();
        return Ok(found?.concat());
    }
    one(json)
}

/// The results in one object.
fn one(json: &Value) -> Result<Vec<Measured>, ReportError> {
    let has = |key: &str| json.get(key).is_some();
    if let Some(rows) = json.get("benchmarks") {
        let rows = rows.as_array().ok_or(ReportError::Field("benchmarks"))?;
        return rows.iter().map(speed).collect();
    }
    if has("results") && has("config") {
        return tasks(json);
    }
    let measured = |score| Ok(vec![Measured { model: string(json, "model")?, score }]);
    if has("kl") {
        return measured(Score::Kl {
            base: json.get("base").and_then(Value::as_str).map(str::to_string),
            mean: number(json, "kl")?,
            error: number(json, "kl_standard_error")?,
            agreement: number(json, "top1_agreement")?,
            text: text(json)?,
        });
    }
    if has("perplexity") {
        let value = number(json, "perplexity")?;
        return measured(Score::Perplexity { value, text: text(json)? });
    }
    Err(ReportError::Unknown)
}

fn tasks(json: &Value) -> Result<Vec<Measured>, ReportError> {
    let model = string(&json["config"], "model")?;
    let results = json["results"].as_object().ok_or(ReportError::Field("results"))?;
    let mut found = Vec::new();
    for (task, metrics) in results {
        let metrics = metrics.as_object().ok_or(ReportError::Field("results"))?;
        for (key, value) in metrics {
            // A key is `acc,none`: the metric, and a filter that is never used.
            let Some(metric) = key.strip_suffix(",none") else { continue };
            let Some(value) = value.as_f64().filter(|_| !metric.ends_with("_stderr")) else {
                continue;
            };
            let error = metrics.get(&format!("{metric}_stderr,none")).and_then(Value::as_f64);
            let shots = json.get("n-shot").and_then(|shots| shots.get(task));
            let score = Score::Task {
                task: task.clone(),
                metric: metric.into(),
                value,
                error,
                shots: shots.and_then(Value::as_u64).unwrap_or(0),
                items: metrics.get("sample_len").and_then(Value::as_u64).unwrap_or(0),
            };
            found.push(Measured { model: model.clone(), score });
        }
    }
    Ok(found)
}

fn speed(row: &Value) -> Result<Measured, ReportError> {
    let count = |key| row.get(key).and_then(Value::as_u64).ok_or(ReportError::Field(key));
    let score = Score::Speed {
        phase: string(row, "phase")?,
        device: string(row, "device")?,
        weights: row.get("weights").and_then(Value::as_str).map(str::to_string),
        tokens: count("tokens")?,
        context: row.get("context").and_then(Value::as_u64).unwrap_or(0),
        batch: count("batch")?,
        tokens_per_second: number(row, "tokens_per_second")?,
        milliseconds_per_token: row.get("milliseconds_per_token").and_then(Value::as_f64),
    };
    Ok(Measured { model: string(row, "model")?, score })
}

fn text(json: &Value) -> Result<ScoredText, ReportError> {
    let count = |key| json.get(key).and_then(Value::as_u64).ok_or(ReportError::Field(key));
    let path = json.get("text").and_then(Value::as_str);
    Ok(ScoredText {
        name: path.map(|path| path.rsplit(['/', '\\']).next().unwrap_or(path).to_string()),
        path: path.map(str::to_string),
        samples: count("samples")?,
        seqlen: count("seqlen")?,
        protocol: string(json, "protocol")?,
    })
}

fn number(json: &Value, key: &'static str) -> Result<f64, ReportError> {
    json.get(key).and_then(Value::as_f64).ok_or(ReportError::Field(key))
}

fn string(json: &Value, key: &'static str) -> Result<String, ReportError> {
    let value = json.get(key).and_then(Value::as_str).ok_or(ReportError::Field(key))?;
    Ok(value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_of_results_are_recognised() {
        let found = scores(&json!({
            "model": "a/small", "text": "b/test.txt", "perplexity": 12.5, "nll": 2.5, "samples": 3,
            "seqlen": 64, "protocol": "p",
        }))
        .unwrap();
        assert_eq!(found[0].model, "a/small");
        let Score::Perplexity { value, text } = &found[0].score else { panic!("{found:?}") };
        assert_eq!((*value, text.name.as_deref(), text.samples), (12.5, Some("test.txt"), 3));

        let of = |text: &str| {
            json!({"model": "m", "text": text, "perplexity": 2, "samples": 1, "seqlen": 4,
                   "protocol": "p"})
        };
        let several = scores(&json!({"texts": [of("a.txt"), of("b.txt")]})).unwrap();
        assert_eq!(several[1], scores(&of("b.txt")).unwrap()[0]);
        assert_eq!(several.len(), 2);
        for texts in [json!([]), json!([[]]), json!(3)] {
            assert!(scores(&json!({"texts": texts})).is_err(), "{texts}");
        }

        let found = scores(&json!({
            "results": { "piqa": {
                "alias": "piqa", "acc,none": 0.7, "acc_stderr,none": 0.01, "acc_norm,none": 0.71,
                "acc_norm_stderr,none": "N/A", "sample_len": 100,
            } },
            "n-shot": { "piqa": 5 }, "config": { "model": "small" },
        }))
        .unwrap();
        let named = |score: &Score| match score {
            Score::Task { metric, value, error, shots: 5, items: 100, .. } => {
                (metric.clone(), *value, *error)
            }
            other => panic!("{other:?}"),
        };
        let found: Vec<_> = found.iter().map(|measured| named(&measured.score)).collect();
        let expected = [("acc".to_string(), 0.7, Some(0.01)), ("acc_norm".to_string(), 0.71, None)];
        assert_eq!(found, expected);

        let row = json!({
            "model": "small", "phase": "decode", "device": "cpu", "tokens": 64, "batch": 1,
            "tokens_per_second": 20.0, "milliseconds_per_token": 50.0,
        });
        let found = scores(&json!({ "benchmarks": [row, row] })).unwrap();
        assert!(found.len() == 2 && matches!(found[0].score, Score::Speed { batch: 1, .. }));
    }

    #[test]
    fn other_json_is_refused() {
        for (value, says) in [
            (json!({}), "no results"),
            (json!([1]), "no results"),
            (json!({ "perplexity": 3.0 }), "`samples`"),
            (json!({ "kl": 0.1, "top1_agreement": 1.0 }), "`kl_standard_error`"),
            (json!({ "benchmarks": 3 }), "`benchmarks`"),
            (json!({ "benchmarks": [{ "model": "m" }] }), "`phase`"),
            (json!({ "results": {}, "config": {} }), "`model`"),
        ] {
            let error = scores(&value).unwrap_err().to_string();
            assert!(error.contains(says), "{value}: {error}");
        }
    }
}
