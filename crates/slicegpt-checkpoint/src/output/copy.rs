//! Files of a checkpoint that slicing does not change: tokenizer, generation config, licence.

use std::path::Path;

use super::error::{OutputError, Result};

/// Prefixes of the names of the files of a tokenizer, in lower case.
const TOKENIZER: &[&str] = &[
    "tokenizer",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.",
    "merges.txt",
    "tekken.json",
    "chat_template.",
];

/// Prefixes of the names of generation and licence files, in lower case.
const OTHERS: &[&str] = &["generation_config.json", "license", "notice", "use_policy"];

/// Whether a file of this name belongs to a tokenizer, chat templates included.
pub fn is_tokenizer_file(name: &str) -> bool {
    TOKENIZER.iter().any(|start| name.starts_with(start))
}

/// Whether a file of this name belongs to a model in addition to its weights and config.
pub fn is_companion(name: &str) -> bool {
    let name = name.to_lowercase();
    is_tokenizer_file(&name) || OTHERS.iter().any(|start| name.starts_with(start))
}

/// Copies the tokenizer, generation and licence files of checkpoint `from` to `to`.
///
/// # Errors
///
/// If a file cannot be read or written.
pub fn copy_companions(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).map_err(OutputError::io(from))? {
        let source = entry.map_err(OutputError::io(from))?.path();
        let Some(name) = source.file_name() else { continue };
        if source.is_file() && is_companion(&name.to_string_lossy()) {
            // Contents only: a read-only download must not make the output read-only.
            let most = slicegpt_limits::MAX_TOKENIZER;
            let bytes = slicegpt_limits::read(&source, most).map_err(OutputError::io(&source))?;
            let target = to.join(name);
            std::fs::write(&target, bytes).map_err(OutputError::io(&target))?;
        }
    }
    Ok(())
}
