//! The names of directories with files that an output replaces, and what they say about an output.

use std::path::Path;

/// The beginning of the name of such a directory while files of the output are moved into it.
pub(crate) const MOVING: &str = ".slicegpt-moving-";

/// The beginning of its name when it holds all of them.
pub(crate) const REPLACED: &str = ".slicegpt-replaced-";

/// Whether an entry of an output directory is such a directory.
pub(crate) fn is_aside(name: &str) -> bool {
    name.starts_with(MOVING) || name.starts_with(REPLACED)
}

/// Whether a directory holds files that were moved out of the way and not back.
pub(crate) fn is_interrupted(output: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(output) else { return false };
    entries.flatten().any(|entry| is_aside(&entry.file_name().to_string_lossy()))
}
