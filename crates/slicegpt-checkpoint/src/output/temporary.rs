//! [`Temporary`]: the directory that an output is written to before it is put in its place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;

/// The end of the names of temporary directories, before their random letters.
const MARK: &str = ".partial-";

/// The directories of this process whose outputs are not complete. Some may be gone.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes the outputs that this process has begun and not completed, for one that ends without
/// unwinding, as it does without memory. It waits for nothing.
pub fn remove_unfinished() {
    let Ok(unfinished) = UNFINISHED.try_lock() else { return };
    for path in unfinished.iter() {
        let _ = fs::remove_dir_all(path);
    }
}

fn set_unfinished(path: &Path, unfinished: bool) {
    let mut all = UNFINISHED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    all.retain(|other| other != path);
    if unfinished {
        all.push(path.to_path_buf());
    }
}

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
        let prefix = prefix(name);
        remove_left(folder, &prefix);
        let directory = tempfile::Builder::new().prefix(&prefix).tempdir_in(folder)?;
        let lock = lock(directory.path());
        set_unfinished(directory.path(), true);
        Ok(Self { directory, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Lets the directory be, under a name that no later run removes, and returns the name.
    pub fn keep(self) -> PathBuf {
        let path = self.directory.keep();
        set_unfinished(&path, false);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let complete = path.with_file_name(name.replacen(MARK, ".complete-", 1));
        match fs::rename(&path, &complete) {
            Ok(()) => complete,
            Err(_) => path,
        }
    }

    /// Forgets a directory that was renamed.
    pub fn forget(self) {
        set_unfinished(&self.directory.keep(), false);
    }
}

/// Whether an entry of an output directory is a temporary directory inside it.
pub(super) fn is_inside(name: &str) -> bool {
    name.starts_with(MARK)
}

/// Removes what killed processes left in `folder` for an output called `name`.
pub(super) fn remove_left_for(folder: &Path, name: &str) {
    remove_left(folder, &prefix(Some(name)));
}

fn prefix(name: Option<&str>) -> String {
    match name {
        Some(name) => format!(".{name}{MARK}"),
        None => MARK.to_string(),
    }
}

/// Removes the directories of `folder` with this `prefix` whose processes ended.
fn remove_left(folder: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let ours = is_temporary(&entry.file_name().to_string_lossy(), prefix);
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if ours && is_directory && is_unused(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a name is `prefix` and random letters, as tempfile gives them.
pub(super) fn is_temporary(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|random| {
        random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Whether no process has locked a directory. Where directories cannot be opened or locked, all
/// are used.
pub(super) fn is_unused(directory: &Path) -> bool {
    lock(directory).is_some()
}

/// Locks a directory while the file is open.
pub(super) fn lock(directory: &Path) -> Option<File> {
    File::open(directory).ok().filter(|file| file.try_lock().is_ok())
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
