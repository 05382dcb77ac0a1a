//! [`ProvenanceError`] and [`SizesError`]: why a provenance file was refused.

/// Why a manifest or a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ProvenanceError {
    /// It was written by another version.
    #[error("format {found} is not known to this version (it knows {known}); update slicegpt")]
    Format {
        /// The version in the file.
        found: u64,
        /// The version that this code reads.
        known: u32,
    },
    /// It does not say which version wrote it.
    #[error("`format` is missing")]
    NoFormat,
    /// It is not JSON, or a field is missing or has the wrong type.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// A field of the reference implementation's widths that contradicts the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {said}, but the model has {found}: this file belongs to another model")]
pub struct SizesError {
    /// The field, with the number of the layer where it has one.
    pub field: String,
    /// The value in the file.
    pub said: usize,
    /// The value of the model.
    pub found: usize,
}

/// Reads `value` as `T` if its `format` is `known`.
pub(crate) fn of_format<T: serde::de::DeserializeOwned>(
    value: &serde_json::Value,
    known: u32,
) -> Result<T, ProvenanceError> {
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(found) if found == u64::from(known) => Ok(T::deserialize(value)?),
        Some(found) => Err(ProvenanceError::Format { found, known }),
        None => Err(ProvenanceError::NoFormat),
    }
}
