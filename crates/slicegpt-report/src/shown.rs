//! What the template shows: sections of tables, charts and text.

use serde::Serialize;

/// A table: a name and a cell for each column in every row.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    pub caption: String,
    pub header: Vec<String>,
    pub rows: Vec<Row>,
    /// What the numbers mean.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub cells: Vec<String>,
}

impl Table {
    pub fn new(caption: &str, header: Vec<String>) -> Self {
        Self { caption: caption.into(), header, ..Self::default() }
    }

    /// Adds a row, unless nothing is known in any column.
    pub fn row(&mut self, name: impl Into<String>, cells: Vec<Option<String>>) {
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "–".into()));
            self.rows.push(Row { name: name.into(), cells: cells.collect() });
        }
    }

    /// Adds a row of a table with one column, if it is known.
    pub fn fact(&mut self, name: &str, value: impl Into<Option<String>>) {
        self.row(name, vec![value.into()]);
    }
}

/// A chart, and what its colours mean.
#[derive(Clone, Debug, Serialize)]
pub struct Chart {
    pub caption: String,
    pub svg: String,
    pub legend: Vec<Key>,
    pub note: String,
}

/// A colour, and what it stands for.
#[derive(Clone, Debug, Serialize)]
pub struct Key {
    pub colour: String,
    pub name: String,
}

/// A part of the page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Section {
    pub title: String,
    /// What one should know first.
    pub text: Vec<String>,
    pub tables: Vec<Table>,
    pub charts: Vec<Chart>,
    /// Tables that are opened by a click.
    pub details: Vec<Table>,
    /// Command lines, with what each is for.
    pub commands: Vec<Command>,
}

/// A command line, and what it is for.
#[derive(Clone, Debug, Serialize)]
pub struct Command {
    pub about: String,
    pub line: String,
}

impl Section {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        let Self { title: _, text, tables, charts, details, commands } = self;
        text.is_empty()
            && tables.is_empty()
            && charts.is_empty()
            && details.is_empty()
            && commands.is_empty()
    }
}
