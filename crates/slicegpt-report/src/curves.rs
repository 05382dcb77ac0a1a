//! Charts of results over the sizes of the models.

use slicegpt_provenance::Method;

use crate::ReportError;
use crate::columns::{Column, labels};
use crate::figure::{Line, Lines, colour, hex, lines};
use crate::kind::Kind;
use crate::shown::{Chart, Key};

/// Values whose ratio is larger are drawn on a logarithmic axis.
const FAR_APART: f64 = 20.0;

/// Charts of the results that are known at two sizes or more.
pub fn curves(columns: &[Column<'_>]) -> Result<Vec<Chart>, ReportError> {
    let all: fn(&str) -> bool = |_| true;
    let mut charts = vec![
        curve(columns, Kind::Perplexity, "Perplexity", "perplexity", all)?,
        curve(columns, Kind::Kl, "Divergence", "KL, nats per token", all)?,
        curve(columns, Kind::Agreement, "Same most likely token", "tokens, %", all)?,
        curve(columns, Kind::Task, "Tasks", "right answers, %", all)?,
    ];
    // Prefill is tens of times as fast as decoding: each has its own axis.
    let mut phases: Vec<String> = Vec::new();
    for (_, label) in labels(columns, |kind| kind == Kind::Speed) {
        let phase = phase(&label).to_string();
        if !phases.contains(&phase) {
            phases.push(phase);
        }
    }
    for name in phases {
        let caption = format!("Speed: {name}");
        let inside = |label: &str| phase(label) == name;
        charts.push(curve(columns, Kind::Speed, &caption, "tokens per second", inside)?);
    }
    Ok(charts.into_iter().flatten().collect())
}

/// The phase in a label of [`Kind::Speed`].
fn phase(label: &str) -> &str {
    label.split(',').next().unwrap_or(label)
}

fn curve(
    columns: &[Column<'_>],
    kind: Kind,
    caption: &str,
    up: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<Option<Chart>, ReportError> {
    let curves = curves_of(columns, kind, wanted);
    if curves.is_empty() {
        return Ok(None);
    }
    let values = || curves.iter().flat_map(|curve| &curve.points).map(|(_, value)| *value);
    let least = values().fold(f64::INFINITY, f64::min);
    let is_logarithmic =
        kind == Kind::Perplexity && least > 0.0 && values().fold(0.0, f64::max) > FAR_APART * least;
    let line = |(index, curve): (usize, &Curve)| Line {
        colour: colour(index),
        points: curve.points.clone(),
    };
    let svg = lines(&Lines {
        across: "parameters gone, %",
        up,
        is_logarithmic,
        is_marked: true,
        marks: Vec::new(),
        lines: curves.iter().enumerate().map(line).collect(),
    })?;
    let key = |(index, Curve { name, .. })| Key { colour: hex(colour(index)), name };
    Ok(Some(Chart {
        caption: caption.into(),
        svg,
        legend: curves.into_iter().enumerate().map(key).collect(),
        note: if is_logarithmic { "The axis is logarithmic.".into() } else { String::new() },
    }))
}

/// Points in order of the reduction, which is in percent.
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

/// A curve for each dense model, method and label with results at two sizes or more.
fn curves_of(columns: &[Column<'_>], kind: Kind, wanted: impl Fn(&str) -> bool) -> Vec<Curve> {
    let runs = || columns.iter().filter_map(|column| Some((column, column.run?)));
    let mut groups: Vec<(usize, &Method)> = Vec::new();
    for (column, run) in runs() {
        let group = (column.dense, &run.manifest.method);
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let is_part = matches!(kind, Kind::Task | Kind::Agreement);
    let scale = if is_part { 100.0 } else { 1.0 };
    let mut curves = Vec::new();
    for (_, label) in labels(columns, |other| other == kind) {
        // A perplexity among the tasks is not a fraction.
        if !wanted(&label) || kind == Kind::Task && label.contains(", perplexity") {
            continue;
        }
        for (dense, method) in &groups {
            let inside = |column: &&Column<'_>| match column.run {
                Some(run) => column.dense == *dense && run.manifest.method == **method,
                None => column.dense == *dense,
            };
            let mut points: Vec<(f64, f64)> = columns
                .iter()
                .filter(inside)
                .filter_map(|column| {
                    let found = column.found(kind, &label)?;
                    Some((100.0 * column.reduction, scale * found.value))
                })
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let sizes = points.iter().filter(|(reduction, _)| *reduction != 0.0).count();
            if sizes < 2 {
                continue;
            }
            let mut name = label.clone();
            if groups.iter().any(|(_, other)| other != method) {
                name = format!("{method}: {name}");
            }
            if groups.iter().any(|(other, _)| other != dense) {
                name = format!("{}: {name}", columns[*dense].name);
            }
            curves.push(Curve { name, points });
        }
    }
    curves
}
