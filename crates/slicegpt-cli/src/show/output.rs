//! Results on stdout: a table, or one JSON object for scripts.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use serde_json::Value;

/// Prints `json` if asked to, else a table of `rows`.
///
/// # Errors
///
/// If stdout cannot be written to. A closed pipe (`| head`) is not an error.
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

/// The reader of stdout has closed it (`| head`): the command ends, which is not an error.
#[derive(Debug)]
pub struct ClosedPipe;

impl std::fmt::Display for ClosedPipe {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("stdout is closed")
    }
}

impl std::error::Error for ClosedPipe {}

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

/// Refuses to replace the file `out`, or with `force` only a file that is no `what`, which `ours`
/// recognises by its first bytes.
pub fn check_free(
    out: &Path,
    force: bool,
    ours: impl FnOnce(&[u8]) -> bool,
    what: &str,
) -> Result<()> {
    if out.is_file() && !force {
        bail!("{}: exists; choose another --out, or pass --force to replace it", out.display());
    }
    check_ours("--out", out, ours, what)
}

/// Refuses to replace a file that is no `what`, which `ours` recognises by its first bytes. Such a
/// file may be an input, and running the command again would not restore it.
pub fn check_ours(
    option: &str,
    path: &Path,
    ours: impl FnOnce(&[u8]) -> bool,
    what: &str,
) -> Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    let at = path.display();
    let mut start = Vec::new();
    let file = slicegpt_limits::open(path).with_context(|| at.to_string())?;
    file.take(1024).read_to_end(&mut start).with_context(|| at.to_string())?;
    if !start.is_empty() && !ours(&start) {
        bail!("{at}: not replaced, because it is no {what}; choose another {option}");
    }
    Ok(())
}

/// Whether `bytes` contain `words`.
pub fn says(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

fn table(rows: &[(&str, Vec<String>)], header: &[&str]) -> Table {
    let rows = rows.iter().map(|(name, values)| {
        std::iter::once(name.to_string()).chain(values.iter().cloned()).collect()
    });
    plain_table(header, rows.collect(), 1)
}

/// A table whose first `left` columns are aligned left, the others right.
pub fn plain_table(header: &[&str], rows: Vec<Vec<String>>, left: usize) -> Table {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line));
    if !header.is_empty() {
        table.set_header(header);
    }
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(left) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
