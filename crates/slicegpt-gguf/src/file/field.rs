//! [`Field`]: the place and type of a value in the metadata. Values stay in the file until they are
//! asked for.

use std::ops::Range;

use super::cursor::{Cursor, Fault};

/// Arrays in arrays that are followed. llama.cpp writes arrays of numbers and texts only.
const DEPTH: usize = 4;

/// A value in the metadata.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// The type of the value, or of the elements of an array.
    pub ty: FieldType,
    /// The number of elements, if this is an array.
    pub elements: Option<usize>,
    pub place: Range<usize>,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl FieldType {
    fn by_id(id: u32) -> Result<Self, Fault> {
        const ALL: [FieldType; 13] = [
            FieldType::U8,
            FieldType::I8,
            FieldType::U16,
            FieldType::I16,
            FieldType::U32,
            FieldType::I32,
            FieldType::F32,
            FieldType::Bool,
            FieldType::Text,
            FieldType::Array,
            FieldType::U64,
            FieldType::I64,
            FieldType::F64,
        ];
        let found = ALL.get(id as usize).copied();
        found.ok_or_else(|| format!("a value of type {id}, which the format does not have"))
    }

    /// Bytes of a value of a fixed size.
    pub fn size(self) -> Option<u64> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Text | Self::Array => None,
        }
    }

    /// The least bytes that a value takes.
    fn least(self) -> u64 {
        match self {
            // Its length; of an array also the type of its elements.
            Self::Text => 8,
            Self::Array => 12,
            _ => self.size().expect("all others have one"),
        }
    }
}

impl Field {
    /// Reads type and place of the next value of `at`.
    pub fn next(at: &mut Cursor<'_>) -> Result<Self, Fault> {
        let ty = FieldType::by_id(at.u32("the type of a value")?)?;
        if ty != FieldType::Array {
            let start = at.position();
            skip(at, ty, 0)?;
            return Ok(Self { ty, elements: None, place: start..at.position() });
        }
        let (element, count) = array(at)?;
        let start = at.position();
        elements(at, element, count, 1)?;
        let place = start..at.position();
        Ok(Self { ty: element, elements: Some(count as usize), place })
    }
}

/// Type and number of the elements of an array.
fn array(at: &mut Cursor<'_>) -> Result<(FieldType, u64), Fault> {
    let element = FieldType::by_id(at.u32("the type of an array")?)?;
    let count = at.count(element.least(), "the length of an array")?;
    Ok((element, count))
}

fn elements(at: &mut Cursor<'_>, ty: FieldType, count: u64, depth: usize) -> Result<(), Fault> {
    match ty.size() {
        // The product was compared with the bytes that are left.
        Some(size) => at.skip(count * size, "an array").map(|_| ()),
        None => (0..count).try_for_each(|_| skip(at, ty, depth)),
    }
}

fn skip(at: &mut Cursor<'_>, ty: FieldType, depth: usize) -> Result<(), Fault> {
    match ty {
        FieldType::Text => at.text("a text").map(|_| ()),
        FieldType::Array if depth >= DEPTH => Err(format!("arrays more than {DEPTH} deep")),
        FieldType::Array => {
            let (element, count) = array(at)?;
            elements(at, element, count, depth + 1)
        }
        _ => at.skip(ty.least(), "a value").map(|_| ()),
    }
}
