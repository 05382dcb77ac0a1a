//! `cargo xtask tidy`: checks the rules of the source.
//!
//! The rules are tables in `rules`. Every other module is a kind of check, from text to violations;
//! ARCHITECTURE.md refers to them by the names of the modules.

mod book;
mod code;
mod columns;
mod cycles;
mod dependencies;
mod documents;
mod files;
mod functions;
mod invariants;
mod manifests;
mod modules;
mod named;
mod packaging;
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

/// Prints every violation on a separate line; true if there are none.
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
    let root = &workspace.root;
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))
    };
    let siblings: Vec<&str> =
        workspace.packages.iter().map(|package| package.name.as_str()).collect();
    let families = files::families(root)?;
    let mut violations = Vec::new();
    let mut all = Vec::new();

    for package in &workspace.packages {
        let manifest = read(&package.manifest)?;
        violations.extend(dependencies::check(package, &siblings, &manifest));
        violations.extend(manifests::check(package, &manifest));
        violations.extend(packaging::check(package, &workspace.packages, &manifest));
        let paths = files::rust_files(root, package.folder())?.into_iter();
        let files: Vec<(String, String)> =
            paths.map(|path| Ok((path.clone(), read(&path)?))).collect::<Result<_>>()?;
        violations.extend(cycles::check(package.folder(), &files));
        for (path, text) in &files {
            violations.extend(sources::check(package, &families, path, text));
            violations.extend(functions::check(path, text));
        }
        all.extend(files);
    }
    let architecture = read("ARCHITECTURE.md")?;
    violations.extend(invariants::check(&architecture, &read("Cargo.toml")?, &all));
    for name in named::DOCUMENTS {
        let exists = |path: &str| root.join(path).exists();
        violations.extend(named::check(name, &read(name)?, &all, &exists));
    }
    for path in files::python_files(root)? {
        let text = read(&path)?;
        all.push((path, text));
    }
    for (path, text) in &all {
        violations.extend(files::check(path, text));
        violations.extend(columns::check(path, text));
    }
    violations.extend(files::check_allowed_lengths(&all));
    violations.extend(documents::check(root, &workspace.packages, &read("Cargo.toml")?)?);
    violations.extend(book::check(root)?);
    violations.sort();
    violations.dedup();
    Ok(violations)
}
