//! What `slicegpt eval` and `slicegpt bench` print with `--json`, told apart by its keys.

use serde_json::Value;

use crate::ReportError;

/// A number that was measured of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Score {
    /// Perplexity of a text.
    Perplexity {
        /// The perplexity.
        value: f64,
        /// On what.
        text: Text,
    },
    /// Divergence from another model.
    Kl {
        /// That model, as it was given on the command line; the dense one if it is not said.
        base: Option<String>,
        /// Mean KL divergence, in nats per token.
        mean: f64,
        /// Its standard error.
        error: f64,
        /// The part of the tokens after which both predict the same.
        agreement: f64,
        /// On what.
        text: Text,
    },
    /// One metric of a task.
    Task {
        /// The task.
        task: String,
        /// The metric, `acc` for one.
        metric: String,
        /// Its value.
        value: f64,
        /// Its standard error, where it has one.
        error: Option<f64>,
        /// Solved examples before each question.
        shots: u64,
        /// Questions.
        items: u64,
    },
    /// How fast it runs.
    Speed {
        /// `prefill` or `decode`.
        phase: String,
        /// On which device.
        device: String,
        /// The type its weights were held in, where it is said.
        weights: Option<String>,
        /// Tokens of a sequence that are read or written.
        tokens: u64,
        /// Tokens that come before them.
        context: u64,
        /// Sequences at a time.
        batch: u64,
        /// Tokens per second, of all sequences together.
        tokens_per_second: f64,
        /// Milliseconds per token.
        milliseconds_per_token: Option<f64>,
    },
}

/// A text that something was measured on, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// Name of the file, where it is known.
    pub name: Option<String>,
    /// The file as it was given, where that is known.
    pub path: Option<String>,
    /// Sequences.
    pub samples: u64,
    /// Tokens per sequence.
    pub seqlen: u64,
    /// What the numbers mean.
    pub protocol: String,
}

/// Which model was measured, and what was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The model, as it was given on the command line.
    pub model: String,
    /// What was found.
    pub score: Score,
}

/// Reads what one command printed.
///
/// # Errors
///
/// If it is not of a command that is known here, or a field is missing.
pub fn scores(json: &Value) -> Result<Vec<Measured>, ReportError> {
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
            // As `acc,none`: the name of the metric, and of a filter that is never used.
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

fn text(json: &Value) -> Result<Text, ReportError> {
    let count = |key| json.get(key).and_then(Value::as_u64).ok_or(ReportError::Field(key));
    let path = json.get("text").and_then(Value::as_str);
    Ok(Text {
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
    fn what_commands_print_is_told_apart() {
        let found = scores(&json!({
            "model": "a/small", "text": "b/test.txt", "perplexity": 12.5, "nll": 2.5, "samples": 3,
            "seqlen": 64, "protocol": "p",
        }))
        .unwrap();
        assert_eq!(found[0].model, "a/small");
        let Score::Perplexity { value, text } = &found[0].score else { panic!("{found:?}") };
        assert_eq!((*value, text.name.as_deref(), text.samples), (12.5, Some("test.txt"), 3));

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
    fn what_is_something_else_is_refused() {
        for (value, says) in [
            (json!({}), "none of what"),
            (json!([1]), "none of what"),
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
