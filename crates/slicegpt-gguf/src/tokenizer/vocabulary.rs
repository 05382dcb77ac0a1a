//! [`Vocabulary`]: a tokenizer as metadata.

use crate::Metadata;

/// A tokenizer, as metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary {
    pub(crate) metadata: Metadata,
    pub(crate) notes: Vec<String>,
    /// Whether some tokens consume the spaces after them.
    pub(crate) strips_spaces: bool,
}
