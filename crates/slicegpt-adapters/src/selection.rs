//! [`Selection`]: which modules of a model an adapter changes, as PEFT decides it.

use std::collections::HashSet;

use regex::Regex;

use crate::patterns::{expression, is_plain};

/// Names of modules, or a rule for them.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// All linear modules except the head (`all-linear`).
    AllLinear,
    /// Modules by their whole names, or the last components of them.
    Modules(Vec<String>),
    /// A regular expression for whole names.
    Pattern(String),
}

impl std::fmt::Display for Targets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AllLinear => f.write_str("all-linear"),
            Self::Modules(names) if names.len() > 8 => {
                write!(f, "{}, ...", names[..8].join(", "))
            }
            Self::Modules(names) => f.write_str(&names.join(", ")),
            Self::Pattern(text) => f.write_str(text),
        }
    }
}

/// Which modules an adapter changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// The modules (`target_modules`).
    pub targets: Targets,
    /// Modules that are left out (`exclude_modules`), never [`Targets::AllLinear`].
    pub exclude: Option<Targets>,
    /// The layers (`layers_to_transform`); empty for all.
    pub layers: Vec<usize>,
    /// The components before the number of a layer (`layers_pattern`); empty for any.
    pub layers_pattern: Vec<String>,
}

/// A selection that names can be compared with.
pub(crate) struct Matcher<'a> {
    selection: &'a Selection,
    /// Modules that are saved as a whole, which are never adapted.
    saved: &'a [String],
    include: Compiled<'a>,
    exclude: Option<Compiled<'a>>,
    layers: HashSet<usize>,
}

/// Targets that names are compared with in a time that does not grow with their number.
enum Compiled<'a> {
    AllLinear,
    Names(HashSet<&'a str>),
    Expression(Regex),
}

impl<'a> Compiled<'a> {
    fn new(targets: &'a Targets) -> Result<Self, String> {
        Ok(match targets {
            Targets::AllLinear => Self::AllLinear,
            Targets::Modules(names) => Self::Names(names.iter().map(String::as_str).collect()),
            Targets::Pattern(text) => Self::Expression(expression(&format!("^(?:{text})$"), text)?),
        })
    }
}

impl<'a> Matcher<'a> {
    /// Compiles `selection`. `Err` holds the key and what is wrong with it.
    pub fn new(
        selection: &'a Selection,
        saved: &'a [String],
    ) -> Result<Self, (&'static str, String)> {
        let compiled = |key: &'static str, targets: &'a Targets| {
            Compiled::new(targets).map_err(|reason| (key, reason))
        };
        let include = compiled("target_modules", &selection.targets)?;
        let exclude = selection.exclude.as_ref();
        let exclude = exclude.map(|it| compiled("exclude_modules", it)).transpose()?;
        let layers = selection.layers.iter().copied().collect();
        for (key, names) in
            [("modules_to_save", saved), ("layers_pattern", selection.layers_pattern.as_slice())]
        {
            if let Some(name) = names.iter().find(|name| !is_plain(name)) {
                let shown: String = name.chars().take(80).collect();
                return Err((key, format!("`{shown}` is a pattern; name the modules instead")));
            }
        }
        Ok(Self { selection, saved, include, exclude, layers })
    }

    /// Whether `module` is selected. `is_inner_linear` says whether it is a linear module other
    /// than the head.
    pub fn matches(&self, module: &str, is_inner_linear: bool) -> bool {
        let left_out = match &self.exclude {
            Some(Compiled::Names(names)) => ends(module).any(|end| names.contains(end)),
            Some(Compiled::Expression(regex)) => regex.is_match(module),
            Some(Compiled::AllLinear) | None => false,
        };
        if left_out || self.saved.iter().any(|name| has_component(name, module)) {
            return false;
        }
        match &self.include {
            Compiled::AllLinear => is_inner_linear,
            Compiled::Expression(regex) => regex.is_match(module),
            // A whole name counts in every layer.
            Compiled::Names(names) => {
                names.contains(module)
                    || (ends(module).any(|end| names.contains(end)) && self.in_layers(module))
            }
        }
    }

    /// The names in a list of targets that are no end of any of `modules`.
    pub fn unmatched<'m>(&self, modules: impl Iterator<Item = &'m str>) -> Vec<String> {
        let Targets::Modules(names) = &self.selection.targets else { return Vec::new() };
        let known: HashSet<&str> = modules.flat_map(ends).collect();
        names.iter().filter(|name| !known.contains(name.as_str())).cloned().collect()
    }

    fn in_layers(&self, module: &str) -> bool {
        self.layers.is_empty()
            || layer(module, &self.selection.layers_pattern)
                .is_some_and(|layer| self.layers.contains(&layer))
    }
}

/// The number of the layer that `module` is in: the first component that is a number, after a
/// component in `patterns` if there are any, and with one after it.
fn layer(module: &str, patterns: &[String]) -> Option<usize> {
    let parts: Vec<&str> = module.split('.').collect();
    let number = |at: usize| {
        let digits = parts[at].bytes().all(|byte| byte.is_ascii_digit());
        (digits && at + 1 < parts.len()).then(|| parts[at].parse().ok()).flatten()
    };
    let follows = |at: usize, pattern: &str| {
        let before = parts[..at].join(".");
        before.strip_suffix(pattern).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if patterns.is_empty() {
        return (2..parts.len()).find_map(number);
    }
    let after =
        |pattern: &String| (1..parts.len()).filter(|at| follows(*at, pattern)).find_map(number);
    patterns.iter().find_map(after)
}

/// `module`, and what is left of it without its first components.
fn ends(module: &str) -> impl Iterator<Item = &str> {
    let after_dots = module.match_indices('.').map(|(at, _)| &module[at + 1..]);
    std::iter::once(module).chain(after_dots)
}

/// Whether `name` is among the components of `module`.
fn has_component(name: &str, module: &str) -> bool {
    format!(".{module}.").contains(&format!(".{name}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Targets {
        Targets::Modules(names.iter().map(|name| name.to_string()).collect())
    }

    fn all(targets: Targets) -> Selection {
        Selection { targets, exclude: None, layers: Vec::new(), layers_pattern: Vec::new() }
    }

    fn matches(selection: &Selection, module: &str) -> bool {
        Matcher::new(selection, &[]).unwrap().matches(module, true)
    }

    const Q: &str = "model.layers.1.self_attn.q_proj";

    #[test]
    fn modules_are_selected_by_name_and_pattern() {
        for (targets, expected) in [
            (list(&["q_proj"]), true),
            (list(&["self_attn.q_proj", "x"]), true),
            (list(&[Q]), true),
            (list(&["_proj"]), false),
            (list(&[]), false),
            (Targets::AllLinear, true),
            (Targets::Pattern(".*\\.(q|v)_proj".into()), true),
            (Targets::Pattern("q_proj".into()), false),
        ] {
            assert_eq!(matches(&all(targets.clone()), Q), expected, "{targets}");
        }
        assert!(!Matcher::new(&all(Targets::AllLinear), &[]).unwrap().matches("lm_head", false));
        let pattern = all(Targets::Pattern("(?!x).*".into()));
        assert_eq!(Matcher::new(&pattern, &[]).err().unwrap().0, "target_modules");
    }

    #[test]
    fn exclusions_come_first() {
        for exclude in [list(&["q_proj"]), Targets::Pattern(".*\\.1\\..*".into())] {
            let selection = Selection { exclude: Some(exclude), ..all(list(&["q_proj"])) };
            assert!(!matches(&selection, Q));
        }
        let saved = ["self_attn".to_string()];
        let selection = all(list(&["q_proj"]));
        assert!(!Matcher::new(&selection, &saved).unwrap().matches(Q, true));
        let saved = ["(a|b)".to_string()];
        assert_eq!(Matcher::new(&selection, &saved).err().unwrap().0, "modules_to_save");
    }

    #[test]
    fn layers_are_the_first_number() {
        let in_layer = |layers: &[usize], pattern: &[&str], targets: Targets| {
            let layers_pattern = pattern.iter().map(|it| it.to_string()).collect();
            matches(&Selection { layers: layers.to_vec(), layers_pattern, ..all(targets) }, Q)
        };
        assert!(in_layer(&[1, 3], &[], list(&["q_proj"])));
        assert!(!in_layer(&[0], &[], list(&["q_proj"])));
        assert!(in_layer(&[1], &["layers"], list(&["q_proj"])));
        assert!(!in_layer(&[1], &["h"], list(&["q_proj"])));
        assert!(in_layer(&[0], &[], list(&[Q])), "a whole name counts in every layer");
        assert_eq!(layer("h.0.experts.7.x", &[]), Some(7));
        assert_eq!(layer("model.h.0.experts.7.x", &[]), Some(0));
        assert_eq!(layer("model.h.0", &[]), None);
    }

    #[test]
    fn names_that_select_nothing_are_found() {
        let selection = all(list(&["q_proj", "c_attn"]));
        let matcher = Matcher::new(&selection, &[]).unwrap();
        assert_eq!(matcher.unmatched([Q].into_iter()), ["c_attn"]);
    }
}
