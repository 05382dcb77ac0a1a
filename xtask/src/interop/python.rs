//! Python environments, made once for each list of requirements.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The Python of the environment in `folder`. `python` makes the environment unless exactly these
/// requirements are installed there already.
pub fn environment(python: &str, folder: &Path, requirements: &Path) -> Result<PathBuf> {
    let wanted = fs::read_to_string(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let ours = interpreter(folder);
    if is_installed(folder, &wanted) && ours.is_file() {
        return Ok(ours);
    }
    ensure!(
        has_venv(python),
        "`{python}` cannot make virtual environments: install Python 3.10 or later with its \
         modules venv and ensurepip (Debian and Ubuntu: apt-get install python3-venv), or name \
         another Python with --python"
    );
    eprintln!("making a Python environment in {}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    succeed(Command::new(python).args(["-m", "venv"]).arg(folder))?;
    eprintln!("installing what {} names (gigabytes, once)", requirements.display());
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    succeed(Command::new(&ours).args(pip).arg(requirements))?;
    let stamp = stamp(folder);
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(ours)
}

/// A folder with other versions of a few packages. In PYTHONPATH, it takes precedence over the
/// environment of `python`, whose other packages stay in use.
pub fn overlay(python: &Path, folder: &Path, requirements: &Path) -> Result<()> {
    let wanted = fs::read_to_string(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    if is_installed(folder, &wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    eprintln!("installing what {} names", requirements.display());
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    let mut install = Command::new(python);
    install.args(pip).arg("--target").arg(folder).arg("-r").arg(requirements);
    succeed(&mut install)?;
    let stamp = stamp(folder);
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Runs `command`, which runs `script` in one of these environments, to its end.
pub fn run(command: &mut Command, script: &str) -> Result<()> {
    let python = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start {python}"))?;
    ensure!(status.success(), "{script} failed ({status}): see its message above");
    Ok(())
}

/// Written last, with the requirements: an environment without this file is incomplete and is made
/// again.
fn stamp(folder: &Path) -> PathBuf {
    folder.join("installed.txt")
}

fn is_installed(folder: &Path, wanted: &str) -> bool {
    fs::read_to_string(stamp(folder)).is_ok_and(|installed| installed == wanted)
}

fn interpreter(folder: &Path) -> PathBuf {
    if cfg!(windows) {
        folder.join("Scripts").join("python.exe")
    } else {
        folder.join("bin").join("python")
    }
}

/// Debian packages ensurepip separately; without it, an environment has no pip.
fn has_venv(python: &str) -> bool {
    let status = Command::new(python)
        .args(["-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

fn succeed(command: &mut Command) -> Result<()> {
    let line = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<_> = line.map(|word| word.to_string_lossy().into_owned()).collect();
    let line = line.join(" ");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    ensure!(status.success(), "`{line}` failed ({status}): see its message above");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_that_is_not_there_is_an_error_that_says_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let requirements = folder.path().join("requirements.txt");
        fs::write(&requirements, "numpy==2\n").unwrap();
        let out = folder.path().join("environment");
        let error = environment("no-such-python", &out, &requirements).unwrap_err().to_string();
        for words in ["`no-such-python`", "python3-venv", "--python"] {
            assert!(error.contains(words), "{error}");
        }
        assert!(!out.exists());
        let missing = folder.path().join("none.txt");
        let error = environment("no-such-python", &out, &missing).unwrap_err().to_string();
        assert!(error.contains("none.txt"), "{error}");
    }

    #[test]
    fn what_is_installed_is_not_installed_again() {
        let folder = tempfile::tempdir().unwrap();
        let requirements = folder.path().join("requirements.txt");
        fs::write(&requirements, "numpy==2\n").unwrap();
        let out = folder.path().join("environment");
        let python = interpreter(&out);
        fs::create_dir_all(python.parent().unwrap()).unwrap();
        fs::write(&python, "").unwrap();
        fs::write(stamp(&out), "numpy==2\n").unwrap();
        // No Python is started.
        assert_eq!(environment("no-such-python", &out, &requirements).unwrap(), python);
        fs::write(&requirements, "numpy==3\n").unwrap();
        assert!(environment("no-such-python", &out, &requirements).is_err());
    }
}
