//! Results on stdout: a table for people, or one JSON object for scripts.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use serde_json::Value;

/// Prints `json` if asked to, else a table of `rows`.
///
/// # Errors
///
/// If stdout takes nothing. A reader that has seen enough (`| head`) is no error.
pub fn print(
    json: Option<Value>,
    rows: &[(&str, Vec<String>)],
    header: &[&str],
    footer: Option<&str>,
) -> Result<()> {
    let mut text = match json {
        Some(json) => serde_json::to_string_pretty(&json)?,
        None => {
            let mut text = table(rows, header).to_string();
            text.extend(footer.into_iter().flat_map(|footer| ["\n", footer]));
            text
        }
    };
    text.push('\n');
    write(text.as_bytes())
}

/// Writes to stdout.
///
/// # Errors
///
/// As [`print`].
pub fn write(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("stdout"),
        _ => Ok(()),
    }
}

fn table(rows: &[(&str, Vec<String>)], header: &[&str]) -> Table {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line));
    if !header.is_empty() {
        table.set_header(header);
    }
    for (name, values) in rows {
        table.add_row(std::iter::once(name.to_string()).chain(values.iter().cloned()));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
