//! [`fill`]: puts files into a directory that is already there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::aside::Aside;
use super::error::{OutputError, Result};
use super::parts::is_last;
use super::sync::sync_directory;

/// Moves what is in `from` to `directory`, around it, and what was there before out of the way. On
/// an error everything is moved back; if the process is killed, the next one does so
/// ([`recover`](super::aside::recover)).
///
/// `config.json` comes last: without it, a directory is not a checkpoint. Of an adapter,
/// `adapter_config.json` does.
pub(super) fn fill(directory: &Path, from: &Path) -> Result<()> {
    let io = || OutputError::io(directory);
    let mut new: Vec<_> = fs::read_dir(from)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.file_name())).collect())
        .map_err(OutputError::io(from))?;
    new.sort_by_key(|name| is_last(&name.to_string_lossy()));
    let aside = Aside::of(directory).map_err(io())?;
    let moves: Vec<_> = new.iter().map(|name| (from.join(name), directory.join(name))).collect();
    match sync_directory(directory).and_then(|()| move_all(&moves)) {
        Ok(()) => {
            sync_directory(directory).map_err(io())?;
            if let Some(aside) = aside {
                aside.remove();
            }
            Ok(())
        }
        Err(error) => {
            if let Some(aside) = aside {
                // Even if this fails, nothing that was there is deleted.
                let _ = aside.put_back(directory);
            }
            Err(io()(error))
        }
    }
}

/// Renames each source to its target, or none of them.
fn move_all(moves: &[(PathBuf, PathBuf)]) -> io::Result<()> {
    for (index, (source, target)) in moves.iter().enumerate() {
        if let Err(error) = fs::rename(source, target) {
            for (source, target) in moves[..index].iter().rev() {
                let _ = fs::rename(target, source);
            }
            return Err(error);
        }
    }
    Ok(())
}
