//! The section that compares each sliced model with its dense one on text, as recorded by its
//! compression.

use slicegpt_provenance::{EvaluationRecord, compared_lengths, each_once};

use crate::numbers::show_number;
use crate::shown::{Section, Table};
use crate::{Report, show_percent};

/// The section, with a row for each model and text; empty if nothing was recorded.
pub fn section(report: &Report) -> Section {
    let mut section = Section { title: "Sliced against dense".into(), ..Section::default() };
    let evaluations: Vec<(String, &EvaluationRecord)> = report
        .runs
        .iter()
        .flat_map(|run| {
            let found = run.record.iter().flat_map(|record| &record.evaluations);
            found.map(|found| (format!("{}, {}", run.model.name, found.text), found))
        })
        .collect();
    if evaluations.is_empty() {
        return section;
    }
    let lengths = compared_lengths(evaluations.iter().map(|(_, found)| *found));
    let names = [
        "",
        "perplexity, dense",
        "perplexity, sliced",
        "KL, nats per token",
        "same most likely token",
        "sequences",
    ];
    let mut header = names.map(String::from).to_vec();
    header.extend(lengths.iter().map(|tokens| format!("same first {tokens} new tokens")));
    header.push("prompts".into());
    let mut table = Table::new("Evaluations that the compression recorded", header);
    for (name, found) in &evaluations {
        let mut cells = vec![
            Some(format!("{:.3}", found.perplexity_before)),
            Some(format!("{:.3}", found.perplexity_after)),
            Some(format!("{:.4} ± {}", found.kl, show_number(found.kl_standard_error))),
            Some(show_percent(found.top1_agreement)),
            Some(format!("{} × {} tokens", found.samples, found.seqlen)),
        ];
        cells.extend(lengths.iter().map(|length| found.same_beginning(*length).map(show_percent)));
        let prompts = found.continuations.as_ref();
        cells.push(prompts.map(|it| format!("{} × {} tokens", it.prompts, it.prompt_tokens)));
        table.row(name.clone(), cells);
    }
    let protocols = evaluations.iter().flat_map(|(_, found)| found.protocols());
    table.notes.extend(each_once(protocols).into_iter().map(String::from));
    section.tables.push(table);
    section
}
