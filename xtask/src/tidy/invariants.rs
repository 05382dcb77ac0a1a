//! The invariants of ARCHITECTURE.md: each names in brackets what enforces it, and that exists.
//!
//! `[type: Name]` is a type or function of the workspace, `[test: path]` or `[test: path::name]` a
//! file of tests or one test in it, `[clippy: name]` a lint in the root Cargo.toml, and
//! `[tidy: name]` the file of that name in this folder.

use super::paths::{is_word, words};
use super::violation::Violation;

const DOCUMENT: &str = "ARCHITECTURE.md";
const HEADING: &str = "## Invariants";

/// `files` are the Rust files of the workspace: paths and texts. `manifest` is the root Cargo.toml.
pub fn check(architecture: &str, manifest: &str, files: &[(String, String)]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (line, text) in bullets(architecture) {
        let mut violation = |message: String| {
            violations.push(Violation::new(DOCUMENT, line, message));
        };
        let tags = tags(&text);
        if tags.is_empty() {
            violation(
                "says nowhere what keeps it: [type: ..], [test: ..], [clippy: ..] or [tidy: ..]"
                    .into(),
            );
        }
        for (kind, name) in tags {
            let exists = match kind.as_str() {
                "clippy" => manifest.lines().any(|line| line.starts_with(&format!("{name} ="))),
                _ => exists(files, &kind, &name),
            };
            if !exists {
                violation(format!("[{kind}: {name}] does not exist"));
            }
        }
    }
    violations
}

/// The bullets below the heading: the line each begins at, and its text.
fn bullets(architecture: &str) -> Vec<(usize, String)> {
    let lines = architecture.lines().enumerate();
    let section = lines.skip_while(|(_, line)| *line != HEADING).skip(1);
    let mut found: Vec<(usize, String)> = Vec::new();
    for (index, line) in section.take_while(|(_, line)| !line.starts_with("## ")) {
        if let Some(text) = line.strip_prefix("- ") {
            found.push((index + 1, text.to_owned()));
        } else if let (Some((_, text)), true) = (found.last_mut(), line.starts_with("  ")) {
            text.push(' ');
            text.push_str(line.trim());
        }
    }
    found
}

/// The tags of a bullet: kind and name.
fn tags(text: &str) -> Vec<(String, String)> {
    let brackets = text.split('[').skip(1).filter_map(|rest| rest.split_once(']'));
    let pairs = brackets.filter_map(|(inside, _)| inside.split_once(": "));
    let tags = pairs.filter(|(kind, _)| ["type", "test", "clippy", "tidy"].contains(kind));
    tags.flat_map(|(kind, names)| {
        names.split(", ").map(|name| (kind.to_owned(), name.trim_matches('`').to_owned()))
    })
    .collect()
}

/// Whether the thing that a tag names exists.
fn exists(files: &[(String, String)], kind: &str, name: &str) -> bool {
    match kind {
        "type" => files.iter().any(|(_, text)| defines(text, name)),
        "test" => {
            let (path, test) =
                name.split_once("::").map_or((name, None), |(path, test)| (path, Some(test)));
            let is_tool = path.starts_with("xtask/");
            let path = if is_tool { path.into() } else { format!("crates/slicegpt-{path}") };
            let folder = format!("{path}/");
            let mut found =
                files.iter().filter(|(file, _)| *file == path || file.starts_with(&folder));
            found.any(|(_, text)| test.is_none_or(|test| defines(text, test)))
        }
        _ => files.iter().any(|(file, _)| *file == format!("xtask/src/tidy/{name}.rs")),
    }
}

/// Whether a file defines something called `name`.
pub fn defines(text: &str, name: &str) -> bool {
    const KEYWORDS: &[&str] = &["enum", "fn", "struct", "trait", "type"];
    let last = name.rsplit("::").next().unwrap_or(name);
    text.contains(last)
        && words(text).any(|(at, word)| {
            let rest = text[at + word.len()..].strip_prefix(' ');
            KEYWORDS.contains(&word)
                && rest
                    .and_then(|rest| rest.strip_prefix(last))
                    .is_some_and(|rest| !rest.starts_with(is_word))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &[(&str, &str)] = &[
        ("crates/slicegpt-core/src/norm.rs", "pub struct Norm {}\nfn bare() {}"),
        ("crates/slicegpt-cli/tests/memory.rs", "#[test]\nfn memory_is_bounded() {}"),
        ("crates/slicegpt-cli/tests/serve/main.rs", "mod x;"),
        ("xtask/src/tidy/cycles.rs", ""),
    ];

    #[track_caller]
    fn check_bullet(bullet: &str, message: Option<&str>) {
        let files: Vec<_> =
            FILES.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let text = format!("# A\n\n{HEADING}\n\n{bullet}\n\n## Next\n\n- no rule\n");
        let found = check(&text, "bool_lint = \"warn\"\n", &files);
        assert_eq!(found.len(), usize::from(message.is_some()), "{bullet}: {found:?}");
        for (violation, message) in found.iter().zip(message) {
            assert_eq!(violation.line, 5);
            assert!(violation.message.contains(message), "{violation}");
        }
    }

    #[test]
    fn an_invariant_names_what_keeps_it() {
        check_bullet("- It holds.", Some("says nowhere"));
        check_bullet("- It holds\n  always [type: `Norm`].", None);
        check_bullet("- It holds [type: Nor].", Some("[type: Nor] does not exist"));
        check_bullet("- It holds [test: cli/tests/memory.rs::memory_is_bounded].", None);
        check_bullet("- It holds [test: cli/tests/memory.rs::other].", Some("::other]"));
        check_bullet("- It holds [test: cli/tests/serve] [tidy: cycles].", None);
        check_bullet("- It holds [tidy: cycles, nothing].", Some("[tidy: nothing]"));
        check_bullet("- It holds [clippy: bool_lint].", None);
        check_bullet("- It holds [clippy: lint].", Some("[clippy: lint]"));
    }
}
