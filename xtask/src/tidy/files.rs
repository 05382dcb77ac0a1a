//! Rules about a file as a whole: its first line, its length, its name.

use std::path::Path;

use anyhow::{Context, Result};

use super::rules::{EMPTY_NAMES, LONG_FILES, MAX_LINES};
use super::violation::Violation;
use crate::workspace::relative;

/// The folders of a package that hold Rust files.
const FOLDERS: &[&str] = &["src", "tests", "benches", "examples"];

/// Every Rust file of the package in `folder`, relative to the root, in order.
pub fn rust_files(root: &Path, folder: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for name in FOLDERS {
        let folder = root.join(folder).join(name);
        if folder.is_dir() {
            collect(root, &folder, &mut files)?;
        }
    }
    files.sort();
    Ok(files)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<String>) -> Result<()> {
    let entries = folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(relative(root, &path));
        }
    }
    Ok(())
}

pub fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut violation = |line, message| violations.push(Violation::new(path, line, message));
    if !text.starts_with("//!") {
        violation(1, "the first line is no `//!`: say what the file is".to_owned());
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    if EMPTY_NAMES.contains(&name) {
        violation(1, format!("`{name}` says nothing: name the file after its idea"));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES && !LONG_FILES.iter().any(|(allowed, _)| *allowed == path) {
        let message = format!("{lines} lines, more than {MAX_LINES}: one idea per file");
        violation(MAX_LINES + 1, message);
    }
    violations
}

/// An exception that no file needs any more must go.
pub fn check_allowed_lengths(lengths: &[(String, usize)]) -> Vec<Violation> {
    let needs = |path: &str| lengths.iter().any(|(name, n)| name == path && *n > MAX_LINES);
    LONG_FILES
        .iter()
        .filter(|(path, _)| !needs(path))
        .map(|(path, _)| Violation::new(path, 1, "needs no row in LONG_FILES: remove it"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_about_a_file_is_checked() {
        let long = format!("//! A table.\n{}", "// row\n".repeat(MAX_LINES));
        let longest = format!("//! A table.\n{}", "// row\n".repeat(MAX_LINES - 1));
        let rows = [
            ("crates/x/src/basis.rs", "//! A basis.\n", 0),
            ("crates/x/src/basis.rs", "/// A basis.\nstruct Basis;\n", 1),
            ("crates/x/src/basis.rs", "", 1),
            ("crates/x/src/utils.rs", "//! Things.\n", 1),
            ("crates/x/src/table.rs", longest.as_str(), 0),
            ("crates/x/src/table.rs", long.as_str(), 1),
        ];
        for (path, text, count) in rows {
            let found = check(path, text);
            assert_eq!(found.len(), count, "{path}: {found:?}");
        }
    }
}
