//! [`publish`]: a page for each device, the table of all devices, and the page's place in the book.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::figures::{cell, digits, percent, rate};
use super::{agreement, head, markdown, rates, work};
use crate::Results;
use crate::results::write_whole;

const BEGIN: &str = "<!-- devices: written by `cargo xtask gpu-page` -->";
const END: &str = "<!-- end of devices -->";

/// Kinds of devices, which are also the features to build an archive with.
const KINDS: [&str; 4] = ["cuda", "vulkan", "wgpu", "metal"];

/// Writes `bench/gpu-NAME.md` and `.json` below `docs` for each of `results`, and the table of
/// devices in `docs/devices.md` from all such files; lists new pages in `docs/SUMMARY.md`. Returns
/// the paths of the written files.
///
/// # Errors
///
/// If a file cannot be read or written, or `devices.md` lacks the marks around the table.
pub fn publish(results: &[PathBuf], docs: &Path) -> Result<Vec<PathBuf>> {
    let bench = docs.join("bench");
    let mut written = Vec::new();
    for path in results {
        let results = Results::read(path)?;
        let name = slug(&results);
        let json = bench.join(format!("{name}.json"));
        results.write(&json)?;
        let page = bench.join(format!("{name}.md"));
        let text = markdown(&results).replacen(
            "\n\n",
            "\n\nWritten by `cargo xtask gpu-page`; do not edit.\n\n",
            1,
        );
        write_whole(&page, &text)?;
        written.extend([json, page]);
    }
    let all = published(&bench)?;
    let devices = docs.join("devices.md");
    let text = read(&devices)?;
    write_whole(
        &devices,
        &between(&text, &table(&all))
            .with_context(|| format!("{} has no lines `{BEGIN}` and `{END}`", devices.display()))?,
    )?;
    let summary = docs.join("SUMMARY.md");
    write_whole(&summary, &listed(&read(&summary)?, &all))?;
    written.extend([devices, summary]);
    Ok(written)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// All results that have a page, by the name of the page.
fn published(bench: &Path) -> Result<BTreeMap<String, Results>> {
    let entries = bench.read_dir().with_context(|| format!("cannot list {}", bench.display()))?;
    let mut all = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("gpu-") && path.extension().is_some_and(|it| it == "json") {
            all.insert(name, Results::read(&path)?);
        }
    }
    Ok(all)
}

/// The name of a page: the model of the device and its kind.
fn slug(results: &Results) -> String {
    let kind = results.device.split(':').next().unwrap_or_default();
    let text = format!("gpu {} {kind}", head::model(results)).to_lowercase();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// A row for each measured device, and the kinds that were never measured.
fn table(all: &BTreeMap<String, Results>) -> String {
    let hardware = |it: &&Results| !head::is_software(it);
    let mut text = String::new();
    if !all.values().any(|it| hardware(&it)) {
        text.push_str("**No GPU has been measured yet.**\n\n");
    }
    if !all.is_empty() {
        text.push_str(
            "| device | through | driver | date | checks passed | float32 products | \
             of the peak | 7 B shape, per-layer |\n|---|---|---|---|---:|---:|---:|---:|\n",
        );
    }
    for (name, results) in all {
        let kind = results.device.split(':').next().unwrap_or_default();
        let [passed, count] = agreement::counts(results);
        let product = rates::best_product(results, "float32");
        let achieved = product.map_or_else(|| "-".into(), |it| rate(it.achieved, &it.unit));
        let seven = work::compression(results, "7B", "per-layer").map_or_else(
            || "-".into(),
            |it| {
                let [layers, whole] = it.layers;
                let part = if layers < whole {
                    format!(" for {layers} of {whole} blocks")
                } else {
                    String::new()
                };
                format!("{} s{part}", digits(it.seconds))
            },
        );
        let software = if head::is_software(results) { " (a program, no GPU)" } else { "" };
        text.push_str(&format!(
            "| [{}](bench/{name}.md){software} | {kind} | {} | {} | {passed} of {count} | \
             {achieved} | {} | {seven} |\n",
            cell(&head::model(results)),
            cell(&head::driver_line(results)),
            head::day(results),
            percent(product.and_then(|it| it.fraction())),
        ));
    }
    let measured = |kind: &str| {
        let mut all = all.values().filter(hardware);
        all.any(|it| it.device.split(':').next() == Some(kind))
    };
    let never: Vec<String> =
        KINDS.into_iter().filter(|kind| !measured(kind)).map(|kind| format!("`{kind}`")).collect();
    if !never.is_empty() {
        text.push_str(&format!("\nNever measured on a GPU: {}.", never.join(", ")));
    }
    text.trim().to_owned()
}

/// `text` with `table` between the two marks.
fn between(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{table}\n\n{END}{after}"))
}

/// The summary of the book with every page in it, below that of the benchmarks.
fn listed(summary: &str, all: &BTreeMap<String, Results>) -> String {
    let kept = summary.lines().filter(|line| !line.contains("](bench/gpu-"));
    let mut lines: Vec<String> = kept.map(str::to_owned).collect();
    let last = lines.iter().rposition(|line| line.contains("](bench/"));
    let at = last.map_or(lines.len(), |last| last + 1);
    let page = |(name, results): (&String, &Results)| {
        let kind = results.device.split(':').next().unwrap_or_default();
        format!("  - [{}, {kind}](bench/{name}.md)", head::model(results))
    };
    lines.splice(at..at, all.iter().map(page));
    lines.join("\n") + "\n"
}
