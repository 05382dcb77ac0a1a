//! [`ModelId`]: the name of a model on the Hub.

use std::fmt;
use std::path::Path;

/// The branch that is used if no revision is given.
const DEFAULT_REVISION: &str = "main";

/// `org/name`, or `org/name@revision`: a branch, a tag, a commit or a reference such as
/// `refs/pr/1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelId {
    name: String,
    revision: Option<String>,
}

impl ModelId {
    /// Reads `text` if it has the form of an id: two parts of letters, digits, `-`, `_` and `.`, as
    /// the Hub allows them. `./a/b`, `/a/b`, `a/b/c` and `a` are paths.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, revision) = match text.split_once('@') {
            Some((name, revision)) => (name, Some(revision)),
            None => (text, None),
        };
        let (owner, model) = name.split_once('/')?;
        let named = name.len() <= 96 && is_part(owner) && is_part(model);
        (named && revision.is_none_or(is_revision))
            .then(|| Self { name: name.into(), revision: revision.map(Into::into) })
    }

    /// The name, `org/name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The revision, `main` if none was given.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT_REVISION)
    }

    /// `org/name` of the model, if `directory` is a snapshot in a cache of the Hub.
    pub fn of_snapshot(directory: &Path) -> Option<String> {
        let resolved = directory.canonicalize().ok()?;
        let snapshots = resolved.parent().filter(|parent| parent.ends_with("snapshots"))?;
        let folder = snapshots.parent()?.file_name()?.to_str()?;
        Some(folder.strip_prefix("models--")?.replacen("--", "/", 1))
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.revision.iter().try_for_each(|revision| write!(f, "@{revision}"))
    }
}

/// Whether `text` is a valid name of an organisation or a model.
fn is_part(text: &str) -> bool {
    let ends = |c: char| matches!(c, '-' | '.');
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !text.starts_with(ends)
        && !text.ends_with(ends)
        && !text.contains("--")
        && !text.contains("..")
}

/// Whether `text` is a valid git reference, and safe as a path under `refs` of the cache.
fn is_revision(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_graphic() && !"?#%\\:*[]~^@<>|\"'`{}".contains(c))
        && text.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
        && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinguished_from_paths() {
        let check = |text: &str, name: &str, revision: &str| {
            let id = ModelId::parse(text).unwrap_or_else(|| panic!("{text} is an id"));
            assert_eq!((id.name(), id.revision(), id.to_string()), (name, revision, text.into()));
        };
        check("org/name", "org/name", "main");
        check("o-r.g_1/Name-2.5B@main", "o-r.g_1/Name-2.5B", "main");
        check("a/b@refs/pr/1", "a/b", "refs/pr/1");
        check("a/b@0123456789abcdef", "a/b", "0123456789abcdef");
        for path in [
            "gpt2", "", "/", "a/", "/b", "a/b/c", "./a", "../a", "a/..", "~/a", "/a/b", "a b/c",
            "a/b.", "a--b/c", "a/b@", "a/b@../c", "a/b@/c", "a/b@c d", "a/b@c?d", "a/b@c//d",
            "a@b/c", "C:\\a/b",
        ] {
            assert_eq!(ModelId::parse(path), None, "{path}");
        }
        assert_eq!(ModelId::parse(&format!("a/{}", "b".repeat(95))), None);
    }

    #[test]
    fn a_snapshot_knows_its_model() {
        let cache = tempfile::tempdir().unwrap();
        let snapshot = cache.path().join("models--org--name/snapshots/abc");
        std::fs::create_dir_all(&snapshot).unwrap();
        assert_eq!(ModelId::of_snapshot(&snapshot).as_deref(), Some("org/name"));
        assert_eq!(ModelId::of_snapshot(cache.path()), None);
        assert_eq!(ModelId::of_snapshot(&cache.path().join("none")), None);
    }
}
