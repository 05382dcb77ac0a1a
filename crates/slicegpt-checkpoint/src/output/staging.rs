//! [`Staging`]: an output that appears by rename, or not at all.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::aside::{OLD, beside, recover, recover_beside};
use super::error::{OutputError, Result};
use super::fill::fill;
use super::place::{check_apart, check_free, check_is_file, lies_in, resolve};
use super::sync::{sync_directory, sync_file, sync_files_in};
use super::temporary::{Temporary, lock, remove_left_for};

/// A temporary directory next to the output, or inside it if it is an existing directory.
/// [`Staging::commit`] renames it to the output, or its files into the output; if it is dropped
/// before, it is removed.
///
/// An existing directory stays what it is, with its permissions and group, and as a mount point.
pub struct Staging {
    temporary: Option<Temporary>,
    out: PathBuf,
    /// Whether the temporary directory is inside the output.
    inside: bool,
    /// What the output may replace.
    may_replace: Replaces,
    /// Parent directories that were created, outermost first. They are removed if nothing is
    /// written.
    made: Vec<PathBuf>,
}

/// What an output may replace. It is checked again before the rename, because hours may pass and
/// other programs write too.
#[derive(Clone, Copy)]
enum Replaces {
    /// An empty directory or, with `force`, a checkpoint.
    Directory { force: bool },
    /// A file, if there was one at the beginning.
    File { was_there: bool },
}

impl Staging {
    /// Restores what a process that was killed while it replaced `out` left, or finishes its work.
    /// Checks that `out` may be written (with `force`, that the checkpoint in it may be replaced)
    /// and that it neither contains `input` nor is inside it, then creates the temporary directory.
    ///
    /// # Errors
    ///
    /// If the output exists and may not be replaced, is the input, contains it or is inside it, or
    /// its parent cannot be written.
    pub fn new(out: &Path, input: Option<&Path>, force: bool) -> Result<Self> {
        check_apart(out, input)?;
        let absolute = resolve(out)?;
        let recovered = recover(&absolute)
            .and_then(|()| recover_beside(absolute.parent().unwrap_or(&absolute), &absolute));
        recovered.map_err(OutputError::io(out))?;
        check_free(out, force)?;
        Self::next_to(out, Replaces::Directory { force })
    }

    /// The same for a single file, which [`Staging::commit_file`] renames out of the temporary
    /// directory. An existing file is replaced.
    ///
    /// # Errors
    ///
    /// If the output exists and is not a file, or is inside the input, or its parent cannot be
    /// written.
    pub fn for_file(out: &Path, input: &Path) -> Result<Self> {
        check_is_file(out)?;
        check_apart(out, Some(input))?;
        Self::next_to(out, Replaces::File { was_there: out.exists() })
    }

    /// Checks that a file may be written at `path`: its directory exists, nothing but a file is
    /// replaced, and it is not inside the checkpoint `model`, which does not need to exist.
    ///
    /// # Errors
    ///
    /// If it may not be written.
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

    fn next_to(out: &Path, may_replace: Replaces) -> Result<Self> {
        let absolute = resolve(out)?;
        let parent = absolute.parent().unwrap_or(&absolute).to_path_buf();
        let name = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Replaces::Directory { .. } = may_replace
            && absolute.is_dir()
            && let Ok(temporary) = Temporary::new(&absolute, None)
        {
            remove_left_for(&parent, &name);
            let (temporary, made) = (Some(temporary), Vec::new());
            return Ok(Self { temporary, out: absolute, inside: true, may_replace, made });
        }
        let mut made: Vec<PathBuf> =
            parent.ancestors().take_while(|a| !a.exists()).map(Path::to_path_buf).collect();
        made.reverse();
        // From here on, dropping `staging` cleans up.
        let (temporary, out) = (None, absolute.clone());
        let mut staging = Self { temporary, out, inside: false, may_replace, made };
        fs::create_dir_all(&parent).map_err(OutputError::io(&parent))?;
        let temporary = Temporary::new(&parent, Some(&name)).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                // tempfile's error names a temporary path, which means nothing to a user.
                let source = io::Error::from(error.kind());
                OutputError::Parent { parent: parent.clone(), out: absolute.clone(), source }
            }
            _ => OutputError::io(&parent)(error),
        });
        staging.temporary = Some(temporary?);
        Ok(staging)
    }

    /// The temporary directory, to be written to.
    pub fn path(&self) -> &Path {
        self.temporary.as_ref().expect("only committing takes it, and that consumes `self`").path()
    }

    /// Renames file `name` of the temporary directory to the output.
    ///
    /// # Errors
    ///
    /// If the output may no longer be replaced, or the rename fails. The file then stays where the
    /// error says.
    pub fn commit_file(mut self, name: &str) -> Result<()> {
        let made = self.path().join(name);
        let parent = self.out.parent().unwrap_or(&self.out);
        let put = self.check_still_free().and_then(|()| {
            // Otherwise a power cut could leave a file of zeros in the place of a whole one.
            sync_file(&made)
                .and_then(|()| fs::rename(&made, &self.out))
                .and_then(|()| sync_directory(parent))
                .map_err(OutputError::io(&self.out))
        });
        put.map_err(|error| self.kept(&error))?;
        self.made.clear();
        Ok(())
    }

    /// Renames the temporary directory to the output, or its files into an output that was there.
    /// What it replaces is removed only after the renames succeeded.
    ///
    /// # Errors
    ///
    /// If the output may no longer be replaced, or a rename fails. What was to be replaced is then
    /// still there, and the new output stays where the error says.
    pub fn commit(mut self) -> Result<()> {
        self.put_in_place().map_err(|error| self.kept(&error))?;
        if !self.inside {
            // It was renamed: there is nothing left to remove.
            let _ = self.temporary.take().map(Temporary::forget);
        }
        self.made.clear();
        Ok(())
    }

    fn put_in_place(&self) -> Result<()> {
        sync_files_in(self.path()).map_err(OutputError::io(self.path()))?;
        if self.inside {
            self.check_still_free()?;
            return fill(&self.out, self.path());
        }
        open_to_others(self.path())?;
        self.check_still_free()?;
        let out = &self.out;
        let parent = out.parent().unwrap_or(out);
        let old = match out.symlink_metadata() {
            Ok(_) => {
                let aside = tempfile::Builder::new()
                    .prefix(&beside(out))
                    .tempdir_in(parent)
                    .map_err(OutputError::io(parent))?;
                let locked = lock(aside.path());
                fs::rename(out, aside.path().join(OLD)).map_err(OutputError::io(out))?;
                Some((aside, locked))
            }
            Err(_) => None,
        };
        fs::rename(self.path(), out).map_err(|source| {
            if let Some((aside, _locked)) = old {
                // Even if this fails, the user's directory is not deleted.
                let aside = aside.keep();
                let _ = fs::rename(aside.join(OLD), out).and_then(|()| fs::remove_dir(&aside));
            }
            OutputError::io(out)(source)
        })?;
        sync_directory(parent).map_err(OutputError::io(parent))
    }

    /// Repeats the checks of the beginning.
    fn check_still_free(&self) -> Result<()> {
        match self.may_replace {
            Replaces::Directory { force } => check_free(&self.out, force),
            Replaces::File { was_there: false } if self.out.exists() => {
                Err(OutputError::Exists(self.out.clone()))
            }
            Replaces::File { .. } => check_is_file(&self.out),
        }
    }

    /// Keeps the finished output in the temporary directory, and returns an error that says where
    /// it is.
    fn kept(&mut self, why: &OutputError) -> OutputError {
        let kept = self.temporary.take().map(Temporary::keep).unwrap_or_default();
        self.made.clear();
        // The new error names the output already.
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
            // A directory that another program wrote to stays.
            let _ = fs::remove_dir(directory);
        }
    }
}

/// Gives the temporary directory, which only its owner can read, the permissions of a new
/// directory.
fn open_to_others(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The permissions that `mkdir` gives are read from a new directory.
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

    fn parent() -> (tempfile::TempDir, PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("out");
        (parent, out)
    }

    fn entries(path: &Path) -> usize {
        fs::read_dir(path).unwrap().count()
    }

    #[test]
    fn a_dropped_staging_leaves_nothing() {
        let (parent, out) = parent();
        let staging = Staging::new(&out, None, false).unwrap();
        fs::write(staging.path().join("config.json"), "{}").unwrap();
        drop(staging);
        assert_eq!(entries(parent.path()), 0);
    }

    #[test]
    fn a_commit_replaces_checkpoints_only() {
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

    /// A process was killed while it rewrote the card and the record, and another one while it
    /// moved the files.
    #[test]
    fn what_a_killed_process_left_in_an_output_is_ours() {
        let (parent, out) = parent();
        let aside = out.join(".slicegpt-moving-aB3dE6");
        fs::create_dir_all(&aside).unwrap();
        fs::create_dir(parent.path().join(".out.partial-aB3dE6")).unwrap();
        for name in [".README.md.partial", ".slicegpt-report.json.partial", "model.safetensors"] {
            fs::write(out.join(name), "old").unwrap();
        }
        fs::write(aside.join("config.json"), "old").unwrap();
        // It is whole again, so that it is not replaced.
        assert!(matches!(Staging::new(&out, None, false), Err(OutputError::Exists(_))));
        assert_eq!(fs::read_to_string(out.join("config.json")).unwrap(), "old");
        let staging = Staging::new(&out, None, true).unwrap();
        fs::write(staging.path().join("config.json"), "new").unwrap();
        staging.commit().unwrap();
        assert_eq!(fs::read_to_string(out.join("config.json")).unwrap(), "new");
        assert_eq!([entries(&out), entries(parent.path())], [1, 1]);
    }

    /// What is there stays: its permissions, its group, and whatever is mounted at it.
    #[cfg(unix)]
    #[test]
    fn an_existing_directory_is_filled() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let (parent, out) = parent();
        fs::create_dir(&out).unwrap();
        fs::set_permissions(&out, fs::Permissions::from_mode(0o2750)).unwrap();
        let there = |path: &Path| path.metadata().map(|it| (it.ino(), it.mode())).unwrap();
        let before = there(&out);
        for round in ["1", "2"] {
            let staging = Staging::new(&out, None, true).unwrap();
            assert!(staging.path().starts_with(out.canonicalize().unwrap()));
            fs::write(staging.path().join("config.json"), round).unwrap();
            fs::write(staging.path().join(format!("model-{round}.safetensors")), "").unwrap();
            staging.commit().unwrap();
            assert_eq!((there(&out), entries(&out), entries(parent.path())), (before, 2, 1));
            assert_eq!(fs::read_to_string(out.join("config.json")).unwrap(), round);
        }
        drop(Staging::new(&out, None, true).unwrap());
        assert_eq!(entries(&out), 2);
    }

    /// A file system that was just made and mounted has `lost+found`.
    #[test]
    fn what_systems_put_into_a_directory_stays_there() {
        let (_parent, out) = parent();
        fs::create_dir_all(out.join("lost+found")).unwrap();
        fs::write(out.join(".DS_Store"), "").unwrap();
        for round in ["1", "2"] {
            let staging = Staging::new(&out, None, round == "2").unwrap();
            fs::write(staging.path().join("config.json"), round).unwrap();
            staging.commit().unwrap();
            assert_eq!(fs::read_to_string(out.join("config.json")).unwrap(), round);
            assert_eq!(entries(&out), 3);
            assert!(out.join("lost+found").is_dir());
        }
    }

    /// Another program created the output in the meantime.
    #[test]
    fn neither_a_new_file_nor_the_output_is_lost() {
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
        // A file that existed at the beginning is replaced.
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
