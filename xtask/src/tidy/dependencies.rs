//! Which crates may depend on which, and which may choose a backend.

use super::rules::{BACKEND_CRATES, BACKENDS, CRATES};
use super::violation::Violation;
use crate::workspace::{DependencyKind, Package};

pub fn check(package: &Package, siblings: &[&str], manifest: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut violation = |line, message: String| {
        violations.push(Violation::new(&package.manifest, line, message));
    };
    let name = package.name.as_str();
    let rule = CRATES.iter().find(|rule| rule.name == name);
    if rule.is_none() {
        violation(1, format!("{name} has no row in CRATES: say what it may depend on"));
    }
    let may_choose_backend = BACKEND_CRATES.contains(&name);

    for dependency in &package.dependencies {
        // Tests may use any crate.
        if dependency.kind == DependencyKind::Dev {
            continue;
        }
        let other = dependency.name.as_str();
        let line = line_of(manifest, other);
        if let Some(rule) = rule {
            if siblings.contains(&other) && !rule.siblings.contains(&other) {
                let allowed = list_or_nothing(rule.siblings);
                violation(line, format!("{name} may not depend on {other}, only on {allowed}"));
            }
            if rule.forbidden.contains(&other) {
                violation(line, format!("{name} must stay free of {other}"));
            }
        }
        if other == "burn" && !may_choose_backend {
            for backend in backends(&dependency.features) {
                violation(line, chooses(name, backend));
            }
        }
    }
    if !may_choose_backend {
        let enabled: Vec<&str> = package
            .feature_values
            .iter()
            .filter_map(|value| value.strip_prefix("burn/").or(value.strip_prefix("burn?/")))
            .collect();
        for backend in backends(&enabled) {
            violation(line_of(manifest, "features"), chooses(name, backend));
        }
    }
    violations
}

fn backends<S: AsRef<str>>(features: &[S]) -> impl Iterator<Item = &str> {
    features.iter().map(AsRef::as_ref).filter(|feature| BACKENDS.contains(feature))
}

fn chooses(name: &str, backend: &str) -> String {
    format!("{name} chooses the backend `{backend}`: leave that to {}", BACKEND_CRATES.join(", "))
}

fn list_or_nothing(names: &[&str]) -> String {
    if names.is_empty() { "crates from outside".to_owned() } else { names.join(", ") }
}

/// The first line that starts with `key` as a whole word, or 1.
fn line_of(manifest: &str, key: &str) -> usize {
    let starts = |line: &str| {
        let rest = line.trim_start_matches('[').strip_prefix(key);
        rest.is_some_and(|rest| {
            !rest.starts_with(|c: char| c.is_alphanumeric() || "-_".contains(c))
        })
    };
    manifest.lines().position(starts).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    const SIBLINGS: &[&str] = &["slicegpt-core", "slicegpt-models", "slicegpt-testkit"];

    fn dependency(name: &str, kind: DependencyKind, features: &[&str]) -> Dependency {
        let features = features.iter().map(|&feature| feature.to_owned()).collect();
        Dependency { name: name.to_owned(), kind, features, has_version: true }
    }

    fn messages(name: &str, dependencies: Vec<Dependency>, feature_values: &[&str]) -> Vec<String> {
        let package = Package {
            dependencies,
            feature_values: feature_values.iter().map(|&value| value.to_owned()).collect(),
            ..Package::named(name)
        };
        check(&package, SIBLINGS, "").into_iter().map(|violation| violation.message).collect()
    }

    #[test]
    fn only_the_listed_siblings_may_be_used() {
        use DependencyKind::{Build, Dev, Normal};
        let rows: &[(&str, &str, DependencyKind, usize)] = &[
            ("slicegpt-models", "slicegpt-core", Normal, 0),
            ("slicegpt-core", "slicegpt-models", Normal, 1),
            ("slicegpt-core", "slicegpt-models", Build, 1),
            ("slicegpt-core", "faer", Normal, 1),
            ("slicegpt-core", "faer", Dev, 0),
            ("slicegpt-cli", "slicegpt-testkit", Normal, 1),
            ("slicegpt-cli", "slicegpt-testkit", Dev, 0),
            ("slicegpt-testkit", "slicegpt-models", Normal, 0),
            ("slicegpt-new", "slicegpt-core", Normal, 1),
        ];
        for &(name, other, kind, count) in rows {
            let found = messages(name, vec![dependency(other, kind, &[])], &[]);
            assert_eq!(found.len(), count, "{name} -> {other} ({kind:?}): {found:?}");
        }
    }

    #[test]
    fn a_library_chooses_no_backend() {
        let burn = |kind| vec![dependency("burn", kind, &["std", "flex"])];
        assert_eq!(messages("slicegpt-core", burn(DependencyKind::Normal), &[]).len(), 1);
        assert!(messages("slicegpt-core", burn(DependencyKind::Dev), &[]).is_empty());
        let device = messages("slicegpt-device", burn(DependencyKind::Normal), &["burn/wgpu"]);
        assert!(device.is_empty());
        assert_eq!(messages("slicegpt-cli", burn(DependencyKind::Normal), &[]).len(), 1);
        assert_eq!(messages("slicegpt-core", Vec::new(), &["burn/wgpu", "burn?/cuda"]).len(), 2);
    }

    #[test]
    fn a_violation_points_at_its_line() {
        let manifest = "[dependencies]\nburn-core = \"1\"\nburn.workspace = true\n[features]\n";
        assert_eq!(line_of(manifest, "burn"), 3);
        assert_eq!(line_of(manifest, "features"), 4);
        assert_eq!(line_of(manifest, "faer"), 1);
    }
}
