//! [`Footer`]: the description of a table at the end of its file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use crate::table::fault::{Result, damaged, unsupported};
use crate::table::schema::Schema;
use crate::table::thrift::Thrift;

/// What a Parquet file begins and ends with.
const MAGIC: &[u8; 4] = b"PAR1";

/// The footer of a file, as bytes.
pub(super) struct Footer(Vec<u8>);

/// The pages of one column in one group of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Where the first page is, in bytes from the beginning of the file.
    pub start: u64,
    /// How many bytes the pages have.
    pub length: u64,
    /// How many values they have, with those that are null.
    pub values: u64,
    /// The number of the codec that they are packed with.
    pub codec: i64,
}

impl Footer {
    /// Reads the footer of a file of `length` bytes.
    pub fn read(file: &mut File, length: u64) -> Result<Self> {
        if length < 12 {
            return damaged(format!("it has {length} bytes"));
        }
        let mut tail = [0; 8];
        file.seek(SeekFrom::Start(length - 8))?;
        file.read_exact(&mut tail)?;
        let [a, b, c, d, magic @ ..] = tail;
        match &magic {
            MAGIC => {}
            b"PARE" => return unsupported("it is encrypted, and such tables are not read"),
            _ => return damaged("it does not end as a Parquet file does"),
        }
        let footer = u64::from(u32::from_le_bytes([a, b, c, d]));
        if footer > length - 12 {
            return damaged(format!("says that its footer has {footer} bytes"));
        }
        if footer > slicegpt_limits::MAX_DESCRIPTION {
            let most = slicegpt_limits::MAX_DESCRIPTION;
            return damaged(format!("its footer has {footer} bytes, at most {most} are read"));
        }
        let mut bytes = vec![0; footer as usize];
        file.seek(SeekFrom::Start(length - 8 - footer))?;
        file.read_exact(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The columns of the table.
    pub fn schema(&self) -> Result<Schema> {
        let mut schema = None;
        Thrift::new(&self.0).fields(|thrift, id, _| {
            if id != 2 {
                return Ok(false);
            }
            schema = Some(Schema::read(thrift)?);
            Ok(true)
        })?;
        schema.map_or_else(|| damaged("its footer lists no columns"), Ok)
    }

    /// The pages of `leaves`, by their indices, in each group of rows.
    pub fn chunks(&self, leaves: &[usize]) -> Result<Vec<Vec<Chunk>>> {
        let mut groups = Vec::new();
        Thrift::new(&self.0).fields(|thrift, id, _| {
            if id != 4 {
                return Ok(false);
            }
            thrift.list(|thrift, _| {
                groups.push(group(thrift, leaves)?);
                Ok(())
            })?;
            Ok(true)
        })?;
        Ok(groups)
    }
}

/// The pages of `leaves` in a group of rows.
fn group(thrift: &mut Thrift<'_>, leaves: &[usize]) -> Result<Vec<Chunk>> {
    let mut found = vec![None; leaves.len()];
    thrift.fields(|thrift, id, _| {
        if id != 1 {
            return Ok(false);
        }
        let mut index = 0;
        thrift.list(|thrift, _| {
            let chunk = chunk(thrift)?;
            for (leaf, found) in leaves.iter().zip(&mut found) {
                if *leaf == index {
                    *found = chunk;
                }
            }
            index += 1;
            Ok(())
        })?;
        Ok(true)
    })?;
    let found: Option<Vec<Chunk>> = found.into_iter().collect();
    found.map_or_else(|| damaged("a group of rows lacks a column"), Ok)
}

/// A column of a group of rows, if its description is there.
fn chunk(thrift: &mut Thrift<'_>) -> Result<Option<Chunk>> {
    let mut found = None;
    thrift.fields(|thrift, id, _| {
        match id {
            // The name of another file.
            1 => return damaged("its values are in another file"),
            3 => found = Some(column(thrift)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(found)
}

fn column(thrift: &mut Thrift<'_>) -> Result<Chunk> {
    let [mut codec, mut values, mut length, mut data, mut dictionary] = [0_i64; 5];
    thrift.fields(|thrift, id, _| {
        let field = match id {
            4 => &mut codec,
            5 => &mut values,
            7 => &mut length,
            9 => &mut data,
            11 => &mut dictionary,
            _ => return Ok(false),
        };
        *field = thrift.integer()?;
        Ok(true)
    })?;
    let start = if dictionary > 0 && dictionary < data { dictionary } else { data };
    match [start, length, values].map(u64::try_from) {
        [Ok(start), Ok(length), Ok(values)] => Ok(Chunk { start, length, values, codec }),
        _ => damaged("the place or the size of a column is negative"),
    }
}
