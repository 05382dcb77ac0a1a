//! Results on stdout: a table for people, or one JSON object for scripts.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use serde_json::Value;

/// Prints `json` if asked to, else a table of `rows`.
pub fn print(json: Option<Value>, rows: &[(&str, Vec<String>)], header: &[&str]) {
    match json {
        Some(json) => println!("{}", serde_json::to_string_pretty(&json).expect("plain data")),
        None => println!("{}", table(rows, header)),
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
