//! Copies files into a folder, and packs the folder with the system's `tar`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Copies a file, its mode included.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

/// Copies a folder, without the scripts that made its contents.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in from.read_dir().with_context(|| format!("cannot list {}", from.display()))? {
        let path = entry?.path();
        let to = to.join(path.file_name().context("an entry has a name")?);
        if path.is_dir() {
            copy_folder(&path, &to)?;
        } else if path.extension().is_none_or(|extension| extension != "py") {
            copy(&path, &to)?;
        }
    }
    Ok(())
}

pub fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Packs `folder` as `out`: gzip, which every `tar` unpacks, in an order and with owners that do
/// not depend on the machine.
pub fn pack(folder: &Path, out: &Path) -> Result<()> {
    let (parent, name) = (folder.parent(), folder.file_name());
    let (parent, name) = parent.zip(name).context("a folder with a name")?;
    if let Some(above) = out.parent().filter(|above| !above.as_os_str().is_empty()) {
        fs::create_dir_all(above).with_context(|| format!("cannot make {}", above.display()))?;
    }
    let status = Command::new("tar")
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-czf"])
        .arg(out)
        .arg("-C")
        .args([parent.as_os_str(), name])
        .status()
        .context("cannot start `tar`: install GNU tar")?;
    ensure!(status.success(), "tar failed: see its message above");
    Ok(())
}
