//! The files and items that a document names in code spans exist.
//!
//! A path may leave out `crates/` or `crates/slicegpt-` at its beginning and `.rs` at its end, and
//! may list several names in braces. An item is `slicegpt_NAME::path::Item`.

use super::invariants::defines;
use super::violation::Violation;

/// The documents that are checked.
pub const DOCUMENTS: &[&str] = &["ARCHITECTURE.md", "docs/glossary.md"];

/// `files` are the Rust files of the workspace: paths and texts. `exists` says whether there is a
/// file or a folder at a path below the root.
pub fn check(
    document: &str,
    text: &str,
    files: &[(String, String)],
    exists: &dyn Fn(&str) -> bool,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for span in line.split('`').skip(1).step_by(2) {
            let missing = if let Some(item) = span.strip_prefix("slicegpt_") {
                (!is_item(files, item)).then(|| span.to_owned())
            } else if is_path(span) {
                alternatives(span).into_iter().find(|path| !is_there(path, exists))
            } else {
                None
            };
            if let Some(missing) = missing {
                let message = format!("`{missing}` does not exist");
                violations.push(Violation::new(document, index + 1, message));
            }
        }
    }
    violations
}

/// Whether a code span is a path of the workspace, and not a command, a pattern or a URL.
fn is_path(span: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_-.{},".contains(c);
    let mut folders = span.split('/').skip(1);
    span.chars().all(plain)
        && !span.starts_with(['.', '/'])
        && (span.starts_with("crates/")
            || folders.any(|folder| ["src", "tests", "examples", "python"].contains(&folder)))
}

/// `a/{b,c}.rs` as `a/b.rs` and `a/c.rs`.
fn alternatives(span: &str) -> Vec<String> {
    let parts = span.split_once('{').and_then(|(before, rest)| {
        let (names, after) = rest.split_once('}')?;
        Some((before, names, after))
    });
    match parts {
        Some((before, names, after)) => {
            names.split(',').map(|name| format!("{before}{name}{after}")).collect()
        }
        None => vec![span.to_owned()],
    }
}

fn is_there(path: &str, exists: &dyn Fn(&str) -> bool) -> bool {
    let path = path.trim_end_matches('/');
    ["", "crates/", "crates/slicegpt-"]
        .iter()
        .any(|start| ["", ".rs"].iter().any(|end| exists(&format!("{start}{path}{end}"))))
}

/// Whether the crate `slicegpt-NAME` defines the last part of `NAME::path::Item`.
fn is_item(files: &[(String, String)], item: &str) -> bool {
    let Some((name, item)) = item.split_once("::") else { return true };
    let folder = format!("crates/slicegpt-{}/", name.replace('_', "-"));
    files.iter().any(|(path, text)| path.starts_with(&folder) && defines(text, item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_line(line: &str, missing: Option<&str>) {
        let files = [("crates/slicegpt-core/src/norm.rs", "pub struct Norm {}\nfn bare() {}")];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let there =
            ["crates/slicegpt-core/src", "crates/slicegpt-core/src/norm.rs", "xtask/src/x.rs"];
        let found = check("A.md", &format!("# A\n{line}\n"), &files, &|path| there.contains(&path));
        let found: Vec<_> = found.iter().map(|it| (it.line, it.message.as_str())).collect();
        let message = missing.map(|missing| format!("`{missing}` does not exist"));
        let expected: Vec<_> = message.iter().map(|message| (2, message.as_str())).collect();
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn what_a_document_names_exists() {
        check_line("`core/src/`, `crates/slicegpt-core/src/norm.rs`, `core/src/norm`", None);
        check_line("in `core/src/{norm,block}.rs`", Some("core/src/block.rs"));
        check_line("`xtask/src/x.rs` and `xtask/src/y.rs`", Some("xtask/src/y.rs"));
        check_line("`slicegpt_core::Norm::bare`, `slicegpt_core::Norm`", None);
        check_line("`slicegpt_core::Block`", Some("slicegpt_core::Block"));
        check_line("`slicegpt_slice::Norm`", Some("slicegpt_slice::Norm"));
        // These are not paths of the workspace.
        check_line("`families/<family>.rs`, `../src/x.rs`, `W <- B^T W`, `a/b`, `src/x.rs`", None);
    }
}
