//! Where an output may be placed: not in its input, and not over files that slicegpt did not write.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::error::{OutputError, Result};
use super::parts::{is_part, is_whole};
use super::temporary::is_inside;
use crate::leftovers::is_aside;

/// Whether `path` is `directory` or inside it. Neither needs to exist.
///
/// # Errors
///
/// If the current directory is not known.
pub fn lies_in(path: &Path, directory: &Path) -> Result<bool> {
    Ok(resolve(path)?.starts_with(resolve(directory)?))
}

/// `path` without `.`, `..` and links. The end of the path does not need to exist.
pub(super) fn resolve(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(OutputError::io(path))?;
    let mut resolved = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                resolved.pop();
            }
            other => resolved.push(other),
        }
        // A link may lead anywhere, and a `..` after it starts from its target.
        if let Ok(real) = resolved.canonicalize() {
            resolved = real;
        }
    }
    Ok(resolved)
}

/// Refuses an output that is the input, contains it, or is inside it.
pub(super) fn check_apart(out: &Path, input: Option<&Path>) -> Result<()> {
    if let Some(input) = input {
        let input = input.canonicalize().map_err(OutputError::io(input))?;
        let resolved = resolve(out)?;
        if resolved.starts_with(&input) || input.starts_with(&resolved) {
            return Err(OutputError::IsInput(out.into()));
        }
    }
    Ok(())
}

/// Refuses to replace anything but a file, such as a directory, a device or a pipe.
pub(super) fn check_is_file(out: &Path) -> Result<()> {
    match out.metadata() {
        Ok(there) if there.is_dir() => Err(OutputError::IsDirectory(out.into())),
        Ok(there) if !there.is_file() => Err(OutputError::IsNoFile(out.into())),
        _ => Ok(()),
    }
}

/// Refuses an output directory that may not be replaced.
pub(super) fn check_free(out: &Path, force: bool) -> Result<()> {
    let Ok(metadata) = out.symlink_metadata() else { return Ok(()) };
    if !metadata.is_dir() {
        return Err(OutputError::IsFile(out.into()));
    }
    let entries = fs::read_dir(out).map_err(OutputError::io(out))?;
    let empty = entries.flatten().all(|entry| stays(&entry.file_name().to_string_lossy()));
    match (empty, force) {
        (true, _) => Ok(()),
        (false, false) => Err(OutputError::Exists(out.into())),
        (false, true) if !is_whole(out) => {
            Err(OutputError::IsForeign(out.into(), "config.json is missing".into()))
        }
        (false, true) => match foreign(out)? {
            Some(name) => Err(OutputError::IsForeign(out.into(), format!("it contains {name}"))),
            None => Ok(()),
        },
    }
}

/// What systems put into directories that are empty otherwise: at a mount point, and where a
/// person looked at them.
const OF_SYSTEMS: [&str; 3] = ["lost+found", ".snapshot", ".DS_Store"];

/// Whether an entry of an output stays where it is and says nothing about the output: a directory
/// of our own, for the time of writing, or what a system puts there.
pub(super) fn stays(name: &str) -> bool {
    is_inside(name) || is_aside(name) || OF_SYSTEMS.contains(&name)
}

/// The first entry of `directory` that is not part of a checkpoint that slicegpt writes.
fn foreign(directory: &Path) -> Result<Option<String>> {
    let io = || OutputError::io(directory);
    for entry in fs::read_dir(directory).map_err(io())? {
        let entry = entry.map_err(io())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if stays(&name) {
            continue;
        }
        if !entry.file_type().map_err(io())?.is_file() || !is_part(&name) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
