//! The documents at the root, and the decisions that ARCHITECTURE.md must hold.

use std::path::Path;

use anyhow::{Context, Result};

use super::rules::DOCUMENTS;
use super::violation::Violation;

pub fn check(root: &Path, manifest: &str) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for &(name, purpose) in DOCUMENTS {
        if !root.join(name).is_file() {
            violations.push(Violation::new(name, 1, format!("is missing: write {purpose}")));
        }
    }
    let architecture = root.join("ARCHITECTURE.md");
    if architecture.is_file() {
        let text = std::fs::read_to_string(&architecture).context("cannot read ARCHITECTURE.md")?;
        violations.extend(undecided(manifest, &text));
    }
    Ok(violations)
}

/// A dependency is a decision: every one of the workspace's stands in ARCHITECTURE.md by name.
fn undecided(manifest: &str, architecture: &str) -> Vec<Violation> {
    outside_dependencies(manifest)
        .filter(|(_, name)| !architecture.contains(&format!("`{name}`")))
        .map(|(line, name)| {
            let message = format!("`{name}` is not in ARCHITECTURE.md: write down why we use it");
            Violation::new("Cargo.toml", line, message)
        })
        .collect()
}

/// The entries of `[workspace.dependencies]` that are no crate of this workspace, with their lines.
fn outside_dependencies(manifest: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    manifest.lines().enumerate().filter_map(move |(index, line)| {
        if line.starts_with('[') {
            inside = line.trim() == "[workspace.dependencies]";
            return None;
        }
        let (key, value) = line.split_once('=')?;
        let key = key.trim().split('.').next()?;
        let is_entry = inside && !line.starts_with([' ', '\t', '#', ']', '"']);
        (is_entry && !value.contains("path =")).then_some((index + 1, key))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = concat!(
        "[workspace]\nresolver = \"3\"\n",
        "[workspace.dependencies]\n",
        "slicegpt-core = { path = \"crates/slicegpt-core\" }\n",
        "# faer = \"0\"\n",
        "burn = { version = \"1\", features = [\n    \"std\",\n] }\n",
        "half = \"2\"\n",
        "[profile.release]\ndebug = true\n",
    );

    #[test]
    fn the_dependencies_from_outside_are_listed() {
        let found: Vec<_> = outside_dependencies(MANIFEST).collect();
        assert_eq!(found, [(6, "burn"), (9, "half")]);
    }

    #[test]
    fn a_dependency_without_a_decision_is_reported() {
        let found = undecided(MANIFEST, "We use `burn` because, and a `half-edge` too.");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 9);
        assert!(found[0].message.contains("`half`"));
    }
}
