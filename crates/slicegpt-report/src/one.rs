//! One model: what was cut where, the spectra, where the time went, and how to make it again.

use slicegpt_provenance::{Manifest, Method, Record, SpectrumRecord, Stage};

use crate::figure::{Bars, Line, Lines, along, bars, colour, hex, lines};
use crate::numbers::show_number;
use crate::shown::{Chart, Command, Key, Section, Table};
use crate::{ReportError, Run, show_bytes, show_percent};

/// Its section.
pub fn section(run: &Run) -> Result<Section, ReportError> {
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
            "There is no {} beside it ({}): spectra, times and the machine are not known.",
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

fn made(run: &Run) -> Table {
    let Manifest { calibration, .. } = &run.manifest;
    let manifest = &run.manifest;
    let mut table = Table::new("How it was cut", Vec::new());
    table.fact("model type", run.model.model_type.clone());
    table.fact("method", manifest.method.to_string());
    table.fact(
        "checkpoint",
        match manifest.stock {
            true => "of its family: loads anywhere".to_string(),
            false => "with the code that runs it".to_string(),
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

/// Widths that differ, from cut to cut or from block to block.
fn widths(run: &Run) -> Result<Vec<Chart>, ReportError> {
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
        charts.push(chart(
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
        charts.push(chart("Width of the MLP of every block", svg, "The line is the dense model."));
    }
    Ok(charts)
}

fn spectra(run: &Run, record: &Record) -> Result<Vec<Chart>, ReportError> {
    let all = &record.spectra;
    let [first, ..] = all.as_slice() else { return Ok(Vec::new()) };
    let is_one = match run.manifest.method {
        Method::Shared => true,
        Method::PerLayer | Method::Other(_) => false,
    };
    let position = |index: usize| match all.len() {
        1 => 0.0,
        count => index as f64 / (count - 1) as f64,
    };
    let shade = |index: usize| if is_one { colour(0) } else { along(position(index)) };
    let line = |value: &dyn Fn(&(usize, f32, f32)) -> f64| {
        let of = |(index, spectrum): (usize, &SpectrumRecord)| Line {
            colour: shade(index),
            points: spectrum.points.iter().map(|point| (point.0 as f64, value(point))).collect(),
        };
        all.iter().enumerate().map(of).collect::<Vec<_>>()
    };
    // Where all cuts are alike, one line says where they are.
    let alike = all.iter().all(|spectrum| spectrum.kept == first.kept);
    let marks = if alike && first.kept < first.width { vec![first.kept as f64] } else { vec![] };
    let legend = || match is_one || all.len() < 2 {
        true => Vec::new(),
        false => [(0, "embedding"), (all.len() - 1, "last cut")]
            .map(|(index, name)| Key { colour: hex(shade(index)), name: name.into() })
            .into(),
    };
    let kept = match marks.is_empty() {
        true => String::new(),
        false => format!(" The upright line: {} directions are kept.", first.kept),
    };
    let mut charts = Vec::new();
    let svg = lines(&Lines {
        across: "direction",
        up: "eigenvalue / largest",
        is_logarithmic: true,
        is_marked: false,
        marks: marks.clone(),
        lines: line(&|point| f64::from(point.1)),
    })?;
    let mut spectrum = chart(
        match is_one {
            true => "Spectrum of the stream",
            false => "Spectrum of the stream at every cut",
        },
        svg,
        &format!(
            "Eigenvalues of the covariance of {} on the calibration text.{kept}",
            match is_one {
                true => "the normalised stream, as all sublayers read it,",
                false => "the stream at the cut",
            }
        ),
    );
    spectrum.legend = legend();
    charts.push(spectrum);
    let svg = lines(&Lines {
        across: "directions kept",
        up: "energy left out, %",
        is_logarithmic: true,
        is_marked: false,
        marks,
        lines: line(&|point| 100.0 * f64::from(point.2)),
    })?;
    let lost = match is_one {
        true => format!(
            " The {} leading ones leave out {} %; which ones are kept is decided by what readers lose.",
            first.kept,
            show_number(100.0 * first.lost)
        ),
        false => String::new(),
    };
    let mut energy = chart(
        "Energy that leading directions leave out",
        svg,
        &format!("Of the sum of all eigenvalues, by how many of the largest are kept.{lost}"),
    );
    energy.legend = legend();
    charts.push(energy);
    if !is_one && all.len() > 1 {
        let svg = bars(&Bars {
            across: "cut",
            up: "energy lost, %",
            first: 0,
            values: all.iter().map(|spectrum| 100.0 * spectrum.lost).collect(),
            most: None,
        })?;
        charts.push(chart(
            "Energy lost at every cut",
            svg,
            "0 is the embedding, then one after every sublayer.",
        ));
    }
    Ok(charts)
}

fn chart(caption: &str, svg: String, note: &str) -> Chart {
    Chart { caption: caption.into(), svg, legend: Vec::new(), note: note.into() }
}

/// A row for each cut, where there are several.
fn cuts(run: &Run, record: &Record) -> Option<Table> {
    if record.spectra.len() < 2 {
        return None;
    }
    let header = ["cut", "kept", "energy lost", "half of it in"].map(String::from).into();
    let mut table = Table::new("Every cut", header);
    for (index, spectrum) in record.spectra.iter().enumerate() {
        let half = spectrum.points.iter().find(|(_, _, rest)| *rest <= 0.5);
        table.row(
            cut(index, run.model.depth),
            vec![
                Some(format!("{} of {}", spectrum.kept, spectrum.width)),
                Some(format!("{} %", show_number(100.0 * spectrum.lost))),
                half.map(|(directions, ..)| format!("{directions} directions")),
            ],
        );
    }
    Some(table)
}

/// What a cut is called.
fn cut(index: usize, depth: usize) -> String {
    let Some(sublayer) = index.checked_sub(1) else { return "embedding".into() };
    let block = sublayer / depth.max(1) + 1;
    match (depth, sublayer % depth.max(1)) {
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
            Stage::Gram => "summing covariances",
            Stage::Eigen => "eigenvectors",
            Stage::Edit => "rewriting weights",
            Stage::Stream => "moving signals",
            Stage::Other(name) => name,
        };
        row(name, *seconds);
    }
    let known: f64 = record.stages.iter().map(|(_, seconds)| seconds).sum();
    row("the rest: reading, writing, embedding and head", (record.seconds - known).max(0.0));
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
    let header = ["stream width", "MLP width", "KL, nats per token"].map(String::from).into();
    let mut table = Table::new("Splits that were tried, the best first", header);
    for split in &manifest.tried {
        let cells = [split.intermediate_size.to_string(), format!("{:.5}", split.kl)];
        table.row(split.hidden_size.to_string(), cells.map(Some).into());
    }
    table
        .notes
        .push("KL from the dense model, on calibration text that nothing was fitted to.".into());
    Some(table)
}

/// Words as a shell takes them.
fn command_line(words: &[String]) -> String {
    let quoted = words.iter().map(|word| match shlex::try_quote(word) {
        Ok(word) => word.into_owned(),
        // No shell takes such a word at all.
        Err(_) => word.escape_debug().to_string(),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_have_names() {
        let names: Vec<String> = (0..4).map(|index| cut(index, 2)).collect();
        assert_eq!(
            names,
            ["embedding", "block 1, attention", "block 1, MLP", "block 2, attention"]
        );
        assert_eq!(cut(2, 1), "block 2");
    }

    #[test]
    fn a_command_line_can_be_pasted() {
        let words = ["slicegpt", "compress", "my model", "--out", "it's"].map(String::from);
        assert_eq!(command_line(&words), "slicegpt compress 'my model' --out \"it's\"");
    }
}
