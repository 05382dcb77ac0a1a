//! The versions in Cargo.lock that measurements depend on.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

pub struct Versions {
    pub slicegpt: String,
    pub burn: String,
}

impl Versions {
    pub fn of(root: &Path) -> Result<Self> {
        let path = root.join("Cargo.lock");
        let lock =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let version = |name| {
            version(&lock, name).with_context(|| format!("Cargo.lock has no package `{name}`"))
        };
        Ok(Self { slicegpt: version("slicegpt-core")?, burn: version("burn")? })
    }

    pub fn to_json(&self) -> Value {
        json!({ "slicegpt": self.slicegpt, "burn": self.burn })
    }
}

/// The version of the first package of that name, which cargo writes on the line below the name.
fn version(lock: &str, name: &str) -> Option<String> {
    let name = format!("name = \"{name}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"').map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_by_its_package() {
        let lock = "[[package]]\nname = \"burn-core\"\nversion = \"9.9.9\"\n\n\
                    [[package]]\nname = \"burn\"\nversion = \"0.22.1\"\n";
        assert_eq!(version(lock, "burn").as_deref(), Some("0.22.1"));
        assert_eq!(version(lock, "cubecl"), None);
    }
}
