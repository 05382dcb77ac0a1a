//! Items, macros, options and family names that the code of a crate must not contain.

use super::code::Code;
use super::paths::{mentions, words};
use super::rules::{
    FAMILIES_IN_STRINGS, FAMILY_CRATES, Forbidden, SOURCES, SPELLINGS, SourceRule, Spelling,
};
use super::violation::{Violation, line_at};
use crate::workspace::Package;

/// Checks one file of `package`; its tests, benches and examples are free.
pub fn check(package: &Package, families: &[String], path: &str, text: &str) -> Vec<Violation> {
    let inside = path.strip_prefix(package.folder()).unwrap_or(path);
    if !inside.starts_with("/src/") || is_test_module(inside) {
        return Vec::new();
    }
    let code = Code::parse(text);
    let mut violations = Vec::new();
    for rule in SOURCES.iter().filter(|rule| rule.scope.contains(&package.name)) {
        for (at, name) in forbidden(rule, &code) {
            let message = format!("`{name}`: {}", rule.advice);
            violations.push(Violation::new(path, line_at(&code.bare, at), message));
        }
    }
    if !FAMILY_CRATES.contains(&package.name.as_str()) {
        let is_allowed = FAMILIES_IN_STRINGS.iter().any(|(file, _)| *file == path);
        let seen = if is_allowed { &code.bare } else { &code.with_strings };
        for (at, word) in family_names(seen, families) {
            let message = format!("`{word}` names a model family: only the zoo knows families");
            violations.push(Violation::new(path, line_at(seen, at), message));
        }
    }
    violations
}

fn is_test_module(inside: &str) -> bool {
    inside.split('/').any(|part| part == "tests" || part == "tests.rs")
}

fn forbidden(rule: &SourceRule, code: &Code) -> Vec<(usize, String)> {
    let bare = code.bare.as_str();
    match rule.forbidden {
        Forbidden::Paths(paths) => paths
            .iter()
            .flat_map(|path| mentions(bare, path).into_iter().map(|at| (at, (*path).to_owned())))
            .collect(),
        Forbidden::Macros(macros) => words(bare)
            .filter(|(at, word)| {
                let after = &bare[at + word.len()..];
                macros.contains(word) && after.starts_with('!') && !after.starts_with("!=")
            })
            .map(|(at, word)| (at, format!("{word}!")))
            .collect(),
        Forbidden::Flags => flags(code),
    }
}

/// The options of a command line in the literals of `code`: two dashes, and a letter behind them.
fn flags(code: &Code) -> Vec<(usize, String)> {
    let text = code.with_strings.as_str();
    let starts = text.match_indices("--").map(|(at, _)| at).filter(|&at| {
        // In a literal, which bare code leaves blank.
        code.bare[at..].starts_with("  ")
            && text[at + 2..].starts_with(|c: char| c.is_ascii_lowercase())
            && !text[..at].ends_with(|c: char| c == '-' || c.is_alphanumeric())
    });
    let end = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    let flag = |at: usize| text[at..].split(end).next().unwrap_or_default().to_owned();
    starts.map(|at| (at, flag(at))).collect()
}

fn family_names<'a>(code: &'a str, families: &[String]) -> Vec<(usize, &'a str)> {
    let named = |word: &str| families.iter().any(|family| names_family(word, family));
    words(code).filter(|(_, word)| named(word)).collect()
}

/// Whether `word` names the family of the file `{family}.rs`. A digit at its end is a version.
fn names_family(word: &str, family: &str) -> bool {
    let family = family.trim_end_matches(|c: char| c.is_ascii_digit());
    let spelling = SPELLINGS.iter().find(|(name, _)| *name == family);
    names(word, family, spelling.map_or(Spelling::Anywhere, |(_, spelling)| *spelling))
}

fn names(word: &str, family: &str, spelling: Spelling) -> bool {
    match spelling {
        Spelling::Anywhere => word.to_lowercase().contains(family),
        Spelling::Part => parts(word).iter().any(|part| part == family),
        Spelling::Whole => word.eq_ignore_ascii_case(family),
    }
}

/// `PhiConfig2` and `phi_config` are both `phi` and `config`.
fn parts(word: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut after_lowercase = false;
    for c in word.chars() {
        if !c.is_alphabetic() || (c.is_uppercase() && after_lowercase) {
            parts.push(String::new());
        }
        if c.is_alphabetic() {
            parts.last_mut().expect("never empty").extend(c.to_lowercase());
        }
        after_lowercase = c.is_lowercase();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_lines(name: &str, file: &str, text: &str, lines: &[usize]) {
        let families = ["llama", "phi3", "opt"].map(str::to_owned);
        let path = format!("crates/{name}/{file}");
        let found = check(&Package::named(name), &families, &path, text);
        let mut at: Vec<usize> = found.iter().map(|violation| violation.line).collect();
        at.sort_unstable();
        at.dedup();
        assert_eq!(at, lines, "{text}\n{found:?}");
    }

    #[test]
    fn the_core_touches_no_file() {
        let text = "//! Reads std::fs.\nuse std::{\n    fs,\n    io,\n};\n";
        check_lines("slicegpt-core", "src/basis.rs", text, &[3]);
        check_lines("slicegpt-checkpoint", "src/reader.rs", text, &[]);
        check_lines("slicegpt-core", "tests/files.rs", text, &[]);
    }

    #[test]
    fn libraries_do_not_print_or_end_the_process() {
        let text = "//! x\nfn f() {\n    println!();\n    todo!()\n}\n// dbg!(1)\nlet todo = 1;\n";
        check_lines("slicegpt-slice", "src/run.rs", text, &[3, 4]);
        check_lines("slicegpt-cli", "src/main.rs", text, &[]);
        check_lines("slicegpt-slice", "src/run.rs", "use std::process;\nprocess::exit(1)", &[2]);
        check_lines("slicegpt-slice", "src/run.rs", "f(\"println!()\")", &[]);
    }

    #[test]
    fn libraries_know_no_command_line() {
        for (text, lines) in [
            ("let a = \"use --force\";", &[1][..]),
            ("//! Like --force.\nlet a = b --c;\nlet d = r#\"(--out x)\"#;", &[3]),
            ("let a = \"a--b\"; let rule = \"-----\"; let html = \"<!-- a --> --1\";", &[]),
        ] {
            check_lines("slicegpt-slice", "src/run.rs", text, lines);
            check_lines("slicegpt-cli", "src/run.rs", text, &[]);
        }
    }

    #[test]
    fn the_binary_holds_no_tensor() {
        check_lines("slicegpt-cli", "src/run.rs", "use burn::tensor::{Device, Tensor};", &[1]);
        check_lines("slicegpt-cli", "src/run.rs", "use burn::tensor::Device;", &[]);
        check_lines("slicegpt-slice", "src/run.rs", "use burn::tensor::Tensor;", &[]);
    }

    #[test]
    fn a_family_is_named_only_in_the_zoo() {
        let rows = [
            ("struct LlamaConfig;", true),
            ("let path = \"ts-llama3-gqa\";", true),
            ("match family { Phi3 => 1 }", true),
            ("const PHI: f64 = 1.6;", true),
            ("\"opt\" => 1", true),
            ("let opt_level = 3; let option: Option<u8> = None;", false),
            ("graphics, philosophy, Morphism", false),
            ("// like Llama", false),
            ("#[cfg(test)]\nmod tests { const MODEL: &str = \"llama\"; }", false),
        ];
        for (text, is_named) in rows {
            let lines: &[usize] = if is_named { &[1] } else { &[] };
            check_lines("slicegpt-slice", "src/run.rs", text, lines);
            check_lines("slicegpt-slice", "src/tests.rs", text, &[]);
            check_lines("slicegpt-models", "src/families/mod.rs", text, &[]);
        }
    }
}
