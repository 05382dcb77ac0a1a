//! The files of a checkpoint that slicing does not touch.

use std::path::Path;

use super::error::{OutputError, Result};

/// How the names of tokenizer, generation and licence files begin, in lower case.
const COMPANIONS: &[&str] = &[
    "tokenizer",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.",
    "merges.txt",
    "tekken.json",
    "chat_template.",
    "generation_config.json",
    "license",
    "notice",
    "use_policy",
];

/// Whether a file of that name belongs to a model beside its weights and config.
pub fn is_companion(name: &str) -> bool {
    let name = name.to_lowercase();
    COMPANIONS.iter().any(|start| name.starts_with(start))
}

/// Copies the tokenizer, generation and licence files of checkpoint `from` that exist to `to`.
///
/// # Errors
///
/// If a file cannot be read or written.
pub fn copy_companions(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).map_err(OutputError::io(from))? {
        let source = entry.map_err(OutputError::io(from))?.path();
        let Some(name) = source.file_name() else { continue };
        if source.is_file() && is_companion(&name.to_string_lossy()) {
            // Contents, not permissions: a read-only download must not make a read-only output.
            let bytes = std::fs::read(&source).map_err(OutputError::io(&source))?;
            let target = to.join(name);
            std::fs::write(&target, bytes).map_err(OutputError::io(&target))?;
        }
    }
    Ok(())
}
