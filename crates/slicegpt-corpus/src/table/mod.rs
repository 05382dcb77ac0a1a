//! Rows of text from a Parquet table.
//!
//! The table is read by the code below and not by a library, because a file may say anything: that
//! it has 2^31 columns, that a page of 10 bytes becomes 2 GB, or that a text of 400 kB is repeated
//! 2^30 times. Here every count is checked against the bytes that are there before room is made for
//! it, and what a file becomes is within a budget ([`TIMES`], [`LEAST`]).
//!
//! What is read: columns of texts, and columns of conversations, which are lists of structs with
//! `role` and `content`; pages of both forms; the encodings of texts (plain, dictionary, and both
//! with differences); the codecs Snappy, gzip, zstd and LZ4.

mod column;
mod conversations;
mod fault;
mod footer;
mod levels;
mod page;
mod schema;
mod thrift;
mod values;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::Path;

use slicegpt_limits::Budget;

use crate::chat::{Conversations, OTHER_LIST};
use crate::columns::{Cell, Columns};
use crate::contents::{LEAST, TIMES};
use crate::error::{CorpusError, Result};
use crate::table::column::{Budgets, entries};
use crate::table::conversations::Values;
use crate::table::fault::Fault;
use crate::table::footer::{Chunk, Footer};
use crate::table::schema::{Column, Leaf, Schema, kind_name};

/// The number of the type of texts.
const TEXT: i64 = 6;

/// The text of each row of the table, in the columns that [`Columns::choose`] chooses.
pub(crate) fn rows(
    path: &Path,
    column: Option<&str>,
    conversations: &Conversations<'_>,
) -> Result<Vec<String>> {
    let fault = |fault| match fault {
        Fault::Io(error) => CorpusError::io(path)(error),
        Fault::Damaged(reason) => CorpusError::Parquet { path: path.into(), reason },
        Fault::Unsupported(reason) => CorpusError::NotRead { path: path.into(), reason },
        Fault::Costly(reason) => CorpusError::TooLarge { path: path.into(), reason },
    };
    let mut file = slicegpt_limits::open(path).map_err(CorpusError::io(path))?;
    let length = file.metadata().map_err(CorpusError::io(path))?.len();
    let footer = Footer::read(&mut file, length).map_err(fault)?;
    let schema = footer.schema().map_err(fault)?;
    let available = schema.columns.iter().map(|column| &column.name);
    let columns = Columns::choose(column, available, path, || "the table".into())?;
    let read = wanted(&schema, &columns.names(), path)?;
    let indices: Vec<usize> =
        read.iter().flat_map(|(_, leaves)| leaves).map(|leaf| leaf.index).collect();
    let groups = footer.chunks(&indices).map_err(fault)?;
    check_sizes(&groups, length).map_err(fault)?;
    let budget = |what| Budget::of_file(length, TIMES, LEAST, what);
    let mut budgets = Budgets { texts: budget("texts"), pages: budget("unpacked pages") };
    let mut rows = Vec::new();
    let mut before = 0;
    for chunks in groups {
        let group = group(&mut file, &chunks, &read, &mut budgets).map_err(fault)?;
        let count = group.first().map_or(0, |(_, values)| values.len());
        for row in 0..count {
            let cell = |name: &str| -> Cell<'_> {
                match group.iter().find(|(column, _)| *column == name) {
                    None => Ok(None),
                    Some((_, values)) => values.cell(row, conversations),
                }
            };
            rows.extend(columns.row(cell, path, || format!("row {}", before + row + 1))?);
        }
        before += count;
    }
    Ok(rows)
}

/// The columns of these names that the schema has, with those of their leaves that are read.
fn wanted<'s>(
    schema: &'s Schema,
    names: &[&str],
    path: &Path,
) -> Result<Vec<(&'s Column, Vec<&'s Leaf>)>> {
    let columns = schema.columns.iter().filter(|column| names.contains(&&*column.name));
    let with_leaves = columns.map(|column| match leaves(column) {
        Ok(leaves) => Ok((column, leaves)),
        Err(found) => Err(CorpusError::NotText {
            path: path.into(),
            place: "the table".into(),
            column: column.name.clone(),
            found: found.into(),
        }),
    });
    with_leaves.collect()
}

/// The leaves of a column of texts (one), or of conversations (role and content); or what it is
/// instead.
fn leaves(column: &Column) -> std::result::Result<Vec<&Leaf>, &'static str> {
    if let [leaf] = &column.leaves[..]
        && leaf.depth == 0
        && leaf.max_repetition == 0
    {
        return match leaf.kind {
            TEXT => Ok(vec![leaf]),
            other => Err(kind_name(other)),
        };
    }
    let of = |name: &str| {
        let mut found = column.leaves.iter().filter(|leaf| leaf.name == name);
        found.find(|leaf| leaf.max_repetition == 1 && leaf.kind == TEXT)
    };
    match (of("role"), of("content")) {
        (Some(role), Some(content)) => Ok(vec![role, content]),
        _ if column.leaves.iter().any(|leaf| leaf.max_repetition > 0) => Err(OTHER_LIST),
        _ => Err("a struct"),
    }
}

/// The values of each column in a group of rows.
fn group<'s>(
    file: &mut File,
    chunks: &[Chunk],
    columns: &[(&'s Column, Vec<&Leaf>)],
    budgets: &mut Budgets,
) -> fault::Result<Vec<(&'s str, Values)>> {
    let mut chunks = chunks.iter();
    let mut found: Vec<(&str, Values)> = Vec::new();
    for (column, leaves) in columns {
        let mut parts = Vec::new();
        for (leaf, chunk) in leaves.iter().zip(&mut chunks) {
            parts.push(entries(file, chunk, leaf, budgets)?);
        }
        let values = Values::new(parts, leaves, column)?;
        if found.first().is_some_and(|(_, first)| first.len() != values.len()) {
            return fault::damaged("its columns have different numbers of rows");
        }
        found.push((&column.name, values));
    }
    Ok(found)
}

/// Checks that the pages of the columns are in the file, and that no column is read twice.
fn check_sizes(groups: &[Vec<Chunk>], length: u64) -> fault::Result<()> {
    let ends = |chunk: &Chunk| chunk.start.saturating_add(chunk.length);
    if groups.iter().flatten().any(|chunk| ends(chunk) > length) {
        return fault::damaged("a column ends after the end of the file; the file is truncated");
    }
    let columns = groups.first().map_or(0, Vec::len);
    for column in 0..columns {
        let sizes = groups.iter().filter_map(|chunks| chunks.get(column)).map(|chunk| chunk.length);
        if sizes.fold(0_u64, u64::saturating_add) > length {
            return fault::damaged("the parts of a column are larger than the file");
        }
    }
    Ok(())
}
