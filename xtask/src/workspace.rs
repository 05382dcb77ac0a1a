//! The workspace as cargo describes it, and the binaries cargo builds from it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The cargo features that add accelerators. Each is the name of a kind of device.
pub const DEVICE_FEATURES: &[&str] = &["wgpu", "vulkan", "metal", "cuda"];

/// The workspace as `cargo metadata` describes it; dependencies are not resolved.
pub struct Workspace {
    pub root: PathBuf,
    pub target_dir: PathBuf,
    pub packages: Vec<Package>,
}

pub struct Package {
    pub name: String,
    /// Whether the manifest lacks `publish = false`.
    pub is_published: bool,
    /// The fields of the `[package]` table that hold something, such as `description`.
    pub fields: Vec<String>,
    /// Relative to the root, with forward slashes.
    pub manifest: String,
    pub dependencies: Vec<Dependency>,
    /// Every value of the `[features]` table, such as `burn/cuda`.
    pub feature_values: Vec<String>,
}

pub struct Dependency {
    pub name: String,
    pub kind: DependencyKind,
    pub features: Vec<String>,
    /// Whether the manifest asks for a version, and not only for a path.
    pub has_version: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DependencyKind {
    Normal,
    Build,
    Dev,
}

impl Workspace {
    pub fn load() -> Result<Self> {
        // Read at run time: `cargo xtask` runs from any directory, and two checkouts may share one
        // target directory, and this binary in it.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR");
        let manifest = manifest.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root =
            Path::new(&manifest).parent().context("xtask is not inside a workspace")?.to_path_buf();
        let output = cargo()
            .current_dir(&root)
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo; set CARGO to its path")?;
        if !output.status.success() {
            bail!("cargo metadata failed: repair the Cargo.toml it names above");
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        let target_dir = string(&metadata, "target_directory")?.into();
        let packages = array(&metadata, "packages")?
            .iter()
            .map(|package| Package::parse(package, &root))
            .collect::<Result<_>>()?;
        Ok(Self { root, target_dir, packages })
    }

    /// The target directory for these cargo features. Each set has its own, because changing the
    /// features rebuilds most dependencies.
    pub fn target_dir_with(&self, features: &[String]) -> PathBuf {
        if features.is_empty() {
            return self.target_dir.clone();
        }
        let mut name = self.target_dir.as_os_str().to_owned();
        name.push(format!("-{}", features.join("-")));
        name.into()
    }

    /// Builds one binary of the workspace, with the cargo features that xtask was built with, and
    /// returns its path. Progress goes to stderr.
    ///
    /// It builds in the whole workspace: if a package were named, cargo would choose the features
    /// of dependencies for that package alone, and compile Burn again for each package.
    pub fn build(&self, binary: &str) -> Result<PathBuf> {
        self.build_with(binary, &features())
    }

    /// [`Workspace::build`], with these cargo features.
    pub fn build_with(&self, binary: &str, features: &[String]) -> Result<PathBuf> {
        if let Some(other) = features.iter().find(|name| !DEVICE_FEATURES.contains(&name.as_str()))
        {
            bail!("no feature `{other}`: there are {}", DEVICE_FEATURES.join(", "));
        }
        let mut command = cargo();
        command
            .args(["build", "--release", "--workspace", "--bin", binary])
            .args(["--features", &features.join(",")])
            .env("CARGO_TARGET_DIR", self.target_dir_with(features));
        self.built(command, binary)
    }

    /// Builds an example of a crate and returns its path.
    pub fn build_example(&self, package: &str, example: &str) -> Result<PathBuf> {
        let mut command = cargo();
        command
            .args(["build", "--release", "--package", package, "--example", example])
            .env("CARGO_TARGET_DIR", &self.target_dir);
        self.built(command, example)
    }

    /// Runs a build, and returns the path of the program `name` that it made.
    fn built(&self, mut command: Command, name: &str) -> Result<PathBuf> {
        let output = command
            .current_dir(&self.root)
            .arg("--message-format=json-render-diagnostics")
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo; set CARGO to its path")?;
        if !output.status.success() {
            bail!("cannot build `{name}`: see cargo's message above");
        }
        executable(&String::from_utf8_lossy(&output.stdout), name)
            .with_context(|| format!("cargo built no program `{name}`"))
    }
}

/// The features xtask was built with, which the binaries are built with too:
/// `cargo run --release -p xtask --features wgpu -- compress`.
fn features() -> Vec<String> {
    let enabled = [
        cfg!(feature = "wgpu"),
        cfg!(feature = "vulkan"),
        cfg!(feature = "metal"),
        cfg!(feature = "cuda"),
    ];
    let features = DEVICE_FEATURES.iter().zip(enabled);
    features.filter(|(_, enabled)| *enabled).map(|(name, _)| (*name).to_owned()).collect()
}

impl Package {
    fn parse(package: &Value, root: &Path) -> Result<Self> {
        let manifest = PathBuf::from(string(package, "manifest_path")?);
        Ok(Self {
            name: string(package, "name")?.to_owned(),
            is_published: package["publish"].is_null(),
            fields: package
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(_, value)| value.is_string() || value.get(0).is_some())
                .map(|(key, _)| key.clone())
                .collect(),
            manifest: relative(root, &manifest),
            dependencies: array(package, "dependencies")?
                .iter()
                .map(Dependency::parse)
                .collect::<Result<_>>()?,
            feature_values: package["features"]
                .as_object()
                .into_iter()
                .flat_map(|features| features.values())
                .flat_map(strings)
                .collect(),
        })
    }

    /// A package for tests of the rules.
    #[cfg(test)]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            is_published: false,
            fields: vec!["description".to_owned()],
            manifest: format!("crates/{name}/Cargo.toml"),
            dependencies: Vec::new(),
            feature_values: Vec::new(),
        }
    }

    /// The folder of the package, relative to the root.
    pub fn folder(&self) -> &str {
        self.manifest.strip_suffix("/Cargo.toml").unwrap_or("")
    }
}

impl Dependency {
    fn parse(dependency: &Value) -> Result<Self> {
        Ok(Self {
            name: string(dependency, "name")?.to_owned(),
            kind: match dependency["kind"].as_str() {
                None => DependencyKind::Normal,
                Some("build") => DependencyKind::Build,
                Some("dev") => DependencyKind::Dev,
                Some(other) => bail!("cargo metadata knows a dependency kind `{other}`"),
            },
            features: strings(&dependency["features"]).collect(),
            has_version: dependency["req"] != "*",
        })
    }
}

/// The cargo that started this program, or the one on the path.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Replaces this process by `program`, with the same streams and its exit code.
pub fn become_program(program: &Path, args: &[OsString]) -> Result<ExitCode> {
    let mut command = Command::new(program);
    command.args(args);
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // Only a failure returns.
        Err(command.exec()).with_context(|| format!("cannot start {}", program.display()))
    }
    #[cfg(not(unix))]
    {
        let status =
            command.status().with_context(|| format!("cannot start {}", program.display()))?;
        std::process::exit(status.code().unwrap_or(1))
    }
}

/// `path` below `root`, with forward slashes on every system.
pub fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

fn executable(messages: &str, binary: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == binary)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

fn string<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("cargo metadata has no string `{key}`"))
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key].as_array().with_context(|| format!("cargo metadata has no list `{key}`"))
}

fn strings(value: &Value) -> impl Iterator<Item = String> + '_ {
    value.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"build-script"},"executable":null}"#,
            "\nnot json\n",
            r#"{"reason":"artifact","target":{"name":"slicegpt"},"executable":"/t/slicegpt"}"#,
            "\n",
        );
        assert_eq!(executable(messages, "slicegpt"), Some(PathBuf::from("/t/slicegpt")));
        assert_eq!(executable(messages, "fixtures"), None);
    }

    #[test]
    fn this_workspace_loads() {
        let workspace = Workspace::load().unwrap();
        let xtask = workspace.packages.iter().find(|package| package.name == "xtask").unwrap();
        assert_eq!(xtask.folder(), "xtask");
        assert!(xtask.dependencies.iter().any(|dependency| dependency.name == "anyhow"));
    }
}
