//! The contents of the page as the template takes them: sections of tables, charts and text.

use serde::Serialize;

/// A table. Every row has a name, and a cell for each column.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    pub caption: String,
    pub header: Vec<String>,
    pub rows: Vec<Row>,
    /// Explanations of the numbers.
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

    /// Adds a row, unless all its cells are unknown.
    pub fn row(&mut self, name: impl Into<String>, cells: Vec<Option<String>>) {
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "–".into()));
            self.rows.push(Row { name: name.into(), cells: cells.collect() });
        }
    }

    /// Adds a row with one cell, if its value is known.
    pub fn fact(&mut self, name: &str, value: impl Into<Option<String>>) {
        self.row(name, vec![value.into()]);
    }
}

/// A chart with the legend of its colours.
#[derive(Clone, Debug, Serialize)]
pub struct Chart {
    pub caption: String,
    pub svg: String,
    pub legend: Vec<Key>,
    pub note: String,
}

impl Chart {
    /// A chart without a legend.
    pub fn new(caption: &str, svg: String, note: &str) -> Self {
        Self { caption: caption.into(), svg, legend: Vec::new(), note: note.into() }
    }
}

/// A colour, and the name of what it shows.
#[derive(Clone, Debug, Serialize)]
pub struct Key {
    pub colour: String,
    pub name: String,
}

/// A section of the page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Section {
    pub title: String,
    /// Paragraphs before the tables.
    pub text: Vec<String>,
    pub tables: Vec<Table>,
    pub charts: Vec<Chart>,
    /// Tables that are folded until a click.
    pub details: Vec<Table>,
    pub commands: Vec<Command>,
}

/// A command line, and its purpose.
#[derive(Clone, Debug, Serialize)]
pub struct Command {
    pub about: String,
    pub line: String,
}

impl Section {
    /// Whether it has no contents.
    pub fn is_empty(&self) -> bool {
        let Self { title: _, text, tables, charts, details, commands } = self;
        text.is_empty()
            && tables.is_empty()
            && charts.is_empty()
            && details.is_empty()
            && commands.is_empty()
    }
}
