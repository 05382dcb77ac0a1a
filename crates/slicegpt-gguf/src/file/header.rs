//! [`read`]: everything before the values of a GGUF file, checked against the file.

use std::collections::BTreeMap;

use super::cursor::{Cursor, Fault};
use super::field::Field;
use super::integer::whole;
use super::stored_tensor::StoredTensor;
use crate::quant::StoredType;

/// The versions that are read. Version 1 was used for some days, in 32-bit lengths.
const VERSIONS: std::ops::RangeInclusive<u32> = 2..=3;

/// Where tensors begin, unless `general.alignment` says otherwise.
const ALIGNMENT: u32 = 32;

/// The largest alignment that is accepted; known writers use at most a page.
const LARGEST_ALIGNMENT: u32 = 1 << 20;

/// Dimensions that ggml has.
const DIMENSIONS: u32 = 4;

/// Metadata and tensors of a file.
pub(super) struct Header {
    pub fields: BTreeMap<String, Field>,
    pub tensors: BTreeMap<String, StoredTensor>,
}

/// A tensor whose place is not checked yet.
struct Claimed<'a> {
    name: &'a str,
    ty: &'static StoredType,
    shape: Vec<usize>,
    offset: u64,
    bytes: usize,
}

/// Reads the header of a file with the contents `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Header, Fault> {
    version(bytes)?;
    let at = &mut Cursor::new(bytes);
    at.skip(8, "magic and version").map_err(truncated)?;
    // A tensor takes a name, dimensions, type and offset; a field a name, a type and a value.
    let tensors = at.u64("the number of tensors").map_err(truncated)?;
    let count = at.u64("the number of fields").map_err(truncated)?;
    at.holds(tensors, 24, "the number of tensors").map_err(truncated)?;
    at.holds(count, 13, "the number of fields").map_err(truncated)?;
    let mut fields = BTreeMap::new();
    for _ in 0..count {
        let name = at.name("the name of a field").map_err(truncated)?;
        let field = Field::next(at).map_err(|fault| truncated(format!("`{name}`: {fault}")))?;
        if fields.insert(name.to_string(), field).is_some() {
            return Err(format!("`{name}` occurs twice; the file is damaged"));
        }
    }
    let claimed: Vec<Claimed<'_>> =
        (0..tensors).map(|_| claim(at)).collect::<Result<_, Fault>>()?;
    let alignment = alignment(bytes, &fields)?;
    let start = at.position().next_multiple_of(alignment);
    Ok(Header { tensors: place(claimed, start, alignment, bytes.len())?, fields })
}

/// Refuses anything but a GGUF file of a version that is read.
fn version(bytes: &[u8]) -> Result<(), Fault> {
    if !bytes.starts_with(b"GGUF") {
        return Err("not a GGUF file: it does not begin with `GGUF`".into());
    }
    let Some(version) = bytes.get(4..8) else {
        return Err(truncated("it ends after 4 to 7 bytes".into()));
    };
    let version = u32::from_le_bytes(version.try_into().expect("four bytes"));
    match version {
        version if VERSIONS.contains(&version) => Ok(()),
        version if VERSIONS.contains(&version.swap_bytes()) => {
            Err("a big-endian GGUF file; convert it with gguf_convert_endian.py of llama.cpp"
                .into())
        }
        version => Err(format!(
            "GGUF version {version}; versions 2 and 3 are read: convert the model again with a \
             present llama.cpp"
        )),
    }
}

fn truncated(fault: Fault) -> Fault {
    format!("{fault}; the file is truncated or damaged, download it again")
}

fn claim<'a>(at: &mut Cursor<'a>) -> Result<Claimed<'a>, Fault> {
    let name = at.name("the name of a tensor").map_err(truncated)?;
    let wrong = |fault: Fault| truncated(format!("tensor `{name}`: {fault}"));
    let dimensions = at.u32("its number of dimensions").map_err(wrong)?;
    if dimensions == 0 || dimensions > DIMENSIONS {
        return Err(wrong(format!("{dimensions} dimensions, from 1 to {DIMENSIONS} are possible")));
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let size = at.u64("a dimension").map_err(wrong)?;
        shape.push(
            usize::try_from(size)
                .ok()
                .filter(|size| *size > 0)
                .ok_or_else(|| wrong(format!("a dimension of {size}")))?,
        );
    }
    let id = at.u32("its type").map_err(wrong)?;
    let offset = at.u64("its offset").map_err(wrong)?;
    let Some(ty) = StoredType::by_id(id) else {
        return Err(format!(
            "tensor `{name}`: its type has the number {id}, which this version does not know; \
             it reads {}",
            StoredType::readable()
        ));
    };
    if !shape[0].is_multiple_of(ty.block()) {
        let (row, block) = (shape[0], ty.block());
        return Err(wrong(format!("rows of {row} values are not whole {} of {block}", ty.name())));
    }
    shape.reverse();
    let values = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
    let bytes = values.and_then(|values| ty.bytes(values));
    let bytes = bytes.ok_or_else(|| wrong(format!("a shape of {shape:?}")))?;
    Ok(Claimed { name, ty, shape, offset, bytes })
}

fn alignment(bytes: &[u8], fields: &BTreeMap<String, Field>) -> Result<usize, Fault> {
    let Some(field) = fields.get("general.alignment") else { return Ok(ALIGNMENT as usize) };
    let value = whole(bytes, field).and_then(|value| u32::try_from(value).ok());
    match value.filter(|value| value.is_power_of_two() && *value <= LARGEST_ALIGNMENT) {
        Some(value) => Ok(value as usize),
        None => Err("`general.alignment` is not a power of two up to 1048576".into()),
    }
}

/// Checks that all tensors are inside the file, which is `length` bytes long, and do not overlap.
fn place(
    mut claimed: Vec<Claimed<'_>>,
    data: usize,
    alignment: usize,
    length: usize,
) -> Result<BTreeMap<String, StoredTensor>, Fault> {
    claimed.sort_by_key(|tensor| tensor.offset);
    let mut tensors = BTreeMap::new();
    let mut last: (&str, usize) = ("", 0);
    for Claimed { name, ty, shape, offset, bytes } in claimed {
        let wrong = |fault: Fault| truncated(format!("tensor `{name}`: {fault}"));
        let start = usize::try_from(offset).ok().and_then(|offset| data.checked_add(offset));
        let end = start.and_then(|start| start.checked_add(bytes));
        let (Some(start), Some(end)) = (start, end.filter(|end| *end <= length)) else {
            return Err(wrong(format!(
                "{bytes} bytes from byte {offset} of the values on, in a file of {length} bytes"
            )));
        };
        if !(start - data).is_multiple_of(alignment) {
            return Err(wrong(format!("its offset {offset} is not a multiple of {alignment}")));
        }
        if start < last.1 {
            return Err(wrong(format!("it overlaps tensor `{}`", last.0)));
        }
        last = (name, end);
        let tensor = StoredTensor { ty, shape, start, bytes };
        if tensors.insert(name.to_string(), tensor).is_some() {
            return Err(wrong("it occurs twice".into()));
        }
    }
    Ok(tensors)
}
