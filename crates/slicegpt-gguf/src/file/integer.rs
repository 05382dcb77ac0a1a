//! Whole numbers of any of the integer types.

use super::field::{Field, FieldType};

/// The value of an integer field that is not an array and not negative.
pub(super) fn whole(bytes: &[u8], field: &Field) -> Option<u64> {
    match field.elements {
        None => integer(field.ty, bytes.get(field.place.clone())?)?.try_into().ok(),
        Some(_) => None,
    }
}

/// A number of an integer type.
pub(super) fn integer(ty: FieldType, b: &[u8]) -> Option<i128> {
    match ty {
        FieldType::U8 => Some(b.first().copied()?.into()),
        FieldType::I8 => Some(b.first()?.cast_signed().into()),
        FieldType::U16 => Some(u16::from_le_bytes(b.try_into().ok()?).into()),
        FieldType::I16 => Some(i16::from_le_bytes(b.try_into().ok()?).into()),
        FieldType::U32 => Some(u32::from_le_bytes(b.try_into().ok()?).into()),
        FieldType::I32 => Some(i32::from_le_bytes(b.try_into().ok()?).into()),
        FieldType::U64 => Some(u64::from_le_bytes(b.try_into().ok()?).into()),
        FieldType::I64 => Some(i64::from_le_bytes(b.try_into().ok()?).into()),
        FieldType::F32 | FieldType::F64 | FieldType::Bool => None,
        FieldType::Text | FieldType::Array => None,
    }
}
