//! Evaluations as a table with a column for each text.

use anyhow::Result;
use slicegpt_provenance::{EvaluationRecord, compared_lengths, each_once};

use crate::show::output;
use crate::show::size::show_percent;

/// Prints how a sliced model compares with its dense one on each text, and the protocols.
pub fn show_evaluations(evaluations: &[EvaluationRecord]) -> Result<()> {
    let texts = evaluations.iter().map(|found| found.text.as_str());
    let header: Vec<&str> = std::iter::once("sliced against dense").chain(texts).collect();
    let rows = rows(evaluations);
    let rows: Vec<_> = rows.iter().map(|(name, cells)| (name.as_str(), cells.clone())).collect();
    // An empty line after the table before.
    output::write(b"\n")?;
    output::print(None, &rows, &header, Some(&protocols(evaluations)))
}

/// The rows: name, and a cell for each text.
fn rows(evaluations: &[EvaluationRecord]) -> Vec<(String, Vec<String>)> {
    let each = |name: &str, cell: &dyn Fn(&EvaluationRecord) -> String| {
        (name.to_string(), evaluations.iter().map(cell).collect())
    };
    let mut rows = vec![
        each("sequences", &|it| format!("{} x {} tokens", it.samples, it.seqlen)),
        each("labels scored", &|it| it.tokens.to_string()),
        each("perplexity, dense", &|it| format!("{:.3}", it.perplexity_before)),
        each("perplexity, sliced", &|it| format!("{:.3}", it.perplexity_after)),
        each("KL per token, nats", &|it| format!("{:.5} +- {:.5}", it.kl, it.kl_standard_error)),
        each("same most likely token", &|it| show_percent(it.top1_agreement)),
    ];
    if evaluations.iter().any(|it| it.continuations.is_some()) {
        let cell = |it: &EvaluationRecord| match &it.continuations {
            Some(it) => format!("{} x {} tokens", it.prompts, it.prompt_tokens),
            None => "-".into(),
        };
        rows.push(each("greedily continued prompts", &cell));
    }
    for tokens in compared_lengths(evaluations) {
        let cell = |it: &EvaluationRecord| {
            it.same_beginning(tokens).map_or_else(|| "-".into(), show_percent)
        };
        rows.push(each(&format!("same first {tokens} new tokens"), &cell));
    }
    rows
}

/// The protocols, each once, on a line of its own.
fn protocols(evaluations: &[EvaluationRecord]) -> String {
    each_once(evaluations.iter().flat_map(EvaluationRecord::protocols)).join("\n")
}
