//! [`Cache`]: the folder of one model in the cache, as `huggingface_hub` lays it out.
//!
//! ```text
//! models--org--name/refs/main                        last known commit of a revision
//!                  /blobs/<digest>                   contents, shared by all commits
//!                  /blobs/<digest>.incomplete        an unfinished download
//!                  /snapshots/<commit>/config.json   links to blobs
//!                  /.slicegpt/<commit>/*.header      ours: size and header of a file
//! .locks/models--org--name/<digest>.lock             held while a blob is written
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::{CacheRepo, Repo};

use crate::ModelId;
use crate::error::{HubError, Result};
use crate::observer::DownloadObserver;

/// Suffix of the names of stored headers.
const HEADER: &str = ".header";

pub(crate) struct Cache {
    repo: CacheRepo,
    folder: PathBuf,
    locks: PathBuf,
}

impl Cache {
    /// The folder of `id` in the cache `root`, which does not need to exist.
    pub fn new(root: &Path, id: &ModelId) -> Self {
        let repo = Repo::model(id.name().into());
        let folder = root.join(repo.folder_name());
        let locks = root.join(".locks").join(repo.folder_name());
        Self { repo: hf_hub::Cache::new(root.into()).repo(repo), folder, locks }
    }

    /// Path of the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The directory of a commit.
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.repo.pointer_path(commit)
    }

    /// Path of the contents with this digest.
    pub fn blob(&self, digest: &str) -> PathBuf {
        self.repo.blob_path(digest)
    }

    /// Path of the unfinished download of these contents.
    pub fn incomplete(&self, digest: &str) -> PathBuf {
        self.repo.blob_path(&format!("{digest}.incomplete"))
    }

    /// The commit of `revision`, if the cache has a snapshot of it.
    pub fn commit(&self, revision: &str) -> Option<String> {
        let is_there = |commit: &String| is_name(commit) && self.snapshot(commit).is_dir();
        let seen = || fs::read_to_string(self.reference(revision)).ok();
        Some(revision.to_string())
            .filter(|revision| is_commit(revision) && is_there(revision))
            .or_else(|| seen().map(|commit| commit.trim().to_string()).filter(is_there))
    }

    /// Records that `revision` is at `commit`.
    pub fn refer(&self, revision: &str, commit: &str) -> Result<()> {
        let path = self.reference(revision);
        if revision == commit || fs::read_to_string(&path).is_ok_and(|old| old == commit) {
            return Ok(());
        }
        self.keep(&path, commit.as_bytes())
    }

    /// Path of the stored header of a file.
    pub fn header(&self, commit: &str, name: &str) -> PathBuf {
        self.folder.join(".slicegpt").join(commit).join(format!("{name}{HEADER}"))
    }

    /// The files whose headers are stored.
    pub fn headers(&self, commit: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder.join(".slicegpt").join(commit));
        let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.filter_map(|name| Some(name.to_str()?.strip_suffix(HEADER)?.to_string())).collect()
    }

    /// Writes a small file, whole or not at all.
    pub fn keep(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let parent = path.parent().unwrap_or(path);
        fs::create_dir_all(parent).map_err(HubError::io(parent))?;
        let mut builder = tempfile::Builder::new();
        // Other users may share the cache: the umask decides whether they can read the file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(parent).map_err(HubError::io(parent))?;
        file.write_all(bytes).map_err(HubError::io(path))?;
        file.persist(path).map_err(|error| HubError::io(path)(error.error))?;
        Ok(())
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.folder.join("refs").join(revision)
    }

    /// Locks the blob `digest` against other writers, `huggingface_hub` included, until the
    /// returned file is dropped. Waits for the lock.
    pub fn lock(&self, digest: &str, observer: &mut dyn DownloadObserver) -> Result<File> {
        fs::create_dir_all(&self.locks).map_err(HubError::io(&self.locks))?;
        let path = self.locks.join(format!("{digest}.lock"));
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(HubError::io(&path))?;
        let mut waiting = false;
        loop {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    if !std::mem::replace(&mut waiting, true) {
                        observer
                            .warn(&format!("waiting for another download ({})", path.display()));
                    }
                    pause(Duration::from_millis(100), observer)?;
                }
                // A file system without locks.
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                    return Ok(file);
                }
                Err(TryLockError::Error(error)) => return Err(HubError::io(&path)(error)),
                Ok(()) => return Ok(file),
            }
        }
    }

    /// Links the blob `digest` as `name` into the snapshot of `commit`.
    pub fn link(&self, digest: &str, commit: &str, name: &str) -> Result<()> {
        let snapshot = self.snapshot(commit);
        fs::create_dir_all(&snapshot).map_err(HubError::io(&snapshot))?;
        let path = snapshot.join(name);
        if path.is_file() {
            return Ok(());
        }
        // A link to a blob that was deleted.
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).map_err(HubError::io(&path))?;
        }
        let target: PathBuf = ["..", "..", "blobs", digest].iter().collect();
        match symlink(&target, &path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            // Not every system has symbolic links, or lets every user create them.
            Err(_) => fs::hard_link(self.blob(digest), &path).map_err(HubError::io(&path)),
            Ok(()) => Ok(()),
        }
    }
}

/// Whether `text` is a full commit hash, not a branch or an abbreviated hash.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit())
}

/// Whether `text`, which comes from a server, is safe as a file name.
pub(crate) fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=200).contains(&text.len()) && text.chars().all(good) && !text.starts_with('.')
}

/// Waits for `time`, or until the observer interrupts.
pub(crate) fn pause(time: Duration, observer: &mut dyn DownloadObserver) -> Result<()> {
    const STEP: Duration = Duration::from_millis(50);
    let mut left = time;
    while !left.is_zero() {
        if let ControlFlow::Break(()) = observer.advance(0) {
            return Err(HubError::Interrupted);
        }
        std::thread::sleep(left.min(STEP));
        left = left.saturating_sub(STEP);
    }
    Ok(())
}

#[cfg(unix)]
fn symlink(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn symlink(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn revisions_are_recorded_and_found() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::new(root.path(), &ModelId::parse("org/name").unwrap());
        assert_eq!(cache.folder(), root.path().join("models--org--name"));
        cache.refer("refs/pr/1", COMMIT).unwrap();
        cache.refer(COMMIT, COMMIT).unwrap();
        assert!(!cache.folder().join("refs").join(COMMIT).exists());
        // A reference without a snapshot.
        assert_eq!(cache.commit("refs/pr/1"), None);
        assert_eq!(cache.commit(COMMIT), None);
        fs::create_dir_all(cache.snapshot(COMMIT)).unwrap();
        assert_eq!(cache.commit("refs/pr/1").as_deref(), Some(COMMIT));
        assert_eq!(cache.commit(COMMIT).as_deref(), Some(COMMIT));
        assert_eq!(cache.commit("main"), None);
        // Damaged references.
        for damaged in ["", "../..", "a/b"] {
            fs::write(cache.folder().join("refs/main"), damaged).unwrap();
            assert_eq!(cache.commit("main"), None, "{damaged}");
        }
    }

    #[test]
    fn links_are_relative_and_replaced_where_the_blob_was_deleted() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::new(root.path(), &ModelId::parse("org/name").unwrap());
        fs::create_dir_all(cache.blob("x").parent().unwrap()).unwrap();
        for digest in ["gone", "here"] {
            cache.link(digest, COMMIT, "config.json").unwrap();
            fs::write(cache.blob("here"), "{}").unwrap();
        }
        let path = cache.snapshot(COMMIT).join("config.json");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}");
        #[cfg(unix)]
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("../../blobs/here"));
    }
}
