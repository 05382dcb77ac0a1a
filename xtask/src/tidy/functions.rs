//! The length of functions.

use super::code::Code;
use super::paths::{is_word, words};
use super::rules::{LONG_FUNCTIONS, MAX_FUNCTION_LINES};
use super::violation::{Violation, line_at};

pub fn check(path: &str, text: &str) -> Vec<Violation> {
    let bare = Code::parse(text).bare;
    let mut violations = Vec::new();
    for (name, start, end) in functions(&bare) {
        let lines = bare[start..end].matches('\n').count() + 1;
        let is_allowed = LONG_FUNCTIONS.iter().any(|(file, it, _)| (*file, *it) == (path, name));
        if lines > MAX_FUNCTION_LINES && !is_allowed {
            let message = format!(
                "`{name}` has {lines} lines, more than {MAX_FUNCTION_LINES}: give its steps names"
            );
            violations.push(Violation::new(path, line_at(&bare, start), message));
        }
    }
    violations
}

/// The name of each function with a body, and where it starts and ends. Functions inside functions
/// are listed too.
fn functions(bare: &str) -> Vec<(&str, usize, usize)> {
    let mut found = Vec::new();
    for (at, _) in words(bare).filter(|(_, word)| *word == "fn") {
        let rest = bare[at + "fn".len()..].trim_start();
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if length == 0 {
            // `fn(u8)` is a type.
            continue;
        }
        let name = &rest[..length];
        let body = bare.len() - rest.len() + length;
        if let Some(end) = body_end(bare, body) {
            found.push((name, at, end));
        }
    }
    found
}

/// Where the body of a function ends; `None` for a declaration. `start` is behind the name.
fn body_end(bare: &str, start: usize) -> Option<usize> {
    let (mut depth, mut is_body) = (0_i32, false);
    for (at, byte) in bare.bytes().enumerate().skip(start) {
        match byte {
            b';' if depth == 0 => return None,
            b'{' | b'(' | b'[' => {
                is_body |= byte == b'{' && depth == 0;
                depth += 1;
            }
            b'}' | b')' | b']' => {
                depth -= 1;
                if depth == 0 && is_body {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_from_their_name_to_their_brace() {
        let code = "fn a(f: fn(u8) -> [u8; 2]) where A: B { if x { y } }\ntrait T { fn b(&self); }";
        let found = functions(code);
        assert_eq!(found.len(), 1);
        assert!(code[found[0].1..found[0].2].ends_with("{ if x { y } }"));
    }

    #[test]
    fn a_long_function_is_found() {
        let function = |lines: usize| format!("fn long() {{\n{}}}\n", "    x();\n".repeat(lines));
        assert!(check("x.rs", &function(MAX_FUNCTION_LINES - 2)).is_empty());
        let found = check("x.rs", &format!("\n{}", function(MAX_FUNCTION_LINES - 1)));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 2);
    }
}
