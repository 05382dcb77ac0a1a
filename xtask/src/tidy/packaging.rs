//! The metadata that a registry requires of published crates. Other crates have
//! `publish = false`.

use super::violation::Violation;
use crate::workspace::{DependencyKind, Package};

/// Fields of a manifest that a registry shows or searches.
const FIELDS: &[&str] = &["description", "license", "keywords", "categories", "readme"];

pub fn check(package: &Package, packages: &[Package], manifest: &str) -> Vec<Violation> {
    if !package.is_published {
        return Vec::new();
    }
    let mut violations = Vec::new();
    let mut violation = |message| violations.push(Violation::new(&package.manifest, 1, message));
    for field in FIELDS.iter().filter(|field| !package.fields.iter().any(|it| it == *field)) {
        violation(format!("no `{field}`, which a registry asks for; or add `publish = false`"));
    }
    if !manifest.contains("[package.metadata.docs.rs]") {
        violation("no `[package.metadata.docs.rs]`: say how its documentation is built".into());
    }
    for dependency in &package.dependencies {
        let name = &dependency.name;
        let Some(sibling) = packages.iter().find(|other| other.name == *name) else { continue };
        // A path without a version is left out of a package, which only tests can do without.
        if dependency.kind == DependencyKind::Dev {
            continue;
        }
        if !dependency.has_version {
            violation(format!("{name} has no version: a registry knows no paths"));
        }
        if !sibling.is_published {
            violation(format!("{name} is not published: this crate cannot be either"));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    const MANIFEST: &str = "[package]\n[package.metadata.docs.rs]\n";

    fn package(name: &str, is_published: bool, has_version: bool, on: Option<&str>) -> Package {
        let dependency = |name: &str| Dependency {
            name: name.to_owned(),
            kind: DependencyKind::Normal,
            features: Vec::new(),
            has_version,
        };
        Package {
            is_published,
            fields: FIELDS.iter().map(|&field| field.to_owned()).collect(),
            dependencies: on.map(dependency).into_iter().collect(),
            ..Package::named(name)
        }
    }

    #[test]
    fn a_published_crate_says_what_a_registry_asks() {
        let core = package("core", true, true, None);
        assert!(check(&core, &[], MANIFEST).is_empty());
        let silent = Package { fields: Vec::new(), ..package("core", true, true, None) };
        assert_eq!(check(&silent, &[], MANIFEST).len(), FIELDS.len());
        assert_eq!(check(&core, &[], "[package]\n").len(), 1);
        let own = Package { is_published: false, ..silent };
        assert!(check(&own, &[], "").is_empty());
    }

    #[test]
    fn a_published_crate_depends_on_published_ones() {
        let packages = [package("core", true, true, None), package("kit", false, true, None)];
        for (on, has_version, count) in
            [("core", true, 0), ("core", false, 1), ("kit", true, 1), ("serde", true, 0)]
        {
            let found = check(&package("x", true, has_version, Some(on)), &packages, MANIFEST);
            assert_eq!(found.len(), count, "{on} {has_version}: {found:?}");
        }
    }
}
