//! Lines that are too wide. `rustfmt` breaks code but neither comments nor strings.

use super::rules::{MAX_COLUMNS, WIDE_FILES};
use super::violation::Violation;

pub fn check(path: &str, text: &str) -> Vec<Violation> {
    if WIDE_FILES.iter().any(|(allowed, _)| *allowed == path) {
        return Vec::new();
    }
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    // An address cannot be broken.
    let wide = lines.filter(|(_, line)| width(line) > MAX_COLUMNS && !line.contains("://"));
    let message =
        |line| format!("{} columns, more than {MAX_COLUMNS}: break the line", width(line));
    wide.map(|(number, line)| Violation::new(path, number, message(line))).collect()
}

fn width(line: &str) -> usize {
    line.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_lines_are_found_unless_they_hold_an_address() {
        let line = |length: usize| format!("// {}\n", "ä".repeat(length - 3));
        let text = [line(100), line(101), format!("// https://x/{}\n", "y".repeat(100))].concat();
        let found = check("x.rs", &text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].line, 2);
    }
}
