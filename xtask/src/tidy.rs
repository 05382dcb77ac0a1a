//! `cargo xtask tidy`: the invariants of ARCHITECTURE.md, executed.
//!
//! The rules are tables in `rules`; the other modules are plain functions from text to
//! violations, one module for each kind of thing that is looked at.

mod book;
mod code;
mod dependencies;
mod documents;
mod files;
mod manifests;
mod paths;
mod rules;
mod sources;
mod violation;

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use violation::Violation;

pub fn run(workspace: &Workspace) -> Result<ExitCode> {
    Ok(if report(workspace)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints every violation on a line of its own; true when there is none.
pub fn report(workspace: &Workspace) -> Result<bool> {
    let violations = check(workspace)?;
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => println!("tidy: every rule holds"),
        1 => eprintln!("tidy: 1 violation; the rules are tables in xtask/src/tidy/rules.rs"),
        n => eprintln!("tidy: {n} violations; the rules are tables in xtask/src/tidy/rules.rs"),
    }
    Ok(violations.is_empty())
}

fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let read = |path: &str| {
        std::fs::read_to_string(workspace.root.join(path))
            .with_context(|| format!("cannot read {path}"))
    };
    let siblings: Vec<&str> =
        workspace.packages.iter().map(|package| package.name.as_str()).collect();
    let mut violations = Vec::new();
    let mut lengths = Vec::new();

    for package in &workspace.packages {
        let manifest = read(&package.manifest)?;
        violations.extend(dependencies::check(package, &siblings, &manifest));
        violations.extend(manifests::check(package, &manifest));
        for path in files::rust_files(&workspace.root, package.folder())? {
            let text = read(&path)?;
            violations.extend(files::check(&path, &text));
            violations.extend(sources::check(package, &path, &text));
            lengths.push((path, text.lines().count()));
        }
    }
    violations.extend(files::check_allowed_lengths(&lengths));
    violations.extend(documents::check(&workspace.root, &read("Cargo.toml")?)?);
    violations.extend(book::check(&workspace.root)?);
    violations.sort();
    violations.dedup();
    Ok(violations)
}
