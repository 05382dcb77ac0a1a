//! The files of a checkpoint that slicing does not touch.

use std::path::Path;

use crate::error::{CheckpointError, Result};

/// Tokenizer, generation and licence files, as the Hub names them.
const COMPANIONS: &[&str] = &[
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "NOTICE",
    "USE_POLICY.md",
];

/// Copies the tokenizer, generation and licence files of checkpoint `from` that exist to `to`.
///
/// # Errors
///
/// If a file cannot be read or written.
pub fn copy_companions(from: &Path, to: &Path) -> Result<()> {
    for name in COMPANIONS {
        let source = from.join(name);
        if source.is_file() {
            // Contents, not permissions: a read-only download must not make a read-only output.
            let bytes = std::fs::read(&source).map_err(CheckpointError::io(&source))?;
            let target = to.join(name);
            std::fs::write(&target, bytes).map_err(CheckpointError::io(&target))?;
        }
    }
    Ok(())
}
