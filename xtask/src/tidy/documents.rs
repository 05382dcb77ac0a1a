//! The documents at the root, and the table of dependencies in ARCHITECTURE.md.

use std::path::Path;

use anyhow::{Context, Result};

use super::rules::DOCUMENTS;
use super::violation::Violation;
use crate::workspace::Package;

pub fn check(root: &Path, packages: &[Package], manifest: &str) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for &(name, purpose) in DOCUMENTS {
        if !root.join(name).is_file() {
            violations.push(Violation::new(name, 1, format!("is missing: write {purpose}")));
        }
    }
    let architecture = root.join("ARCHITECTURE.md");
    if architecture.is_file() {
        let text = std::fs::read_to_string(&architecture).context("cannot read ARCHITECTURE.md")?;
        violations.extend(ledger(manifest, &text));
        violations.extend(unused(manifest, packages));
    }
    Ok(violations)
}

/// A dependency is a decision. Every dependency from outside has a row in the table, and every row
/// has a dependency.
fn ledger(manifest: &str, architecture: &str) -> Vec<Violation> {
    let dependencies: Vec<_> =
        entries(manifest).into_iter().filter(|entry| !entry.is_path).collect();
    let rows = rows(architecture);
    let mut violations = Vec::new();
    for entry in &dependencies {
        if !rows.iter().any(|(_, name)| *name == entry.name) {
            let message =
                format!("`{}` is not in ARCHITECTURE.md: write down why we use it", entry.name);
            violations.push(Violation::new("Cargo.toml", entry.line, message));
        }
    }
    for (line, name) in rows {
        if !dependencies.iter().any(|entry| entry.name == name) {
            let message = format!("`{name}` is not a dependency: remove it from the table");
            violations.push(Violation::new("ARCHITECTURE.md", line, message));
        }
    }
    violations
}

/// Entries of `[workspace.dependencies]` that no crate uses.
fn unused(manifest: &str, packages: &[Package]) -> Vec<Violation> {
    let used = packages.iter().flat_map(|package| &package.dependencies);
    let is_used = |name: &str| used.clone().any(|dependency| dependency.name == name);
    let unused = entries(manifest).into_iter().filter(|entry| !is_used(entry.name));
    let message = |name| format!("`{name}` is used by no crate: remove it");
    unused.map(|entry| Violation::new("Cargo.toml", entry.line, message(entry.name))).collect()
}

/// One entry of `[workspace.dependencies]`.
#[derive(Debug, PartialEq, Eq)]
struct Entry<'a> {
    line: usize,
    name: &'a str,
    /// Whether it is a crate of this workspace.
    is_path: bool,
}

fn entries(manifest: &str) -> Vec<Entry<'_>> {
    let mut inside = false;
    let mut entries = Vec::new();
    for (index, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.trim() == "[workspace.dependencies]";
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        if inside && !line.starts_with([' ', '\t', '#', ']', '"']) {
            let name = key.trim().split('.').next().unwrap_or_default();
            entries.push(Entry { line: index + 1, name, is_path: value.contains("path =") });
        }
    }
    entries
}

/// The crates in the table below the heading `## Dependencies`, with their lines.
fn rows(architecture: &str) -> Vec<(usize, &str)> {
    let lines = architecture.lines().enumerate();
    let section = lines.skip_while(|(_, line)| *line != "## Dependencies").skip(1);
    let section = section.take_while(|(_, line)| !line.starts_with("## "));
    section
        .filter_map(|(index, line)| Some((index + 1, line.strip_prefix("| `")?.split('|').next()?)))
        .flat_map(|(line, cell)| {
            let names = cell.split(',').map(|name| name.trim().trim_matches('`'));
            names.map(move |name| (line, name))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Dependency, DependencyKind};

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
    fn entries_are_listed_with_their_lines() {
        let found = entries(MANIFEST).into_iter().map(|entry| (entry.line, entry.name));
        let expected = [(4, "slicegpt-core"), (6, "burn"), (9, "half")];
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_table_and_the_manifest_agree() {
        let table = "We use `half`.\n\n## Dependencies\n\n| crate | why |\n|---|---|\n";
        let rows = [
            ("| `burn`, `half` | tensors |\n", &[][..]),
            ("| `burn` | tensors |\n", &[("Cargo.toml", 9)]),
            ("| `burn` | x |\n| `half`, `faer` | y |\n", &[("ARCHITECTURE.md", 8)]),
        ];
        for (row, expected) in rows {
            let found = ledger(MANIFEST, &format!("{table}{row}\n## Next\n\n| `x` | y |\n"));
            let found: Vec<_> = found.iter().map(|it| (it.file.as_str(), it.line)).collect();
            assert_eq!(found, expected, "{row}");
        }
    }

    #[test]
    fn an_entry_that_no_crate_uses_is_reported() {
        let dependency = |name: &str| Dependency {
            name: name.to_owned(),
            kind: DependencyKind::Dev,
            features: Vec::new(),
            has_version: true,
        };
        let dependencies = ["burn", "slicegpt-core"].map(dependency).into();
        let packages = [Package { dependencies, ..Package::named("x") }];
        let found = unused(MANIFEST, &packages);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 9);
    }
}
