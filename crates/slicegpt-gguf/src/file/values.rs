//! Values of the metadata by key and by what the caller needs. Whole numbers may have any of the
//! integer types, as in llama.cpp.

use super::field::{Field, FieldType};
use super::gguf_file::GgufFile;
use super::integer::{integer, whole};
use crate::error::{GgufError, Result};

impl GgufFile {
    /// The keys of all fields.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields().keys().map(String::as_str)
    }

    /// The value of `key` as `convert` reads it; an error if it is there and has another type.
    fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        convert: impl FnOnce(&'a Field, &'a [u8]) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(field) = self.fields().get(key) else { return Ok(None) };
        let value = convert(field, &self.bytes()[field.place.clone()]);
        value.map(Some).ok_or_else(|| self.wrong(format!("`{key}` is not {expected}")))
    }

    /// An error about this file.
    pub fn wrong(&self, reason: impl Into<String>) -> GgufError {
        GgufError::file(self.path(), reason)
    }

    pub fn count(&self, key: &str) -> Result<Option<u64>> {
        self.typed(key, "a whole number", |field, _| whole(self.bytes(), field))
    }

    /// A number that is given once, or for each block with the same value.
    pub fn uniform_count(&self, key: &str) -> Result<Option<u64>> {
        let expected = "a whole number, the same for all blocks";
        self.typed(key, expected, |field, bytes| match field.elements {
            None => whole(self.bytes(), field),
            Some(0) => None,
            Some(_) => {
                let mut values =
                    bytes.chunks(field.ty.size()? as usize).map(|b| integer(field.ty, b));
                let first = values.next()??;
                values.all(|value| value == Some(first)).then(|| first.try_into().ok())?
            }
        })
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        self.typed(key, "a finite number", |field, b| {
            let value = match (field.elements, field.ty) {
                (None, FieldType::F32) => shortest(f32::from_le_bytes(b.try_into().ok()?)),
                (None, FieldType::F64) => f64::from_le_bytes(b.try_into().ok()?),
                (None, ty) => integer(ty, b)? as f64,
                (Some(_), _) => return None,
            };
            value.is_finite().then_some(value)
        })
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "true or false", |field, bytes| {
            let is_flag = field.ty == FieldType::Bool && field.elements.is_none();
            is_flag.then(|| bytes.first().is_some_and(|byte| *byte != 0))
        })
    }

    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        self.typed(key, "a text", |field, bytes| {
            let is_text = field.ty == FieldType::Text && field.elements.is_none();
            // The length comes first.
            is_text.then(|| std::str::from_utf8(bytes.get(8..)?).ok())?
        })
    }

    /// A list of texts.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<&str>>> {
        self.typed(key, "a list of texts in UTF-8", |field, mut bytes| {
            let count = field.elements.filter(|_| field.ty == FieldType::Text)?;
            // Every text takes at least the 8 bytes of its length.
            let mut texts = Vec::with_capacity(count);
            for _ in 0..count {
                let (length, rest) = bytes.split_first_chunk()?;
                let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
                let (text, rest) = rest.split_at_checked(length)?;
                texts.push(std::str::from_utf8(text).ok()?);
                bytes = rest;
            }
            Some(texts)
        })
    }

    /// A list of integers of 32 bits.
    pub fn integers(&self, key: &str) -> Result<Option<Vec<i32>>> {
        self.typed(key, "a list of integers", |field, bytes| {
            field.elements?;
            let size = field.ty.size()? as usize;
            let values = bytes.chunks(size).map(|b| integer(field.ty, b)?.try_into().ok());
            values.collect()
        })
    }

    /// A list of float32.
    pub fn numbers(&self, key: &str) -> Result<Option<Vec<f32>>> {
        self.typed(key, "a list of float32", |field, bytes| {
            let is_list = field.elements.is_some() && field.ty == FieldType::F32;
            let value = |b: &[u8]| f32::from_le_bytes(b.try_into().expect("four bytes"));
            is_list.then(|| bytes.chunks_exact(4).map(value).collect())
        })
    }
}

/// The decimal number that was rounded to `x`: 1e-5, and not 9.999999747e-6.
pub(crate) fn shortest(x: f32) -> f64 {
    x.to_string().parse().unwrap_or_else(|_| f64::from(x))
}
