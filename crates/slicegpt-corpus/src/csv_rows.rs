//! Rows of text from a table of text (CSV, TSV), whose first line names the columns.

use std::borrow::Cow;
use std::path::Path;

use crate::columns::Columns;
use crate::error::{CorpusError, Result};

/// The text of each record, in the columns that [`Columns::choose`] chooses.
pub(crate) fn rows(
    path: &Path,
    contents: &str,
    separator: u8,
    column: Option<&str>,
) -> Result<Vec<String>> {
    let invalid =
        |error: csv::Error| CorpusError::Table { path: path.into(), reason: error.to_string() };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(separator).from_reader(contents.as_bytes());
    let names = reader.headers().map_err(invalid)?.clone();
    let columns = Columns::choose(column, names.iter(), path, || "the first line".into())?;
    let mut rows = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(invalid)?;
        let cell = |column: &str| {
            let place = names.iter().position(|name| name == column);
            Ok(place.and_then(|place| record.get(place)).map(Cow::Borrowed))
        };
        rows.extend(columns.row(cell, path, || format!("record {}", index + 1))?);
    }
    Ok(rows)
}
