//! The section of one model: what was cut where, its spectra, the time it took, and the command
//! that makes it again.

use slicegpt_provenance::{Manifest, Record, Stage};

use crate::figure::{Bars, bars};
use crate::numbers::show_number;
use crate::shown::{Chart, Command, Section, Table};
use crate::spectra::spectra;
use crate::{ReportError, SlicedModel, show_bytes, show_percent};

/// The section of a model.
pub fn section(run: &SlicedModel) -> Result<Section, ReportError> {
    let mut section = Section { title: run.model.name.clone(), ..Section::default() };
    section.tables.push(made(run));
    section.charts.extend(widths(run)?);
    match &run.record {
        Some(record) => {
            section.charts.extend(spectra(run, record)?);
            section.tables.push(time(record));
            section.tables.push(machine(record));
            section.details.extend(cuts(run, record));
            section.commands.push(Command {
                about: "How it was made".into(),
                line: command_line(&record.command),
            });
        }
        None => section.text.push(format!(
            "There is no {} next to it ({}): spectra, times and the machine are not known.",
            Record::FILE,
            match &run.manifest.imported {
                Some(_) => "an imported model has none",
                None => "an earlier version wrote it, or it was removed",
            }
        )),
    }
    section.details.extend(tried(&run.manifest));
    Ok(section)
}

fn made(run: &SlicedModel) -> Table {
    let Manifest { calibration, .. } = &run.manifest;
    let manifest = &run.manifest;
    let mut table = Table::new("How it was cut", Vec::new());
    table.fact("model type", run.model.model_type.clone());
    table.fact("method", manifest.method.to_string());
    table.fact(
        "checkpoint",
        if manifest.stock {
            "of its family: loads anywhere".to_string()
        } else {
            "with the code that runs it".to_string()
        },
    );
    table.fact("refit towards the dense model", manifest.refit.as_ref().map(ToString::to_string));
    match &manifest.imported {
        Some(file) => {
            table.fact("imported from", format!("{file}, of the reference implementation"))
        }
        None => {
            table.fact("orientation", manifest.orientation.to_string());
            table.fact(
                "calibration",
                format!(
                    "{}: {} sequences of {} tokens ({} counted)",
                    calibration.source, calibration.samples, calibration.seqlen, calibration.tokens
                ),
            );
            table.fact("digest of its tokens", format!("sha256 {}", calibration.digest));
            table.fact("seed", manifest.seed.to_string());
        }
    }
    table.fact("tool", manifest.tool_version.clone());
    table
}

/// Charts of widths that differ between cuts or between blocks.
fn widths(run: &SlicedModel) -> Result<Vec<Chart>, ReportError> {
    let differ = |widths: &[usize]| widths.iter().any(|width| *width != widths[0]);
    let floats = |widths: &[usize]| widths.iter().map(|width| *width as f64).collect();
    let mut charts = Vec::new();
    if differ(&run.manifest.widths) {
        let svg = bars(&Bars {
            across: "cut",
            up: "width",
            first: 0,
            values: floats(&run.manifest.widths),
            most: Some(run.model.hidden_size as f64),
        })?;
        charts.push(Chart::new(
            "Width of the stream at every cut",
            svg,
            "0 is the embedding, then one after every sublayer; the line is the dense model.",
        ));
    }
    if differ(&run.model.intermediate_sizes) {
        let svg = bars(&Bars {
            across: "block",
            up: "width",
            first: 1,
            values: floats(&run.model.intermediate_sizes),
            most: run.record.as_ref().map(|record| record.dense.intermediate_size as f64),
        })?;
        charts.push(Chart::new(
            "Width of the MLP of every block",
            svg,
            "The line is the dense model.",
        ));
    }
    Ok(charts)
}

/// A row for each cut, where there are several.
fn cuts(run: &SlicedModel, record: &Record) -> Option<Table> {
    if record.spectra.len() < 2 {
        return None;
    }
    let header = ["cut", "kept", "energy lost", "half of it in"].map(String::from).into();
    let mut table = Table::new("Every cut", header);
    for (index, spectrum) in record.spectra.iter().enumerate() {
        let half = spectrum.points.iter().find(|(_, _, rest)| *rest <= 0.5);
        table.row(
            cut_name(index, run.model.sublayers),
            vec![
                Some(format!("{} of {}", spectrum.kept, spectrum.width)),
                Some(format!("{} %", show_number(100.0 * spectrum.lost))),
                half.map(|(directions, ..)| format!("{directions} directions")),
            ],
        );
    }
    Some(table)
}

/// The name of a cut.
fn cut_name(index: usize, sublayers: usize) -> String {
    let Some(sublayer) = index.checked_sub(1) else { return "embedding".into() };
    let block = sublayer / sublayers.max(1) + 1;
    match (sublayers, sublayer % sublayers.max(1)) {
        (2, 0) => format!("block {block}, attention"),
        (2, _) => format!("block {block}, MLP"),
        _ => format!("block {block}"),
    }
}

fn time(record: &Record) -> Table {
    let header = ["", "seconds", "part"].map(String::from).into();
    let mut table = Table::new("Where the time went", header);
    let mut row = |name: &str, seconds: f64| {
        let part = if record.seconds > 0.0 { seconds / record.seconds } else { 0.0 };
        table.row(name, vec![Some(format!("{seconds:.2}")), Some(show_percent(part))]);
    };
    for (stage, seconds) in &record.stages {
        let name = match stage {
            Stage::Forward => "running the model",
            Stage::Gram => "summing covariances and moments",
            Stage::Eigen => "eigenvectors",
            Stage::Edit => "choosing channels, refitting and rewriting weights",
            Stage::Stream => "moving signals",
            Stage::Search => "comparing splits",
            Stage::Read => "reading blocks",
            Stage::Tables => "embedding and head",
            Stage::Write => "writing",
            Stage::Other(name) => name,
        };
        row(name, *seconds);
    }
    let known: f64 = record.stages.iter().map(|(_, seconds)| seconds).sum();
    row("the rest", (record.seconds - known).max(0.0));
    row("all", record.seconds);
    table
}

fn machine(record: &Record) -> Table {
    let machine = &record.machine;
    let mut table = Table::new("Machine", Vec::new());
    table.fact("processor", machine.processor.clone());
    table.fact("cores", machine.cores.to_string());
    table.fact("memory", show_bytes(machine.memory_bytes));
    table.fact("system", machine.system.clone());
    table.fact("device", format!("{} ({})", machine.device, machine.device_model));
    table.fact("model run in", machine.compute_dtype.clone());
    table.fact("covariances summed in", machine.covariance.to_string());
    table.fact("sequences at a time", machine.batch_size.to_string());
    table.fact("peak memory of the cut", record.peak_rss_bytes.map(show_bytes));
    table
}

fn tried(manifest: &Manifest) -> Option<Table> {
    if manifest.tried.is_empty() {
        return None;
    }
    let header =
        ["stream width", "MLP width", "layers", "key/value heads", "tokens", "KL, nats per token"];
    let header = header.map(String::from).into();
    let mut table = Table::new("Shapes that were tried", header);
    for split in &manifest.tried {
        let cells = [
            Some(split.intermediate_size.to_string()),
            split.layers_in_words(),
            split.kv_heads.map(|heads| heads.to_string()),
            split.tokens.map(|tokens| tokens.to_string()),
            Some(format!("{:.5}", split.kl)),
        ];
        table.row(split.hidden_size.to_string(), cells.into());
    }
    table.notes.push(
        "KL from the dense model, on calibration text that nothing was fitted to. Shapes that did \
         well on few tokens were measured again on more."
            .into(),
    );
    Some(table)
}

/// The words of a command, quoted for a shell.
fn command_line(words: &[String]) -> String {
    let quoted = words.iter().map(|word| match shlex::try_quote(word) {
        Ok(word) => word.into_owned(),
        // No shell accepts such a word.
        Err(_) => word.escape_debug().to_string(),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_have_names() {
        let names: Vec<String> = (0..4).map(|index| cut_name(index, 2)).collect();
        assert_eq!(
            names,
            ["embedding", "block 1, attention", "block 1, MLP", "block 2, attention"]
        );
        assert_eq!(cut_name(2, 1), "block 2");
    }

    #[test]
    fn a_command_line_can_be_pasted() {
        let words = ["slicegpt", "compress", "my model", "--out", "it's"].map(String::from);
        assert_eq!(command_line(&words), "slicegpt compress 'my model' --out \"it's\"");
    }
}
