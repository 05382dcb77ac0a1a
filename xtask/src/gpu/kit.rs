//! `cargo xtask gpu-kit`: builds the binaries, checks what they link, and packs them with fixtures
//! and the script that runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::{archive, links};
use crate::machine::Machine;
use crate::versions::Versions;
use crate::workspace::{DEVICE_FEATURES, Workspace};

/// Packs an archive that checks and measures the GPU of a bare Linux machine: unpack it there and
/// run `./run.sh`.
///
/// It holds `slicegpt`, the checks, some fixtures and a script that needs a POSIX shell, the driver
/// and, for Vulkan, a loader. It needs no network.
#[derive(clap::Args)]
pub struct Args {
    /// Cargo feature to build with: vulkan, wgpu or cuda.
    #[arg(long, value_name = "FEATURE")]
    features: String,
    /// Archive to write [default: slicegpt-gpu-kit-FEATURE.tar.gz in the target directory].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Maximum size of the archive, in bytes: it is copied to a machine by hand.
const LARGEST: u64 = 40_000_000;

/// The trained models in the archive: one for each kind of norm.
const MODELS: [&str; 2] = ["ts-llama3-gqa", "ts-opt"];

const NAME: &str = "slicegpt-gpu-kit";

pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let feature = args.features.as_str();
    if !DEVICE_FEATURES.contains(&feature) || feature == "metal" {
        bail!("--features {feature}: use vulkan, wgpu or cuda; the kit is for Linux");
    }
    let built = workspace.build_with(NAME, &[feature.to_owned()])?;
    let target = workspace.target_dir_with(&[feature.to_owned()]);
    let folder = target.join("gpu-kit").join(NAME);
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot make {}", bin.display()))?;
    let program = bin.join(NAME);
    strip(&built, &program)?;
    let libraries = links::libraries(&program, feature)?;
    let newest = links::newest_glibc(&program)?;
    // Under this name it is the binary `slicegpt`. `tar` stores a hard link once.
    fs::hard_link(&program, bin.join("slicegpt")).context("cannot link the binary `slicegpt`")?;
    copy_fixtures(&workspace.root.join("fixtures"), &folder.join("fixtures"))?;
    let script = workspace.root.join("crates/slicegpt-gpu-kit/run.sh");
    archive::copy(&script, &folder.join("run.sh"))?;
    let machine = Machine::here(&workspace.root);
    let glibc = newest.map(|version| version.to_string());
    let kit = json!({
        "version": Versions::of(&workspace.root)?.slicegpt,
        "commit": machine.commit,
        "date": machine.date,
        "rustc": machine.rustc,
        "features": feature,
        "libraries": libraries,
        "glibc": glibc,
        "loaded_at_run_time": links::loaded_at_run_time(feature),
    });
    archive::write(&folder.join("kit.json"), &format!("{kit:#}\n"))?;

    let out = args.out.clone().unwrap_or_else(|| target.join(format!("{NAME}-{feature}.tar.gz")));
    archive::pack(&folder, &out)?;
    let size = out.metadata().with_context(|| format!("cannot see {}", out.display()))?.len();
    println!("links: {}", libraries.join(", "));
    println!("newest glibc asked for: {}", glibc.as_deref().unwrap_or("none"));
    println!("loaded at run time: {}", links::loaded_at_run_time(feature).join(", "));
    println!("{}: {:.1} MB", out.display(), size as f64 / 1e6);
    ensure!(
        size <= LARGEST,
        "the archive is larger than {:.0} MB: leave fixtures out, or link less",
        LARGEST as f64 / 1e6
    );
    Ok(ExitCode::SUCCESS)
}

/// Copies a binary without symbols and debug information.
fn strip(built: &Path, out: &Path) -> Result<()> {
    let status = Command::new("strip")
        .arg("-o")
        .args([out, built])
        .status()
        .context("cannot start `strip`: install binutils")?;
    ensure!(status.success(), "strip failed on {}: see its message above", built.display());
    Ok(())
}

fn copy_fixtures(from: &Path, to: &Path) -> Result<()> {
    for name in MODELS {
        archive::copy_folder(&from.join("models").join(name), &to.join("models").join(name))?;
    }
    archive::copy_folder(&from.join("families"), &to.join("families"))?;
    archive::copy(&from.join("text/valid.txt"), &to.join("text/valid.txt"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_there() {
        let root = Workspace::load().unwrap().root;
        assert!(root.join("crates/slicegpt-gpu-kit/run.sh").is_file());
        for name in MODELS {
            assert!(root.join("fixtures/models").join(name).join("config.json").is_file());
        }
        let folder = tempfile::tempdir().unwrap();
        copy_fixtures(&root.join("fixtures"), folder.path()).unwrap();
        let case = folder.path().join("families/llama2/expected.safetensors");
        assert!(case.is_file());
        assert!(!folder.path().join("families/make.py").exists());
    }
}
