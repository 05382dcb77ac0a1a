//! [`Patterns`]: ranks and scales by the names of modules (`rank_pattern`, `alpha_pattern`), and
//! the regular expressions in them.

use regex::{Regex, RegexBuilder};

/// Bytes that one regular expression may take when it is compiled.
const MAX_COMPILED: usize = 1 << 20;

/// Patterns that are regular expressions and no plain names.
const MAX_EXPRESSIONS: usize = 256;

/// What comparing all patterns with all modules may cost, where a plain name costs 1.
const MAX_WORK: usize = 1 << 28;

/// Work of a regular expression.
const WORK_OF_EXPRESSION: usize = 64;

/// Values by pattern. The first that matches counts, as in PEFT.
pub(crate) struct Patterns<T> {
    rules: Vec<(Rule, T)>,
    work: usize,
}

enum Rule {
    /// A name, which is the end of a module's name; a dot stands for any character.
    Name(String),
    Expression(Regex),
}

impl<T: Copy> Patterns<T> {
    /// Compiles `patterns`. `Err` says what is wrong with one of them.
    pub fn new(patterns: &[(String, T)]) -> Result<Self, String> {
        let mut rules = Vec::with_capacity(patterns.len());
        let mut expressions = 0;
        for (text, value) in patterns {
            let rule = if is_plain(text) {
                Rule::Name(text.clone())
            } else {
                expressions += 1;
                if expressions > MAX_EXPRESSIONS {
                    return Err(format!("has more than {MAX_EXPRESSIONS} regular expressions"));
                }
                Rule::Expression(expression(&format!("^(?:.*\\.)?(?:{text})$"), text)?)
            };
            rules.push((rule, *value));
        }
        let work = rules.len() - expressions + expressions * WORK_OF_EXPRESSION;
        Ok(Self { rules, work })
    }

    /// Refuses to compare the patterns with so many modules that it would take minutes.
    pub fn check_work(&self, modules: usize) -> Result<(), String> {
        if self.work.saturating_mul(modules) > MAX_WORK {
            return Err(format!("has too many patterns for {modules} modules"));
        }
        Ok(())
    }

    /// The value for `module`, if a pattern matches.
    pub fn of(&self, module: &str) -> Option<T> {
        let found = self.rules.iter().find(|(rule, _)| match rule {
            Rule::Name(name) => is_end(name, module),
            Rule::Expression(regex) => regex.is_match(module),
        });
        found.map(|(_, value)| *value)
    }
}

/// The regular expression `anchored`, which the file calls `text`.
pub(crate) fn expression(anchored: &str, text: &str) -> Result<Regex, String> {
    RegexBuilder::new(anchored).size_limit(MAX_COMPILED).build().map_err(|_| {
        let shown: String = text.chars().take(80).collect();
        format!(
            "`{shown}` is a regular expression that is not understood here; name the modules \
             instead"
        )
    })
}

/// Whether `text` means itself, except that a dot stands for any character.
pub(crate) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Whether `module` ends with `name`, at the start of a component.
fn is_end(name: &str, module: &str) -> bool {
    let (name, module) = (name.as_bytes(), module.as_bytes());
    let Some(start) = module.len().checked_sub(name.len()) else { return false };
    let same = |(x, y): (&u8, &u8)| x == y || *x == b'.';
    (start == 0 || module[start - 1] == b'.') && name.iter().zip(&module[start..]).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_match_counts() {
        let patterns = [
            ("layers.1.q_proj".to_string(), 1),
            ("^model\\.layers\\.[02]\\..*".to_string(), 2),
            ("q_proj".to_string(), 3),
        ];
        let patterns = Patterns::new(&patterns).unwrap();
        let of = |module: &str| patterns.of(module);
        assert_eq!(of("model.layers.1.q_proj"), Some(1));
        assert_eq!(of("model.layers.2.q_proj"), Some(2));
        assert_eq!(of("model.layers.3.q_proj"), Some(3));
        // The start of a component.
        assert_eq!(of("model.layers.3.xq_proj"), None);
        assert_eq!(of("proj"), None);
        assert_eq!(of("q_proj"), Some(3));
    }

    #[test]
    fn what_is_not_understood_or_costs_too_much_is_refused() {
        let error = Patterns::new(&[("(?=a)".to_string(), 1)]).err().unwrap();
        assert!(error.contains("(?=a)"), "{error}");
        assert!(Patterns::new(&[("(a{1000}){1000}".to_string(), 1)]).is_err());
        let many: Vec<_> = (0..300).map(|i| (format!("a{i}+"), 1)).collect();
        assert!(Patterns::new(&many).is_err());
        let names: Vec<_> = (0..300).map(|i| (format!("a{i}"), 1)).collect();
        let names = Patterns::new(&names).unwrap();
        assert!(names.check_work(100_000).is_ok() && names.check_work(10_000_000).is_err());
    }
}
