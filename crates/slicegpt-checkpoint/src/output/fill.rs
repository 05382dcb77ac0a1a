//! [`fill`]: puts files into a directory that is already there.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use super::error::{OutputError, Result};
use super::temporary::is_inside;

/// Moves what is in `from` to `directory`, around it, and what was there before out of the way. On
/// an error everything is moved back.
///
/// `config.json` comes last: without it, a directory is no checkpoint.
pub(super) fn fill(directory: &Path, from: &Path) -> Result<()> {
    let io = || OutputError::io(directory);
    let inside = |name: &OsString| is_inside(&name.to_string_lossy());
    let mut new = names(from)?;
    new.sort_by_key(|name| name == OsStr::new("config.json"));
    let mut old = names(directory)?;
    old.retain(|name| !inside(name));
    let aside = match old.is_empty() {
        true => None,
        false => {
            let prefix = ".slicegpt-replaced-";
            let aside = tempfile::Builder::new().prefix(prefix).tempdir_in(directory);
            Some(aside.map_err(io())?)
        }
    };
    let mut moves: Vec<(PathBuf, PathBuf)> = Vec::new();
    if let Some(aside) = &aside {
        moves.extend(old.iter().map(|name| (directory.join(name), aside.path().join(name))));
    }
    moves.extend(new.iter().map(|name| (from.join(name), directory.join(name))));
    for (index, (source, target)) in moves.iter().enumerate() {
        if let Err(error) = fs::rename(source, target) {
            let back = moves[..index].iter().rev();
            let restored = back.map(|(source, target)| fs::rename(target, source));
            if restored.filter(std::result::Result::is_err).count() > 0 {
                // Even then, nothing that was there is deleted.
                let _ = aside.map(tempfile::TempDir::keep);
            }
            return Err(OutputError::io(target)(error));
        }
    }
    Ok(())
}

/// The names of what is in a directory.
fn names(directory: &Path) -> Result<Vec<OsString>> {
    let entries = fs::read_dir(directory).map_err(OutputError::io(directory))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    names.collect::<std::io::Result<_>>().map_err(OutputError::io(directory))
}
