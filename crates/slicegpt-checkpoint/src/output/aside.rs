//! [`Aside`]: a directory that keeps what an output replaces until the new output is in place, and
//! the recovery of what a process that was killed meanwhile left.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::parts::{is_last, is_part, is_whole};
use super::place::stays;
use super::temporary::{is_temporary, is_unused, lock};
use crate::leftovers::{MOVING, REPLACED, is_aside};

/// A directory inside the output with the files that are to be replaced.
pub(super) struct Aside {
    path: PathBuf,
    _lock: Option<File>,
}

impl Aside {
    /// Moves everything but directories of our own out of the way. On an error everything is moved
    /// back.
    pub fn of(output: &Path) -> io::Result<Option<Self>> {
        let old = names(output)?;
        if old.is_empty() {
            return Ok(None);
        }
        let path = tempfile::Builder::new().prefix(MOVING).tempdir_in(output)?.keep();
        let lock = lock(&path);
        let mut aside = Self { path, _lock: lock };
        for name in &old {
            if let Err(error) = fs::rename(output.join(name), aside.path.join(name)) {
                let _ = aside.put_back(output);
                return Err(error);
            }
        }
        let random = aside.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let whole = output.join(random.replacen(MOVING, REPLACED, 1));
        if let Err(error) = fs::rename(&aside.path, &whole) {
            let _ = aside.put_back(output);
            return Err(error);
        }
        aside.path = whole;
        Ok(Some(aside))
    }

    /// Moves what is in it back to the output.
    pub fn put_back(self, output: &Path) -> io::Result<()> {
        move_back(&self.path, output)
    }

    /// Removes it.
    pub fn remove(self) {
        // The new output is in place, and the next run removes what is left of the old one.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Makes the directory `output` what it was before a process was killed while it replaced its
/// files, or what it was about to be if only removing the old ones was missing.
pub(super) fn recover(output: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(output) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        if !is_aside(&name) || !entry.file_type()?.is_dir() || !is_unused(&path) {
            continue;
        }
        if name.starts_with(MOVING) {
            move_back(&path, output)?;
        } else if is_whole(output) {
            fs::remove_dir_all(&path)?;
        } else {
            // All old files were moved, so that these are new ones, and not all of them.
            for name in names(output)? {
                if is_part(&name.to_string_lossy()) {
                    fs::remove_file(output.join(name))?;
                }
            }
            let moving = output.join(name.replacen(REPLACED, MOVING, 1));
            fs::rename(&path, &moving)?;
            move_back(&moving, output)?;
        }
    }
    Ok(())
}

/// Puts a directory that was moved to `parent` back in the place `output`, if a process was killed
/// before it put the new one there, and removes it otherwise.
pub(super) fn recover_beside(parent: &Path, output: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(parent) else { return Ok(()) };
    let prefix = beside(output);
    for entry in entries {
        let entry = entry?;
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        if !is_temporary(&name, &prefix) || !entry.file_type()?.is_dir() || !is_unused(&path) {
            continue;
        }
        let old = path.join(OLD);
        if old.exists() && output.symlink_metadata().is_err() {
            fs::rename(&old, output)?;
        }
        fs::remove_dir_all(&path)?;
    }
    Ok(())
}

/// The name of the old output in a directory beside it.
pub(super) const OLD: &str = "old";

/// The beginning of the name of a directory beside `output` that holds the old one.
pub(super) fn beside(output: &Path) -> String {
    format!(".{}.replaced-", output.file_name().unwrap_or_default().to_string_lossy())
}

/// Moves everything in `aside` to `output`, over what is there, `config.json` last, and removes
/// `aside`.
fn move_back(aside: &Path, output: &Path) -> io::Result<()> {
    let mut names = all_names(aside)?;
    names.sort_by_key(|name| is_last(&name.to_string_lossy()));
    for name in names {
        fs::rename(aside.join(&name), output.join(&name))?;
    }
    fs::remove_dir(aside)
}

/// The names of what is in an output directory, except directories of our own.
fn names(output: &Path) -> io::Result<Vec<OsString>> {
    let mut names = all_names(output)?;
    names.retain(|name| !stays(&name.to_string_lossy()));
    Ok(names)
}

fn all_names(directory: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leftovers::is_interrupted;

    /// A directory with these files, of these contents.
    fn directory(path: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(path).unwrap();
        files.iter().for_each(|(name, text)| fs::write(path.join(name), text).unwrap());
    }

    fn contents(path: &Path) -> Vec<(String, String)> {
        let mut found: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let text = fs::read_to_string(entry.path()).unwrap_or_else(|_| "directory".into());
                (entry.file_name().to_string_lossy().into_owned(), text)
            })
            .collect();
        found.sort();
        found
    }

    fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
    }

    const OLD_FILES: [(&str, &str); 3] =
        [("config.json", "old"), ("model.safetensors", "old"), ("vocab.json", "old")];

    /// A process may be killed after any of the renames.
    #[test]
    fn a_replacement_that_was_killed_is_undone_or_finished() {
        let [config, model, vocab] = OLD_FILES;
        for (there, aside, moved, expected) in [
            (&[config][..], ".slicegpt-moving-aB3dE6", &[model, vocab][..], &OLD_FILES[..]),
            (&[], ".slicegpt-moving-aB3dE6", &OLD_FILES[..], &OLD_FILES[..]),
            (&[], ".slicegpt-replaced-aB3dE6", &OLD_FILES[..], &OLD_FILES[..]),
            (
                &[("model.safetensors", "new"), ("README.md", "new")],
                ".slicegpt-replaced-aB3dE6",
                &OLD_FILES[..],
                &OLD_FILES[..],
            ),
            // While the old files were put back.
            (
                &[("model.safetensors", "old")],
                ".slicegpt-moving-aB3dE6",
                &[config, vocab],
                &OLD_FILES[..],
            ),
            // The new output is whole.
            (
                &[("config.json", "new"), ("model.safetensors", "new")],
                ".slicegpt-replaced-aB3dE6",
                &OLD_FILES[..],
                &[("config.json", "new"), ("model.safetensors", "new")],
            ),
        ] {
            let output = tempfile::tempdir().unwrap();
            directory(output.path(), there);
            directory(&output.path().join(aside), moved);
            assert!(is_interrupted(output.path()));
            recover(output.path()).unwrap();
            assert_eq!(contents(output.path()), owned(expected), "{there:?} {aside}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_replacement_that_still_runs_is_left_alone() {
        let output = tempfile::tempdir().unwrap();
        directory(output.path(), &OLD_FILES);
        let aside = Aside::of(output.path()).unwrap().unwrap();
        recover(output.path()).unwrap();
        assert_eq!(contents(output.path()).len(), 1);
        aside.put_back(output.path()).unwrap();
        assert_eq!(contents(output.path()), owned(&OLD_FILES));
    }

    #[test]
    fn a_directory_that_was_moved_is_put_back() {
        let parent = tempfile::tempdir().unwrap();
        let output = parent.path().join("out");
        let aside = parent.path().join(".out.replaced-aB3dE6");
        directory(&aside.join("old"), &OLD_FILES);
        recover_beside(parent.path(), &output).unwrap();
        assert_eq!(contents(&output), owned(&OLD_FILES));
        assert!(!aside.exists());
        // The new one is in place.
        directory(&aside.join("old"), &[("config.json", "older")]);
        recover_beside(parent.path(), &output).unwrap();
        assert_eq!(contents(&output), owned(&OLD_FILES));
        assert!(!aside.exists());
    }
}
