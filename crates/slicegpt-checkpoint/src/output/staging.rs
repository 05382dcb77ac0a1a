//! [`Staging`]: an output directory that appears by rename, or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::error::{OutputError, Result};
use super::place::{check_apart, check_free, check_is_file, lies_in, resolve};

/// A temporary directory beside the output, which becomes the output on [`Staging::commit`] and
/// vanishes when dropped before.
pub struct Staging {
    temporary: Option<TempDir>,
    out: PathBuf,
    /// What may be there when it is put in place.
    may_replace: Replaces,
    /// Directories made on the way, outermost first; removed again if nothing came of it.
    made: Vec<PathBuf>,
}

/// What an output may take the place of: hours may pass until it does, and others write too.
#[derive(Clone, Copy)]
enum Replaces {
    /// Nothing but an empty directory; or a checkpoint, if that was wished.
    Directory { force: bool },
    /// No file; or that which was there.
    File { was_there: bool },
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
        check_apart(out, input)?;
        check_free(out, force)?;
        Self::beside(out, Replaces::Directory { force })
    }

    /// The same for a single file, to be renamed out of the temporary directory by
    /// [`Staging::commit_file`]. A file that is there is replaced.
    ///
    /// # Errors
    ///
    /// If the output is there and no file, or lies in the input, or its parent cannot be written.
    pub fn for_file(out: &Path, input: &Path) -> Result<Self> {
        check_is_file(out)?;
        check_apart(out, Some(input))?;
        Self::beside(out, Replaces::File { was_there: out.exists() })
    }

    /// Checks that a file may be written at `path`: a file or nothing is there, in a directory that exists,
    /// and not inside the checkpoint `model`, which need not exist.
    ///
    /// # Errors
    ///
    /// If it may not.
    pub fn check_file(path: &Path, model: &Path) -> Result<()> {
        check_is_file(path)?;
        if lies_in(path, model)? {
            return Err(OutputError::InsideModel(path.into()));
        }
        let resolved = resolve(path)?;
        let parent = resolved.parent().unwrap_or(&resolved);
        fs::read_dir(parent).map_err(OutputError::io(path))?;
        Ok(())
    }

    fn beside(out: &Path, may_replace: Replaces) -> Result<Self> {
        let absolute = resolve(out)?;
        let parent = absolute.parent().unwrap_or(&absolute).to_path_buf();
        let mut made: Vec<PathBuf> =
            parent.ancestors().take_while(|a| !a.exists()).map(Path::to_path_buf).collect();
        made.reverse();
        // From here on, dropping it cleans up.
        let mut staging = Self { temporary: None, out: absolute.clone(), may_replace, made };
        fs::create_dir_all(&parent).map_err(OutputError::io(&parent))?;
        let name = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let temporary = tempfile::Builder::new()
            .prefix(&format!(".{name}.partial-"))
            .tempdir_in(&parent)
            .map_err(OutputError::io(&parent))?;
        staging.temporary = Some(temporary);
        Ok(staging)
    }

    /// Where to write.
    ///
    /// # Panics
    ///
    /// Never: the directory is there until it is committed, and that consumes `self`.
    pub fn path(&self) -> &Path {
        self.temporary.as_ref().expect("it is there until it is committed").path()
    }

    /// Renames file `name` of the temporary directory to the output.
    ///
    /// # Errors
    ///
    /// If something else is there now, or the rename fails; the file is then kept where the error says.
    pub fn commit_file(mut self, name: &str) -> Result<()> {
        let put = self.check_still_free().and_then(|()| {
            fs::rename(self.path().join(name), &self.out).map_err(OutputError::io(&self.out))
        });
        put.map_err(|error| self.kept(&error))?;
        self.made.clear();
        Ok(())
    }

    /// Renames the temporary directory to the output. What was there before is removed only after
    /// that succeeded.
    ///
    /// # Errors
    ///
    /// If something else is there now, or a rename fails. What was there before is then still there, and the
    /// output is kept where the error says.
    pub fn commit(mut self) -> Result<()> {
        self.put_in_place().map_err(|error| self.kept(&error))?;
        // Renamed away: there is nothing left to remove.
        let _ = self.temporary.take().map(TempDir::keep);
        self.made.clear();
        Ok(())
    }

    fn put_in_place(&self) -> Result<()> {
        open_to_others(self.path())?;
        self.check_still_free()?;
        let out = &self.out;
        let old = match out.symlink_metadata() {
            Ok(_) => {
                let parent = out.parent().unwrap_or(out);
                let aside = tempfile::Builder::new()
                    .prefix(".slicegpt-replaced-")
                    .tempdir_in(parent)
                    .map_err(OutputError::io(parent))?;
                fs::rename(out, aside.path().join("old")).map_err(OutputError::io(out))?;
                Some(aside)
            }
            Err(_) => None,
        };
        fs::rename(self.path(), out).map_err(|source| {
            if let Some(aside) = old {
                // Whatever goes wrong now, the user's directory is not deleted.
                let aside = aside.keep();
                let _ = fs::rename(aside.join("old"), out).and_then(|()| fs::remove_dir(&aside));
            }
            OutputError::io(out)(source)
        })
    }

    /// Checks again what was checked at the beginning.
    fn check_still_free(&self) -> Result<()> {
        match self.may_replace {
            Replaces::Directory { force } => check_free(&self.out, force),
            Replaces::File { was_there: false } if self.out.exists() => {
                Err(OutputError::Exists(self.out.clone()))
            }
            Replaces::File { .. } => check_is_file(&self.out),
        }
    }

    /// The work is done: it must not be lost for want of a name.
    fn kept(&mut self, why: &OutputError) -> OutputError {
        let kept = self.temporary.take().map(TempDir::keep).unwrap_or_default();
        self.made.clear();
        // It names the output itself.
        let reason = why.to_string();
        let out = format!("{}: ", self.out.display());
        let reason = reason.strip_prefix(&out).unwrap_or(&reason).to_string();
        OutputError::NotRenamed { path: self.out.clone(), kept, reason }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        drop(self.temporary.take());
        for directory in self.made.iter().rev() {
            // Whatever someone else put there stays.
            let _ = fs::remove_dir(directory);
        }
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
            .map_err(OutputError::io(&probe))?;
        fs::remove_dir(&probe).map_err(OutputError::io(&probe))?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(OutputError::io(path))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
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
        assert!(matches!(Staging::new(&out, None, false), Err(OutputError::Exists(_))));
        fs::remove_file(out.join("config.json")).unwrap();
        fs::write(out.join("thesis.tex"), "").unwrap();
        assert!(matches!(Staging::new(&out, None, true), Err(OutputError::IsForeign(..))));
    }

    /// While the work was done, someone else made something of that name.
    #[test]
    fn what_came_meanwhile_stays_and_so_does_the_work() {
        let (parent, out) = parent();
        let staging = Staging::new(&out, None, true).unwrap();
        fs::write(staging.path().join("config.json"), "{}").unwrap();
        fs::create_dir(&out).unwrap();
        fs::write(out.join("thesis.tex"), "").unwrap();
        let error = staging.commit().unwrap_err();
        let OutputError::NotRenamed { kept, .. } = &error else { panic!("{error}") };
        assert!(kept.join("config.json").is_file() && out.join("thesis.tex").is_file());
        assert!(error.to_string().contains("move it from there"), "{error}");

        let file = parent.path().join("file");
        let staging = Staging::for_file(&file, &out).unwrap();
        fs::write(staging.path().join("new"), "new").unwrap();
        fs::write(&file, "other").unwrap();
        let error = staging.commit_file("new").unwrap_err();
        let OutputError::NotRenamed { kept, .. } = &error else { panic!("{error}") };
        assert_eq!(fs::read_to_string(kept.join("new")).unwrap(), "new");
        assert_eq!(fs::read_to_string(&file).unwrap(), "other");
        // What was there when it began is replaced.
        let staging = Staging::for_file(&file, &out).unwrap();
        fs::write(staging.path().join("new"), "new").unwrap();
        staging.commit_file("new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_replaced() {
        let (_parent, input) = parent();
        fs::create_dir(&input).unwrap();
        let refused = Staging::for_file(Path::new("/dev/null"), &input);
        assert!(matches!(refused, Err(OutputError::IsNoFile(_))));
    }

    #[test]
    fn the_input_is_never_the_output() {
        let (parent, input) = parent();
        fs::create_dir(&input).unwrap();
        for out in [input.clone(), input.join("sliced"), parent.path().into(), input.join("../out")]
        {
            let refused = Staging::new(&out, Some(&input), true);
            assert!(matches!(refused, Err(OutputError::IsInput(_))), "{}", out.display());
        }
    }
}
