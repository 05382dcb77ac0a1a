//! Waits until files and directories are on the disk, so that a power cut leaves what was there
//! before or what is there now.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Waits until the contents of a file are on the disk.
pub(super) fn sync_file(path: &Path) -> io::Result<()> {
    // Some systems refuse to sync a file that is open for reading only.
    File::options().read(true).write(true).open(path)?.sync_all()
}

/// Waits until the names in a directory are on the disk.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    match File::open(path)?.sync_all() {
        // Some file systems do not know how to.
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => return Err(error),
        _ => {}
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Waits until the files in a directory, and their names, are on the disk.
pub(super) fn sync_files_in(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            sync_file(&entry.path())?;
        }
    }
    sync_directory(directory)
}
