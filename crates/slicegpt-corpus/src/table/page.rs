//! [`Page`]: one page of a column, unpacked.

use std::borrow::Cow;
use std::io::Read;

use slicegpt_limits::Budget;

use crate::table::fault::{Fault, Result, damaged, unsupported};
use crate::table::thrift::Thrift;

/// What a page holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Holds {
    Dictionary,
    /// Values; their levels have their lengths before them.
    Values,
    /// Values in the second form: the levels come first, are not packed, and have these lengths.
    Second {
        repetition: usize,
        definition: usize,
    },
    /// Something that a reader may skip.
    #[default]
    Other,
}

/// A page of a column, unpacked.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub holds: Holds,
    /// How many values it has, with those that are null.
    pub values: usize,
    /// The number of the encoding of the values.
    pub encoding: i64,
    pub bytes: Cow<'a, [u8]>,
}

/// The header of a page.
#[derive(Default)]
struct Header {
    holds: Holds,
    values: i64,
    encoding: i64,
    /// Bytes when unpacked.
    unpacked: i64,
    /// Bytes in the file.
    packed: i64,
    /// Whether the values are packed in the second form.
    is_packed: bool,
}

/// The page that `bytes` begin with, packed with `codec`; leaves in them what follows it.
pub(super) fn page<'a>(bytes: &mut &'a [u8], codec: i64, budget: &mut Budget) -> Result<Page<'a>> {
    let mut thrift = Thrift::new(bytes);
    let header = header(&mut thrift)?;
    let rest = &bytes[thrift.position()..];
    let sizes = [header.packed, header.unpacked, header.values].map(usize::try_from);
    let [Ok(packed), Ok(unpacked), Ok(values)] = sizes else {
        return damaged("the size of a page is negative");
    };
    let Some((body, rest)) = rest.split_at_checked(packed) else {
        return damaged(format!("a page of {packed} bytes has {}", rest.len()));
    };
    *bytes = rest;
    let Header { holds, encoding, .. } = header;
    // Levels of the second form are not packed.
    let plain = match holds {
        Holds::Second { repetition, definition } => repetition.saturating_add(definition),
        _ => 0,
    };
    if plain > packed || plain > unpacked {
        return damaged(format!("a page of {packed} bytes has levels of {plain}"));
    }
    let bytes = match holds {
        Holds::Other => Cow::Borrowed(&[][..]),
        Holds::Second { .. } if !header.is_packed => Cow::Borrowed(body),
        _ if codec == 0 => Cow::Borrowed(body),
        _ => {
            costs(budget, unpacked as u64)?;
            let values = unpack(&body[plain..], codec, unpacked - plain)?;
            match plain {
                0 => Cow::Owned(values),
                plain => Cow::Owned([&body[..plain], &values].concat()),
            }
        }
    };
    Ok(Page { holds, values, encoding, bytes })
}

/// Spends `bytes`, which are about to be allocated.
pub(super) fn costs(budget: &mut Budget, bytes: u64) -> Result<()> {
    budget.spend(bytes).map_err(|error| Fault::Costly(error.to_string()))
}

fn header(thrift: &mut Thrift<'_>) -> Result<Header> {
    let mut header = Header { is_packed: true, ..Header::default() };
    thrift.fields(|thrift, id, _| {
        match id {
            2 => header.unpacked = thrift.integer()?,
            3 => header.packed = thrift.integer()?,
            5 => {
                header.holds = Holds::Values;
                counts(thrift, &mut header, [1, 2])?;
            }
            7 => {
                header.holds = Holds::Dictionary;
                counts(thrift, &mut header, [1, 2])?;
            }
            8 => second(thrift, &mut header)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(header)
}

/// Reads how many values there are, and in which encoding.
fn counts(
    thrift: &mut Thrift<'_>,
    header: &mut Header,
    [values, encoding]: [i16; 2],
) -> Result<()> {
    thrift.fields(|thrift, id, _| {
        if id == values {
            header.values = thrift.integer()?;
        } else if id == encoding {
            header.encoding = thrift.integer()?;
        }
        Ok(id == values || id == encoding)
    })
}

/// Reads the header of a page of the second form.
fn second(thrift: &mut Thrift<'_>, header: &mut Header) -> Result<()> {
    use crate::table::thrift::Kind;
    let [mut definition, mut repetition] = [0_i64; 2];
    thrift.fields(|thrift, id, kind| {
        match (id, kind) {
            (1, _) => header.values = thrift.integer()?,
            (4, _) => header.encoding = thrift.integer()?,
            (5, _) => definition = thrift.integer()?,
            (6, _) => repetition = thrift.integer()?,
            (7, Kind::False) => header.is_packed = false,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    match [repetition, definition].map(usize::try_from) {
        [Ok(repetition), Ok(definition)] => {
            header.holds = Holds::Second { repetition, definition };
            Ok(())
        }
        _ => damaged("the size of the levels of a page is negative"),
    }
}

/// Unpacks `bytes`, which become `length` bytes. Room is made only for what a codec can make of so
/// many bytes.
fn unpack(bytes: &[u8], codec: i64, length: usize) -> Result<Vec<u8>> {
    let too_long = |ratio: usize| length > bytes.len().saturating_mul(ratio).saturating_add(64);
    let says = || format!("a page of {} bytes says that it becomes {length}", bytes.len());
    let failed = |error: &dyn std::fmt::Display| Fault::Damaged(format!("a page: {error}"));
    let unpacked = match codec {
        // A copy of 64 bytes takes 3.
        1 if too_long(32) => return damaged(says()),
        1 => {
            let mut unpacked = vec![0; length];
            let made = snap::raw::Decoder::new().decompress(bytes, &mut unpacked);
            unpacked.truncate(made.map_err(|error| failed(&error))?);
            unpacked
        }
        2 => stream(flate2::read::MultiGzDecoder::new(bytes), length)?,
        6 => stream(zstd::stream::read::Decoder::with_buffer(bytes)?, length)?,
        // A byte of a match stands for at most 255.
        5 | 7 if too_long(256) => return damaged(says()),
        7 => block(bytes, length)?,
        5 => hadoop(bytes, length).map_or_else(|| block(bytes, length), Ok)?,
        3 | 4 => {
            let name = if codec == 3 { "LZO" } else { "Brotli" };
            return unsupported(format!(
                "it is packed with {name}, which is not read; write it with zstd"
            ));
        }
        other => return damaged(format!("it is packed with unknown codec {other}")),
    };
    if unpacked.len() == length { Ok(unpacked) } else { damaged(says()) }
}

/// At most one byte more than `length` of what `reader` unpacks.
fn stream(reader: impl Read, length: usize) -> Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    let read = reader.take(length as u64 + 1).read_to_end(&mut unpacked);
    read.map_err(|error| Fault::Damaged(format!("a page: {error}")))?;
    Ok(unpacked)
}

fn block(bytes: &[u8], length: usize) -> Result<Vec<u8>> {
    let mut unpacked = vec![0; length];
    match lz4_flex::block::decompress_into(bytes, &mut unpacked) {
        Ok(made) => unpacked.truncate(made),
        Err(error) => return damaged(format!("a page: {error}")),
    }
    Ok(unpacked)
}

/// The older form of LZ4, as Hadoop writes it: blocks with their lengths before and after.
fn hadoop(mut bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    while unpacked.len() < length {
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let [a, b, c, d, e, f, g, h] = *head;
        let becomes = u32::from_be_bytes([a, b, c, d]) as usize;
        let (block, rest) = rest.split_at_checked(u32::from_be_bytes([e, f, g, h]) as usize)?;
        if becomes == 0 || becomes > length - unpacked.len() {
            return None;
        }
        unpacked.extend(self::block(block, becomes).ok()?);
        bytes = rest;
    }
    Some(unpacked)
}
