//! [`Temporary`]: the directory that an output is written to before it is put in its place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The end of the names of temporary directories, before their random letters.
const MARK: &str = ".partial-";

/// A temporary directory that is locked while its process lives.
///
/// A process that is killed removes nothing. The lock tells its directory from that of one that
/// still runs, so the next run to the same output can remove it.
pub(super) struct Temporary {
    directory: TempDir,
    _lock: Option<File>,
}

impl Temporary {
    /// A directory in `folder` for an output called `name`, or inside the output if there is no
    /// name. What killed processes left there for the same output is removed.
    pub fn new(folder: &Path, name: Option<&str>) -> io::Result<Self> {
        let prefix = match name {
            Some(name) => format!(".{name}{MARK}"),
            None => MARK.to_string(),
        };
        remove_left(folder, &prefix);
        let directory = tempfile::Builder::new().prefix(&prefix).tempdir_in(folder)?;
        let lock = File::open(directory.path()).ok().filter(|file| file.try_lock().is_ok());
        Ok(Self { directory, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Lets the directory be, under a name that no later run removes, and returns the name.
    pub fn keep(self) -> PathBuf {
        let path = self.directory.keep();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let complete = path.with_file_name(name.replacen(MARK, ".complete-", 1));
        match fs::rename(&path, &complete) {
            Ok(()) => complete,
            Err(_) => path,
        }
    }

    /// Forgets a directory that was renamed.
    pub fn forget(self) {
        let _ = self.directory.keep();
    }
}

/// Whether an entry of an output directory is a temporary directory inside it.
pub(super) fn is_inside(name: &str) -> bool {
    name.starts_with(MARK)
}

/// Removes the directories of `folder` with this `prefix` whose processes ended.
fn remove_left(folder: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let random = name.strip_prefix(prefix);
        // As tempfile names them.
        let ours = random.is_some_and(|random| {
            random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        // Where directories cannot be opened or locked, nothing is removed.
        if File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let left = [".out.partial-aB3dE6", ".out.partial-notours", ".other.partial-aB3dE6"];
        for name in left {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("model.safetensors"), "").unwrap();
        }
        let running = Temporary::new(folder.path(), Some("out")).unwrap();
        assert_eq!(left.map(|name| folder.path().join(name).exists()), [false, true, true]);
        // That of a process which still runs stays.
        let second = Temporary::new(folder.path(), Some("out")).unwrap();
        assert!(running.path().is_dir() && second.path().is_dir());
        // So does one whose output is complete.
        let kept = second.keep();
        drop(Temporary::new(folder.path(), Some("out")).unwrap());
        assert!(kept.is_dir() && running.path().is_dir());
    }
}
