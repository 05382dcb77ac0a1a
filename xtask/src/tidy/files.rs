//! Rules about a file as a whole: its first line, its length, its name.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::rules::{EMPTY_NAMES, FAMILIES, LONG_FILES, MAX_LINES};
use super::violation::Violation;
use crate::workspace::relative;

/// The folders of a package that hold Rust files.
const RUST_FOLDERS: &[&str] = &["src", "tests", "benches", "examples"];

/// The folders that hold Python files.
const PYTHON_FOLDERS: &[&str] = &["crates/slicegpt-models/python", "fixtures", "xtask/python"];

/// Every Rust file of the package in `folder`, relative to the root, in order.
pub fn rust_files(root: &Path, folder: &str) -> Result<Vec<String>> {
    let folder = root.join(folder);
    let folders: Vec<PathBuf> = RUST_FOLDERS.iter().map(|name| folder.join(name)).collect();
    files(root, &folders, "rs")
}

/// Every Python file of the repository, relative to the root, in order.
pub fn python_files(root: &Path) -> Result<Vec<String>> {
    let folders: Vec<PathBuf> = PYTHON_FOLDERS.iter().map(|name| root.join(name)).collect();
    files(root, &folders, "py")
}

/// The model families: the names of the files in the folder that holds one file for each.
pub fn families(root: &Path) -> Result<Vec<String>> {
    let names = files(root, &[root.join(FAMILIES)], "rs")?;
    let names = names.iter().filter_map(|path| path.rsplit('/').next()?.strip_suffix(".rs"));
    Ok(names.filter(|name| *name != "mod").map(str::to_owned).collect())
}

fn files(root: &Path, folders: &[PathBuf], extension: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        collect(root, folder, extension, &mut files)?;
    }
    files.sort();
    Ok(files)
}

fn collect(root: &Path, folder: &Path, extension: &str, files: &mut Vec<String>) -> Result<()> {
    let entries = folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, extension, files)?;
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(relative(root, &path));
        }
    }
    Ok(())
}

pub fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut violation = |line, message| violations.push(Violation::new(path, line, message));
    let first = if path.ends_with(".py") { "\"\"\"" } else { "//!" };
    let head = text.strip_prefix("#!/usr/bin/env python3\n").unwrap_or(text);
    if !head.starts_with(first) {
        violation(1, format!("the first line is no `{first}`: say what the file is"));
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

/// Exceptions that no file needs any more.
pub fn check_allowed_lengths(files: &[(String, String)]) -> Vec<Violation> {
    let is_long = |text: &str| text.lines().count() > MAX_LINES;
    let needs = |path: &str| files.iter().any(|(name, text)| name == path && is_long(text));
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
            ("x.py", "\"\"\"A script.\"\"\"\n", 0),
            ("x.py", "import os\n", 1),
        ];
        for (path, text, count) in rows {
            let found = check(path, text);
            assert_eq!(found.len(), count, "{path}: {found:?}");
        }
    }
}
