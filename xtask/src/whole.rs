//! Files that appear whole: written to a temporary file, then renamed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Writes the files, by name, into `folder`. None appears before all of them are written.
pub fn write(folder: &Path, files: &[(String, String)]) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // In the same folder, so that a rename is enough. It is removed when this returns.
    let aside = tempfile::Builder::new()
        .prefix("files.partial-")
        .tempdir_in(folder)
        .with_context(|| format!("cannot write in {}", folder.display()))?;
    for (name, text) in files {
        let path = aside.path().join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let rename = |(name, _): &(String, String)| {
        let path = folder.join(name);
        fs::rename(aside.path().join(name), &path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    files.iter().map(rename).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_replace_what_was_there_and_leave_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a/b");
        write(&out, &[("x.csv".to_owned(), "old".to_owned())]).unwrap();
        let files = [("x.csv", "new"), ("y.md", "text")];
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let paths = write(&out, &files).unwrap();
        assert_eq!(paths, [out.join("x.csv"), out.join("y.md")]);
        assert_eq!(fs::read_to_string(out.join("x.csv")).unwrap(), "new");
        assert_eq!(names(&out), ["x.csv", "y.md"]);
    }

    #[test]
    fn nothing_appears_where_one_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let files = [("x.csv", "new"), ("no/such/folder.md", "text")];
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let error = write(folder.path(), &files).unwrap_err().to_string();
        assert!(error.contains("folder.md"), "{error}");
        assert!(names(folder.path()).is_empty());
    }
}
