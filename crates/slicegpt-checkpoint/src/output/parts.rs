//! [`is_part`]: the names of the files of a checkpoint or an adapter that slicegpt writes.

use std::path::Path;

use slicegpt_provenance::{Manifest, Record, TRAINING_RECORD};

use super::copy::is_companion;

/// The file without which a directory is not a checkpoint, and the one without which it is not an
/// adapter. It is put in place last.
const LAST: [&str; 2] = ["config.json", ADAPTER_CONFIG];

/// The name of the config of an adapter.
const ADAPTER_CONFIG: &str = "adapter_config.json";

/// Whether a file of this name is put in place last.
pub(super) fn is_last(name: &str) -> bool {
    LAST.contains(&name)
}

/// Whether `directory` has a file that is put in place last.
pub(super) fn is_whole(directory: &Path) -> bool {
    LAST.iter().any(|name| directory.join(name).is_file())
}

/// Whether slicegpt writes a file of this name into a checkpoint or an adapter.
pub(super) fn is_part(name: &str) -> bool {
    let weights = name.starts_with("model")
        && (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json"));
    let amended = ["README.md", Record::FILE];
    let known = ["config.json", Manifest::FILE, TRAINING_RECORD].contains(&name)
        || [ADAPTER_CONFIG, "adapter_model.safetensors"].contains(&name)
        || amended.contains(&name)
        // The code for a model that transformers cannot load by itself.
        || name.ends_with("_slicegpt.py");
    // What a process that was killed left while it rewrote one of these.
    let partial = name.strip_prefix('.').and_then(|name| name.strip_suffix(".partial"));
    weights || known || partial.is_some_and(|name| amended.contains(&name)) || is_companion(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_checkpoint_are_known() {
        for name in [
            "config.json",
            "adapter_config.json",
            "adapter_model.safetensors",
            "README.md",
            ".README.md.partial",
            ".slicegpt-report.json.partial",
            "slicegpt-finetune.json",
            "model.safetensors",
            "model-00001-of-00002.safetensors",
            "tokenizer.json",
            "LICENSE",
            "modeling_slicegpt.py",
        ] {
            assert!(is_part(name), "{name}");
        }
        for name in ["thesis.tex", ".config.json.partial", ".partial", ".bashrc", "notes.md"] {
            assert!(!is_part(name), "{name}");
        }
    }
}
