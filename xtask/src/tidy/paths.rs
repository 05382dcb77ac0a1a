//! The paths a piece of code names, whether written out or imported.

use std::ops::Range;

/// The offsets at which `path` is written out or imported. `path` may end in `*` for the glob
/// import.
///
/// `code` is bare code: no comments, no literals. An import of anything inside `path` counts, also
/// in braces: `use std::{fs, io}` names `std::fs`.
pub fn mentions(code: &str, path: &str) -> Vec<usize> {
    let written = code.match_indices(path).map(|(at, _)| at).filter(|&at| {
        let before = code[..at].chars().next_back();
        let after = code[at + path.len()..].chars().next();
        let is_glob = path.ends_with('*');
        !before.is_some_and(|c| is_word(c) || c == ':') && (is_glob || !after.is_some_and(is_word))
    });
    let imported = imports(code)
        .into_iter()
        .filter(|import| {
            let rest = import.path.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
        .map(|import| import.at);
    let mut found: Vec<usize> = written.chain(imported).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The identifiers of `code` and where each begins.
pub fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + code[rest..].find(is_word)?;
        let length = code[start..].find(|c| !is_word(c)).unwrap_or(code.len() - start);
        rest = start + length;
        Some((start, &code[start..rest]))
    })
}

/// One path that a `use` declaration brings in.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    /// The offset of its last part.
    pub at: usize,
    /// The whole path; it ends in `*` for a glob import.
    pub path: String,
    /// The name under which it is known here.
    pub name: String,
    /// Whether the declaration has a visibility, which makes it a re-export.
    pub is_public: bool,
}

/// Every path that a `use` declaration of `code` brings in.
pub fn imports(code: &str) -> Vec<Import> {
    let mut found = Vec::new();
    for range in use_declarations(code) {
        let is_public = is_public(code[..range.start].trim_end());
        expand(code, range.start + "use".len()..range.end, "", is_public, &mut found);
    }
    found
}

/// The byte ranges of the `use` declarations of `code`, from `use` to the semicolon.
pub fn use_declarations(code: &str) -> Vec<Range<usize>> {
    let starts = words(code).filter(|(_, word)| *word == "use").map(|(at, _)| at);
    // `impl Trait + use<'a>` captures lifetimes and imports nothing.
    let starts = starts.filter(|at| !code[at + "use".len()..].starts_with('<'));
    let end = |at| code[at..].find(';').map_or(code.len(), |length| at + length);
    starts.map(|at| at..end(at)).collect()
}

/// Whether the code before a `use` ends with `pub`, `pub(crate)` or the like.
fn is_public(before: &str) -> bool {
    let before = match before.strip_suffix(')') {
        Some(inside) => inside.rsplit_once('(').map_or("", |(before, _)| before),
        None => before,
    };
    before.strip_suffix("pub").is_some_and(|rest| !rest.ends_with(is_word))
}

/// One branch of a use tree: `a::b`, `a::*`, `a::{..}` or `a as b`, below `prefix`.
fn expand(
    code: &str,
    branch: Range<usize>,
    prefix: &str,
    is_public: bool,
    found: &mut Vec<Import>,
) {
    let text = &code[branch.clone()];
    let Some(open) = text.find('{') else {
        let (path, alias) = text.split_once(" as ").map_or((text, None), |(a, b)| (a, Some(b)));
        let at = branch.start + path.len() - path.trim_start().len();
        let path = format!("{prefix}{}", path.trim().trim_start_matches("::"));
        // `use a::{self}` brings in `a`.
        let path = path.strip_suffix("::self").unwrap_or(&path).to_owned();
        let name = alias.map_or_else(|| path.rsplit("::").next().unwrap_or(&path), str::trim);
        found.push(Import { at, name: name.to_owned(), path, is_public });
        return;
    };
    let prefix = format!("{prefix}{}", text[..open].trim().trim_start_matches("::"));
    let inside = branch.start + open + 1;
    let (mut depth, mut start) = (0, inside);
    for (at, c) in code[inside..branch.end].char_indices().map(|(at, c)| (inside + at, c)) {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                if !code[start..at].trim().is_empty() {
                    expand(code, start..at, &prefix, is_public, found);
                }
                start = at + 1;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// The paths of at least two parts that are written out in `code`, outside of `use` declarations.
pub fn written_paths(code: &str) -> Vec<(usize, &str)> {
    let uses = use_declarations(code);
    let mut found = Vec::new();
    let mut end = 0;
    for (at, _) in words(code) {
        if at < end || uses.iter().any(|range| range.contains(&at)) {
            continue;
        }
        end = at;
        loop {
            end += code[end..].find(|c| !is_word(c)).unwrap_or(code.len() - end);
            let rest = code[end..].strip_prefix("::");
            if !rest.is_some_and(|rest| rest.starts_with(is_word)) {
                break;
            }
            end += "::".len();
        }
        let is_tail = code[..at].ends_with("::") || code[..at].ends_with('.');
        if !is_tail && code[at..end].contains("::") {
            found.push((at, &code[at..end]));
        }
    }
    found
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_tree_is_written_out() {
        let code = "use std::{io, fs::{self, File as F}, net::*};\npub use ::burn::tensor::Tensor;";
        let found: Vec<String> = imports(code).into_iter().map(|import| import.path).collect();
        let expected =
            ["std::io", "std::fs", "std::fs::File", "std::net::*", "burn::tensor::Tensor"];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_import_has_a_name_and_may_be_a_reexport() {
        let code =
            "use a::B as C;\npub(crate) use d::E;\npub use f::*;\nfn g() -> impl H + use<> {}";
        let found: Vec<_> =
            imports(code).into_iter().map(|import| (import.name, import.is_public)).collect();
        assert_eq!(found, [("C".into(), false), ("E".into(), true), ("*".into(), true)]);
    }

    #[test]
    fn written_paths_are_found_outside_of_imports() {
        let code = "use a::b;\nfn f(x: crate::c::D) -> e::F { x.g::<h::I>().j; super::K::l() }";
        let found: Vec<&str> = written_paths(code).into_iter().map(|(_, path)| path).collect();
        assert_eq!(found, ["crate::c::D", "e::F", "h::I", "super::K::l"]);
    }

    #[test]
    fn a_path_is_found_however_it_is_named() {
        let rows = [
            ("std::fs", "use std::fs;", 1),
            ("std::fs", "use std::fs::File;", 1),
            ("std::fs", "use std::{\n    fs, io,\n};", 1),
            ("std::fs", "fn f() { std::fs::read(p); }", 1),
            ("std::fs", "use std::fsync; use my::std::fs; let x = std::fs_extra;", 0),
            ("burn::tensor::Tensor", "use burn::tensor::{Device, Tensor};", 1),
            ("burn::tensor::Tensor", "use burn::tensor::{Device, TensorData};", 0),
            ("burn::tensor::*", "use burn::tensor::*;", 1),
            ("burn::tensor::*", "use burn::{module::Module, tensor::*};", 1),
            ("burn::prelude", "use burn::prelude::*;", 1),
            ("process::exit", "use std::process;\nprocess::exit(1)", 1),
            ("process::exit", "process::ExitCode", 0),
        ];
        for (path, code, count) in rows {
            assert_eq!(mentions(code, path).len(), count, "{path} in {code}");
        }
    }

    #[test]
    fn words_are_identifiers() {
        let found: Vec<_> = words("a_b+größe(c1)").collect();
        assert_eq!(found, [(0, "a_b"), (4, "größe"), (12, "c1")]);
    }
}
