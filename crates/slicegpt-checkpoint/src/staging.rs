//! [`Staging`]: an output directory that appears by rename, or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{CheckpointError, Result};

/// A temporary directory beside the output, which becomes the output on [`Staging::commit`] and
/// vanishes when dropped before.
pub struct Staging {
    temporary: TempDir,
    out: PathBuf,
}

impl Staging {
    /// Checks that `out` may be written (with `force`, that the checkpoint it holds may be
    /// replaced) and that it does not touch `input`, then makes the temporary directory.
    ///
    /// # Errors
    ///
    /// If the output exists and may not be replaced, is or holds the input, or its parent cannot
    /// be written.
    pub fn new(out: &Path, input: Option<&Path>, force: bool) -> Result<Self> {
        check(out, input, force)?;
        Self::beside(out)
    }

    /// A temporary directory beside `out`, on the same disk, without any check of what is there:
    /// for a caller that renames a single file out of it.
    ///
    /// # Errors
    ///
    /// If the parent of `out` cannot be written.
    pub fn beside(out: &Path) -> Result<Self> {
        let absolute = std::path::absolute(out).map_err(CheckpointError::io(out))?;
        let parent = absolute.parent().unwrap_or(&absolute).to_path_buf();
        fs::create_dir_all(&parent).map_err(CheckpointError::io(&parent))?;
        let name = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let temporary = tempfile::Builder::new()
            .prefix(&format!(".{name}.partial-"))
            .tempdir_in(&parent)
            .map_err(CheckpointError::io(&parent))?;
        Ok(Self { temporary, out: absolute })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Renames the temporary directory to the output. What was there before is removed only after
    /// that succeeded.
    ///
    /// # Errors
    ///
    /// If a rename fails; what was there before is then still there.
    pub fn commit(self) -> Result<()> {
        let Self { temporary, out } = self;
        open_to_others(temporary.path())?;
        let old = match out.symlink_metadata() {
            Ok(_) => {
                let parent = out.parent().unwrap_or(&out);
                let aside = tempfile::Builder::new()
                    .prefix(".slicegpt-replaced-")
                    .tempdir_in(parent)
                    .map_err(CheckpointError::io(parent))?;
                fs::rename(&out, aside.path().join("old")).map_err(CheckpointError::io(&out))?;
                Some(aside)
            }
            Err(_) => None,
        };
        if let Err(source) = fs::rename(temporary.path(), &out) {
            if let Some(aside) = old {
                // Whatever goes wrong now, the user's directory is not deleted.
                let aside = aside.keep();
                let _ = fs::rename(aside.join("old"), &out).and_then(|()| fs::remove_dir(&aside));
            }
            return Err(CheckpointError::Io { path: out, source });
        }
        // Renamed away: there is nothing left to remove.
        let _ = temporary.keep();
        Ok(())
    }
}

/// Temporary directories are made for the owner alone; a checkpoint is as readable as its files.
fn open_to_others(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What `mkdir` would have given: read it off a directory made the ordinary way.
        let probe = path.join(".mode");
        let mode = fs::create_dir(&probe)
            .and_then(|()| fs::metadata(&probe))
            .map(|metadata| metadata.permissions().mode())
            .map_err(CheckpointError::io(&probe))?;
        fs::remove_dir(&probe).map_err(CheckpointError::io(&probe))?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(CheckpointError::io(path))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

fn check(out: &Path, input: Option<&Path>, force: bool) -> Result<()> {
    if let Some(input) = input {
        let input = input.canonicalize().map_err(CheckpointError::io(input))?;
        let absolute = std::path::absolute(out).map_err(CheckpointError::io(out))?;
        // The output may not exist yet: compare from its nearest ancestor that does.
        let (existing, rest) = absolute
            .ancestors()
            .find_map(|a| Some((a.canonicalize().ok()?, absolute.strip_prefix(a).ok()?)))
            .unwrap_or_else(|| (absolute.clone(), Path::new("")));
        let resolved = existing.join(rest);
        if resolved.starts_with(&input) || input.starts_with(&resolved) {
            return Err(CheckpointError::OutputIsInput(out.into()));
        }
    }
    let Ok(metadata) = out.symlink_metadata() else { return Ok(()) };
    if !metadata.is_dir() {
        return Err(CheckpointError::OutputIsFile(out.into()));
    }
    let empty = fs::read_dir(out).map_err(CheckpointError::io(out))?.next().is_none();
    match (empty, force) {
        (true, _) => Ok(()),
        (false, false) => Err(CheckpointError::OutputExists(out.into())),
        (false, true) if out.join("config.json").is_file() => Ok(()),
        (false, true) => Err(CheckpointError::OutputIsForeign(out.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent() -> (TempDir, PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("out");
        (parent, out)
    }

    fn entries(path: &Path) -> usize {
        fs::read_dir(path).unwrap().count()
    }

    #[test]
    fn dropped_it_leaves_nothing() {
        let (parent, out) = parent();
        let staging = Staging::new(&out, None, false).unwrap();
        fs::write(staging.path().join("config.json"), "{}").unwrap();
        drop(staging);
        assert_eq!(entries(parent.path()), 0);
    }

    #[test]
    fn committed_it_replaces_a_checkpoint_only() {
        let (parent, out) = parent();
        for round in ["1", "2"] {
            let staging = Staging::new(&out, None, true).unwrap();
            fs::write(staging.path().join("config.json"), round).unwrap();
            staging.commit().unwrap();
            assert_eq!(fs::read_to_string(out.join("config.json")).unwrap(), round);
            assert_eq!(entries(parent.path()), 1);
        }
        assert!(matches!(Staging::new(&out, None, false), Err(CheckpointError::OutputExists(_))));
        fs::remove_file(out.join("config.json")).unwrap();
        fs::write(out.join("thesis.tex"), "").unwrap();
        assert!(matches!(Staging::new(&out, None, true), Err(CheckpointError::OutputIsForeign(_))));
    }

    #[test]
    fn the_input_is_never_the_output() {
        let (parent, input) = parent();
        fs::create_dir(&input).unwrap();
        for out in [input.clone(), input.join("sliced"), parent.path().into(), input.join("../out")] {
            let refused = Staging::new(&out, Some(&input), true);
            assert!(matches!(refused, Err(CheckpointError::OutputIsInput(_))), "{}", out.display());
        }
    }
}
