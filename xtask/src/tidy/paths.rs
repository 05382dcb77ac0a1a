//! The paths a piece of code names, whether written out or imported.

/// Where `path` is written out or imported; `path` may end in `*` for the glob import.
///
/// `code` is bare code: no comments, no literals. An import of anything inside `path` counts, as
/// does one hidden in braces: `use std::{fs, io}` names `std::fs`.
pub fn mentions(code: &str, path: &str) -> Vec<usize> {
    let written = code.match_indices(path).map(|(at, _)| at).filter(|&at| {
        let before = code[..at].chars().next_back();
        let after = code[at + path.len()..].chars().next();
        let is_glob = path.ends_with('*');
        !before.is_some_and(|c| is_word(c) || c == ':') && (is_glob || !after.is_some_and(is_word))
    });
    let imported = imports(code)
        .into_iter()
        .filter(|(_, import)| {
            import.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
        .map(|(at, _)| at);
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

/// Every path that a `use` declaration brings in, and where its last part stands.
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in words(code).filter(|(_, word)| *word == "use") {
        let start = at + "use".len();
        let end = code[start..].find(';').map_or(code.len(), |length| start + length);
        expand(code, start..end, "", &mut found);
    }
    found
}

/// One branch of a use tree: `a::b`, `a::*`, `a::{..}` or `a as b`, below `prefix`.
fn expand(
    code: &str,
    branch: std::ops::Range<usize>,
    prefix: &str,
    found: &mut Vec<(usize, String)>,
) {
    let text = &code[branch.clone()];
    let Some(open) = text.find('{') else {
        let name = text.split(" as ").next().unwrap_or(text);
        let at = branch.start + name.len() - name.trim_start().len();
        let path = format!("{prefix}{}", name.trim().trim_start_matches("::"));
        // `use a::{self}` brings in `a`.
        found.push((at, path.strip_suffix("::self").unwrap_or(&path).to_owned()));
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
                    expand(code, start..at, &prefix, found);
                }
                start = at + 1;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_tree_is_written_out() {
        let code = "use std::{io, fs::{self, File as F}, net::*};\npub use ::burn::tensor::Tensor;";
        let found: Vec<String> = imports(code).into_iter().map(|(_, path)| path).collect();
        let expected =
            ["std::io", "std::fs", "std::fs::File", "std::net::*", "burn::tensor::Tensor"];
        assert_eq!(found, expected);
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
