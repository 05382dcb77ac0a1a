//! The sections that compare all models: tables with a column for each, and curves.

use slicegpt_provenance::Record;

use crate::columns::{Column, columns, labels};
use crate::curves::curves;
use crate::kind::Kind;
use crate::shown::{Section, Table};
use crate::{Report, ReportError, SlicedModel, evaluated, show_bytes, show_count, show_percent};

/// The sections that compare.
pub fn sections(report: &Report) -> Result<Vec<Section>, ReportError> {
    let columns = columns(report);
    let header = || {
        let names = columns.iter().map(|column| column.name.clone());
        std::iter::once(String::new()).chain(names).collect::<Vec<_>>()
    };
    let mut size = Table::new("Size", header());
    let each = |cell: &dyn Fn(&Column<'_>) -> Option<String>| columns.iter().map(cell).collect();
    let of_run =
        |cell: &dyn Fn(&SlicedModel) -> Option<String>| each(&|column| column.run.and_then(cell));
    size.row("parameters gone", of_run(&|run| Some(show_percent(run.manifest.real_reduction))));
    size.row("parameters", each(&|column| column.parameters.map(show_count)));
    size.row("bytes of weights", each(&|column| column.bytes.map(show_bytes)));
    size.row("type of weights", each(&|column| column.dtype.clone()));
    size.row("stream width", each(&|column| column.hidden.clone()));
    size.row("MLP width", each(&|column| column.intermediate.clone()));
    size.row("method", of_run(&|run| Some(run.manifest.method.to_string())));
    size.row(
        "nominal sparsity of the stream",
        of_run(&|run| run.manifest.nominal_sparsity.map(show_percent)),
    );
    let cost = cost(report);
    let quality = measured("Quality", &columns, header(), |kind| kind != Kind::Speed);
    let speed =
        measured("Speed, tokens per second", &columns, header(), |kind| kind == Kind::Speed);
    let nothing = quality.rows.is_empty().then(|| {
        let advice = report.advice.iter().flat_map(|advice| [" ", advice]);
        std::iter::once("Nothing was measured on text or tasks.").chain(advice).collect()
    });
    let tables = [size, quality, speed, cost].into_iter();
    let overview = Section {
        title: "Before and after".into(),
        text: nothing.into_iter().collect(),
        tables: tables.filter(|table| !table.rows.is_empty()).collect(),
        ..Section::default()
    };
    let charts = curves(&columns)?;
    let curves = Section { title: "Over sizes".into(), charts, ..Section::default() };
    Ok([overview, evaluated::section(report), curves]
        .into_iter()
        .filter(|section| !section.is_empty())
        .collect())
}

/// Time and memory of the compressions. Dense models have no column.
fn cost(report: &Report) -> Table {
    let names = report.runs.iter().map(|run| run.model.name.clone());
    let header = std::iter::once(String::new()).chain(names).collect();
    let mut table = Table::new("What the cut took", header);
    let each = |cell: &dyn Fn(&Record) -> Option<String>| {
        report.runs.iter().map(|run| run.record.as_ref().and_then(cell)).collect()
    };
    table.row("seconds", each(&|record| Some(format!("{:.1}", record.seconds))));
    table.row("peak memory", each(&|record| record.peak_rss_bytes.map(show_bytes)));
    table.row("memory of the device", each(&|record| record.device_memory_bytes.map(show_bytes)));
    table.row("device", each(&|record| Some(record.machine.device.clone())));
    table
}

fn measured(
    caption: &str,
    columns: &[Column<'_>],
    header: Vec<String>,
    wanted: impl Fn(Kind) -> bool + Copy,
) -> Table {
    let mut table = Table::new(caption, header);
    for (kind, label) in labels(columns, wanted) {
        let cell = |column: &Column<'_>| column.found(kind, &label).map(|it| it.shown.clone());
        table.row(kind.row_name(&label), columns.iter().map(cell).collect());
    }
    for found in columns.iter().flat_map(|column| &column.found) {
        let known = table.notes.contains(&found.protocol) || found.protocol.is_empty();
        if wanted(found.kind) && !known {
            table.notes.push(found.protocol.clone());
        }
    }
    table
}
