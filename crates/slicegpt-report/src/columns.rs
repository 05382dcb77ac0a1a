//! Models as columns of the tables that compare them, with the same row names for all.

use crate::kind::Kind;
use crate::names::Names;
use crate::numbers::{show_number, show_range};
use crate::recorded::recorded;
use crate::{Report, Score, SlicedModel, show_percent};

/// A model as a column, dense or sliced.
pub struct Column<'a> {
    pub name: String,
    /// The fraction of the parameters that was removed.
    pub reduction: f64,
    /// Index of the column of the dense model that it was made from, or its own index.
    pub dense: usize,
    pub run: Option<&'a SlicedModel>,
    pub parameters: Option<u64>,
    pub bytes: Option<u64>,
    pub dtype: Option<String>,
    pub hidden: Option<String>,
    pub intermediate: Option<String>,
    pub found: Vec<Found>,
}

/// A result of one model: its name, its value, and the value as text.
pub struct Found {
    pub kind: Kind,
    pub label: String,
    pub value: f64,
    pub shown: String,
    pub protocol: String,
}

/// Columns of the dense models, then of the sliced ones.
pub fn columns(report: &Report) -> Vec<Column<'_>> {
    let names = Names::of(report);
    let mut columns: Vec<Column<'_>> = Vec::new();
    let mut dense_found: Vec<(String, u64)> = Vec::new();
    let mut cut = Vec::new();
    for run in &report.runs {
        let (record, manifest) = (run.record.as_ref(), &run.manifest);
        let name = match (&report.base, record) {
            (Some(base), _) => base.model.name.clone(),
            (None, Some(record)) => record.dense.name.clone(),
            (None, None) => "dense".into(),
        };
        let key = (name.clone(), manifest.params_before);
        let dense = dense_found.iter().position(|other| *other == key).unwrap_or_else(|| {
            dense_found.push(key);
            let base = report.base.as_ref().map(|base| &base.model);
            let known = record.map(|record| &record.dense);
            columns.push(Column {
                name: format!("{name} (dense)"),
                reduction: 0.0,
                dense: columns.len(),
                run: None,
                parameters: Some(manifest.params_before),
                bytes: base.map(|base| base.bytes).or(known.map(|dense| dense.bytes)),
                dtype: base.map(|base| base.dtype.clone()),
                hidden: base
                    .map(|base| base.hidden_size)
                    .or(known.map(|dense| dense.hidden_size))
                    .map(|width| width.to_string()),
                intermediate: base
                    .map(|base| show_range(&base.intermediate_sizes))
                    .or(known.map(|dense| dense.intermediate_size.to_string())),
                found: Vec::new(),
            });
            columns.len() - 1
        });
        let mut found = Vec::new();
        if let Some([of_dense, of_sliced]) = record.map(recorded) {
            of_dense.iter().for_each(|score| add(&mut columns[dense].found, score, &names));
            of_sliced.iter().for_each(|score| add(&mut found, score, &names));
        }
        run.scores.iter().for_each(|score| add(&mut found, score, &names));
        cut.push(Column {
            name: run.model.name.clone(),
            reduction: manifest.real_reduction,
            dense,
            run: Some(run),
            parameters: Some(run.model.parameters),
            bytes: Some(run.model.bytes),
            dtype: Some(run.model.dtype.clone()),
            hidden: Some(show_range(&manifest.widths)),
            intermediate: Some(show_range(&run.model.intermediate_sizes)),
            found,
        });
    }
    if let (Some(base), Some(column)) = (&report.base, columns.first_mut()) {
        base.scores.iter().for_each(|score| add(&mut column.found, score, &names));
    }
    columns.extend(cut);
    columns
}

/// Adds the results of a score, except those whose names are already there.
fn add(found: &mut Vec<Found>, score: &Score, names: &Names) {
    let mut push = |kind, label: String, value: f64, shown: String, protocol: &str| {
        if !found.iter().any(|known| known.kind == kind && known.label == label) {
            found.push(Found { kind, label, value, shown, protocol: protocol.into() });
        }
    };
    match score {
        Score::Perplexity { value, text } => {
            let label = names.on(Kind::Perplexity, text);
            push(Kind::Perplexity, label, *value, format!("{value:.3}"), &text.protocol);
        }
        Score::Kl { base, mean, error, agreement, text } => {
            let shown = format!("{mean:.4} ± {}", show_number(*error));
            let label = match base {
                Some(base) => format!("{base}, on {}", names.on(Kind::Kl, text)),
                None => format!("the dense model, on {}", names.on(Kind::Kl, text)),
            };
            push(Kind::Kl, label.clone(), *mean, shown, &text.protocol);
            push(Kind::Agreement, label, *agreement, show_percent(*agreement), "");
        }
        Score::Task { task, metric, value, error, shots, items } => {
            let error = error.map_or_else(String::new, |error| format!(" ± {}", percent(error)));
            let shots = match shots {
                0 => String::new(),
                shots => format!(", {shots}-shot"),
            };
            let label = format!("{task}, {metric}{shots}, {items} questions");
            let shown = match metric.as_str() {
                // The only metric that is not a fraction.
                "perplexity" => show_number(*value),
                _ => format!("{}{error} %", percent(*value)),
            };
            push(Kind::Task, label, *value, shown, "");
        }
        Score::Speed {
            phase,
            device,
            weights,
            tokens,
            context,
            batch,
            tokens_per_second,
            milliseconds_per_token,
        } => {
            let after = match context {
                0 => String::new(),
                context => format!(" after {context}"),
            };
            let weights =
                weights.as_ref().map_or_else(String::new, |weights| format!(", {weights}"));
            let label = format!("{phase}, {batch} × {tokens} tokens{after}, {device}{weights}");
            let each =
                milliseconds_per_token.map(|each| format!(" ({} ms each)", show_number(each)));
            let shown = show_number(*tokens_per_second) + &each.unwrap_or_default();
            push(Kind::Speed, label, *tokens_per_second, shown, "");
        }
    }
}

/// A fraction in percent, without the sign.
fn percent(part: f64) -> String {
    format!("{:.1}", 100.0 * part)
}

/// The names of all results of the wanted kinds, in order.
pub fn labels(columns: &[Column<'_>], wanted: impl Fn(Kind) -> bool) -> Vec<(Kind, String)> {
    let mut labels = Vec::new();
    for found in columns.iter().flat_map(|column| &column.found) {
        let key = (found.kind, found.label.clone());
        if wanted(found.kind) && !labels.contains(&key) {
            labels.push(key);
        }
    }
    labels
}

impl Column<'_> {
    /// The result of this kind and name.
    pub fn found(&self, kind: Kind, label: &str) -> Option<&Found> {
        self.found.iter().find(|found| found.kind == kind && found.label == label)
    }
}
