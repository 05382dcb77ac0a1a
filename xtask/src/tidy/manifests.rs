//! The fields that every `Cargo.toml` of the workspace must have, and those it must inherit.

use super::violation::Violation;
use crate::workspace::Package;

/// Keys that every crate inherits from the workspace: their table, their name, and why.
const INHERITED: &[(&str, &str, &str)] = &[
    ("package", "edition", "one edition for all"),
    ("package", "license", "one licence for all"),
    ("", "lints", "one set of lints for all"),
];

pub fn check(package: &Package, manifest: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut violation = |message| violations.push(Violation::new(&package.manifest, 1, message));
    if !package.fields.iter().any(|field| field == "description") && package.name != "xtask" {
        violation("no description: say in one line what the crate is".to_owned());
    }
    for &(table, key, why) in INHERITED {
        if !inherits(manifest, table, key) {
            violation(format!("`{key}.workspace = true` is missing: {why}"));
        }
    }
    violations
}

/// Whether `key` of `table` is inherited from the workspace, in any of the notations of TOML.
fn inherits(manifest: &str, table: &str, key: &str) -> bool {
    let own_table = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
    let mut current = String::new();
    manifest.lines().any(|line| {
        let line: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        let line = line.split('#').next().unwrap_or("");
        if let Some(header) = line.strip_prefix('[') {
            current = header.trim_end_matches(']').to_owned();
            return false;
        }
        let inline = [format!("{key}.workspace=true"), format!("{key}={{workspace=true}}")];
        (current == table && inline.iter().any(|inline| inline == line))
            || (current == own_table && line == "workspace=true")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_inherit_counts() {
        let rows = [
            ("[package]\nedition.workspace = true\n", "package", "edition", true),
            ("[package]\nedition = { workspace = true } # why\n", "package", "edition", true),
            ("[package.edition]\nworkspace = true\n", "package", "edition", true),
            ("[package]\nedition = \"2024\"\n", "package", "edition", false),
            ("[lints]\nworkspace = true\n", "", "lints", true),
            ("lints.workspace = true\n[package]\n", "", "lints", true),
            ("[lints.rust]\nmissing_docs = \"warn\"\n", "", "lints", false),
            ("[dependencies]\nlicense.workspace = true\n", "package", "license", false),
        ];
        for (manifest, table, key, expected) in rows {
            assert_eq!(inherits(manifest, table, key), expected, "{manifest}");
        }
    }
}
