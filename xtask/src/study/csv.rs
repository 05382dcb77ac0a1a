//! A study as CSV: a row for each run and text.

use anyhow::{Context, Result};
use serde::Serialize;

use super::results::{Compressed, Dense, RunResult, Score, Study};

/// The columns; a value that a row does not have stays empty.
#[derive(Default, Serialize)]
struct Row<'a> {
    model: &'a str,
    /// `dense` for the uncompressed model.
    method: &'a str,
    calibration: Option<&'a str>,
    seed: Option<u64>,
    size_option: Option<&'static str>,
    size: Option<f64>,
    real_reduction: Option<f64>,
    params_before: Option<u64>,
    params_after: Option<u64>,
    /// The widths, separated by spaces.
    widths: String,
    intermediate_size: Option<usize>,
    tied: Option<bool>,
    refit: Option<&'a str>,
    seconds: Option<f64>,
    calibration_digest: Option<&'a str>,
    text: Option<&'a str>,
    text_is_calibration: Option<bool>,
    perplexity: Option<f64>,
    dense_perplexity: Option<f64>,
    nll: Option<f64>,
    nll_standard_error: Option<f64>,
    kl: Option<f64>,
    kl_standard_error: Option<f64>,
    top1_agreement: Option<f64>,
    tokens: Option<u64>,
    samples: Option<u64>,
    seqlen: Option<u64>,
    error: Option<&'a str>,
}

pub fn text(study: &Study) -> Result<String> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let dense = study.dense.iter().map(of_dense);
    let runs = study.runs.iter().flat_map(|run| match &run.found {
        Err(error) => vec![Row { error: Some(error), ..of_run(run) }],
        Ok(compressed) => {
            let scores = compressed.scores.iter();
            scores.map(|score| of_score(study, run, compressed, score)).collect()
        }
    });
    for row in dense.chain(runs) {
        writer.serialize(row).context("cannot write a row of study.csv")?;
    }
    let bytes = writer.into_inner().context("cannot write study.csv")?;
    Ok(String::from_utf8(bytes)?)
}

fn of_dense(dense: &Dense) -> Row<'_> {
    let found = dense.found.as_ref();
    Row {
        model: &dense.model,
        method: "dense",
        real_reduction: Some(0.0),
        text: Some(&dense.text),
        perplexity: found.ok().map(|it| it.perplexity),
        dense_perplexity: found.ok().map(|it| it.perplexity),
        nll: found.ok().map(|it| it.nll),
        nll_standard_error: found.ok().map(|it| it.nll_standard_error),
        tokens: found.ok().map(|it| it.tokens),
        samples: found.ok().map(|it| it.samples),
        seqlen: found.ok().map(|it| it.seqlen),
        error: found.err().map(String::as_str),
        ..Row::default()
    }
}

/// The columns that the plan determines.
fn of_run(run: &RunResult) -> Row<'_> {
    Row {
        model: &run.model,
        method: run.cut.method.name(),
        calibration: Some(&run.calibration),
        seed: Some(run.seed),
        size_option: Some(run.cut.method.size_option()),
        size: Some(run.cut.fraction),
        ..Row::default()
    }
}

fn of_score<'a>(
    study: &'a Study,
    run: &'a RunResult,
    compressed: &'a Compressed,
    score: &'a Score,
) -> Row<'a> {
    let summary = &compressed.summary;
    let found = score.found.as_ref().ok();
    let (perplexity, divergence) = (found.map(|it| &it.0), found.map(|it| &it.1));
    let widths: Vec<String> = summary.widths.iter().map(usize::to_string).collect();
    Row {
        real_reduction: Some(summary.real_reduction),
        params_before: Some(summary.params_before),
        params_after: Some(summary.params_after),
        widths: widths.join(" "),
        intermediate_size: summary.intermediate_size,
        tied: Some(summary.tied),
        refit: summary.refit.as_deref(),
        seconds: Some(summary.seconds),
        calibration_digest: Some(&summary.calibration.digest),
        text: Some(&score.text),
        text_is_calibration: Some(score.is_calibration),
        perplexity: perplexity.map(|it| it.perplexity),
        dense_perplexity: study.dense(&run.model, &score.text).map(|it| it.perplexity),
        nll: perplexity.map(|it| it.nll),
        nll_standard_error: perplexity.map(|it| it.nll_standard_error),
        kl: divergence.map(|it| it.kl),
        kl_standard_error: divergence.map(|it| it.kl_standard_error),
        top1_agreement: divergence.map(|it| it.top1_agreement),
        tokens: perplexity.map(|it| it.tokens),
        samples: perplexity.map(|it| it.samples),
        seqlen: perplexity.map(|it| it.seqlen),
        error: score.found.as_ref().err().map(String::as_str),
        ..of_run(run)
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::example;
    use super::*;

    /// The rows of the file, by column name.
    fn rows(text: &str) -> Vec<std::collections::HashMap<String, String>> {
        ::csv::Reader::from_reader(text.as_bytes()).deserialize().map(Result::unwrap).collect()
    }

    #[test]
    fn there_is_a_row_for_each_run_and_text() {
        let rows = rows(&text(&example()).unwrap());
        // Three dense, one run without scores, seven with two.
        assert_eq!(rows.len(), 3 + 1 + 14);
        let row = &rows[3];
        for (column, value) in [
            ("model", "model"),
            ("method", "shared"),
            ("calibration", "train.txt"),
            ("seed", "1"),
            ("size_option", "keep-params"),
            ("size", "0.8"),
            ("real_reduction", "0.2"),
            ("widths", "96 96 96"),
            ("intermediate_size", "341"),
            ("refit", ""),
            ("calibration_digest", "digest 1"),
            ("text", "valid.txt"),
            ("text_is_calibration", "false"),
            ("perplexity", "22.0"),
            ("dense_perplexity", "10.0"),
            ("kl", "0.02"),
            ("top1_agreement", "0.9"),
            ("error", ""),
        ] {
            assert_eq!(row[column], value, "{column}");
        }
        assert_eq!((&*rows[0]["method"], &*rows[0]["kl"]), ("dense", ""));
    }

    #[test]
    fn what_failed_has_its_message_and_no_numbers() {
        let rows = rows(&text(&example()).unwrap());
        let failed: Vec<_> = rows.iter().filter(|row| !row["error"].is_empty()).collect();
        let told: Vec<_> = failed
            .iter()
            .map(|row| {
                (row["text"].as_str(), row["error"].as_str(), row["real_reduction"].as_str())
            })
            .collect();
        let expected = [("", "no such size", ""), ("valid.txt", "eval kl: overflow", "0.2")];
        assert_eq!(told, expected);
        assert!(failed.iter().all(|row| row["perplexity"].is_empty()));
    }

    #[test]
    fn a_message_with_commas_and_quotes_is_one_field() {
        let mut study = example();
        let message = "no \"such\" size, none\nat all";
        study.runs[0].found = Err(message.to_owned());
        assert_eq!(rows(&text(&study).unwrap())[3]["error"], message);
    }
}
