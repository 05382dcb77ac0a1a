//! [`Text`]: rows of text, and the name of their source.

use std::path::Path;

use crate::error::{CorpusError, Result};
use crate::{json, table};

/// The text between two joined rows.
pub(crate) const SEPARATOR: &str = "\n\n";

/// Rows of text: records of a JSON or parquet file, or paragraphs.
#[derive(Clone, Debug)]
pub struct Text {
    rows: Vec<String>,
    source: String,
}

impl Text {
    /// Reads a file in the format of its extension.
    ///
    /// - `.jsonl`, `.ndjson`: one JSON object per line; blank lines are skipped. `.json`: the same,
    ///   or a list of objects. `.parquet`: a table. Each record is a row: the string in `column` if
    ///   one is given, else in `text`, else the Alpaca prompt of `instruction`, `input` and
    ///   `output`. Records that are null there are skipped.
    /// - Anything else: plain text. Its paragraphs, separated by blank lines, are the rows. Joined
    ///   with blank lines they are the file again, except that a byte order mark is dropped and
    ///   `\r\n` becomes `\n`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, does not have the format of its extension, or has no such column
    /// or no text.
    pub fn read(path: &Path, column: Option<&str>) -> Result<Self> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        let rows = match extension.as_deref() {
            Some("jsonl" | "ndjson") => json::lines(path, &contents(path)?, column)?,
            Some("json") => json::sniffed(path, &contents(path)?, column)?,
            Some("parquet") => table::rows(path, column)?,
            _ => match column {
                None => paragraphs(&contents(path)?),
                Some(column) => {
                    return Err(CorpusError::NoColumns {
                        path: path.into(),
                        column: column.into(),
                    });
                }
            },
        };
        if rows.iter().all(|row| row.trim().is_empty()) {
            return Err(CorpusError::Empty(path.into()));
        }
        let source = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { rows, source })
    }

    /// A small text that is part of this crate, for a first try.
    pub fn bundled() -> Self {
        Self { rows: paragraphs(include_str!("../data/bundled.txt")), source: "bundled".into() }
    }

    /// The rows, some of which may be empty.
    pub fn rows(&self) -> &[String] {
        &self.rows
    }

    /// The name of the file, or `bundled`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The whole text: the rows, joined with blank lines.
    pub(crate) fn joined(&self) -> String {
        self.rows.join(SEPARATOR)
    }

    #[cfg(test)]
    pub(crate) fn from_rows(rows: &[&str]) -> Self {
        Self { rows: rows.iter().map(|row| row.to_string()).collect(), source: "test".into() }
    }
}

/// The content of a UTF-8 file, without byte order mark.
fn contents(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(CorpusError::io(path))?;
    let text = String::from_utf8(bytes).map_err(|error| CorpusError::NotUtf8 {
        path: path.into(),
        offset: error.utf8_error().valid_up_to(),
    })?;
    match text.strip_prefix('\u{feff}') {
        Some(rest) => Ok(rest.into()),
        None => Ok(text),
    }
}

fn paragraphs(text: &str) -> Vec<String> {
    text.replace("\r\n", "\n").split(SEPARATOR).map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, contents: &[u8], column: Option<&str>) -> Result<Text> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, contents).unwrap();
        Text::read(&path, column)
    }

    #[test]
    fn joined_paragraphs_are_the_file_again() {
        for file in ["one\nrow", "a\n\nb\n\n\n\nc\n\n\nd\n", "\n\na\n\n"] {
            assert_eq!(read("a.txt", file.as_bytes(), None).unwrap().joined(), file);
        }
        let text = read("a.txt", "\u{feff}a\r\nb\r\n\r\nc".as_bytes(), None).unwrap();
        assert_eq!(text.rows(), ["a\nb", "c"]);
        assert_eq!(text.source(), "a.txt");
    }

    #[test]
    fn records_are_rows() {
        let rows = |name, contents: &str, column| {
            read(name, contents.as_bytes(), column).unwrap().rows().to_vec()
        };
        let lines = "{\"text\": \"a\", \"b\": \"x\"}\r\n\r\n{\"b\": \"y\", \"text\": \"\"}\n\
                     {\"text\": null, \"b\": \"z\"}";
        let list =
            r#" [{"text": "a", "b": "x"}, {"b": "y", "text": ""}, {"text": null, "b": "z"}]"#;
        for (name, file) in [
            ("a.jsonl", lines),
            ("a.NDJSON", lines),
            ("a.json", lines),
            ("a.json", list),
            ("a.json", &format!("\u{feff}{list}")),
        ] {
            assert_eq!(rows(name, file, None), ["a", ""], "{name}");
            assert_eq!(rows(name, file, Some("b")), ["x", "y", "z"], "{name}");
        }
    }

    #[test]
    fn alpaca_records_are_prompts() {
        let file = br#"[{"instruction": "Add.", "input": "1 2", "output": "3"}]"#;
        let text = read("a.json", file, None).unwrap();
        let [row] = text.rows() else { panic!("one row") };
        assert!(
            row.ends_with("### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n3"),
            "{row}"
        );
    }

    #[test]
    fn errors_name_file_and_cause() {
        let check = |name: &str, contents: &[u8], column, expected: &str| {
            let error = read(name, contents, column).unwrap_err().to_string();
            assert!(error.contains(&format!("{name}: {expected}")), "{error}");
        };
        check("a.txt", b"", None, "holds no text");
        check("a.txt", b" \n\n\n", None, "holds no text");
        check("a.txt", b"caf\xe9", None, "is not UTF-8 at byte 3");
        check("a.txt", b"a", Some("b"), "is read as plain text, which has no column `b`");
        check("a.jsonl", b"", None, "holds no text");
        check("a.json", b"[]", None, "holds no text");
        check("a.jsonl", b"{\"text\": \"a\"}\n\n{\"text\": ", None, "line 3: EOF while parsing");
        check("a.jsonl", b"[1]", None, "line 1: a list, not a JSON object");
        check("a.json", b"[\n{\"text\": \"a\"},\n{]", None, "line 3: key must be a string");
        check("a.json", b"[{\"text\": \"a\"}, 3]", None, "record 2: a number, not a JSON object");
        check(
            "a.jsonl",
            br#"{"id": 1, "body": "x"}"#,
            None,
            "line 1: has neither a column `text` nor `instruction` and `output`; it has `id`, \
             `body`",
        );
        check(
            "a.jsonl",
            b"{\"body\": \"a\"}\n{\"id\": 1, \"text\": \"x\"}",
            Some("body"),
            "line 2: has no column `body`; it has `id`, `text`",
        );
        check("a.jsonl", br#"{"text": ["a"]}"#, None, "line 1: column `text` holds a list");
        check("a.parquet", b"PAR1, or not", None, "");
        let missing = Text::read(Path::new("no/such.txt"), None).unwrap_err().to_string();
        assert!(missing.starts_with("no/such.txt: "), "{missing}");
    }

    #[test]
    fn the_bundled_text_has_paragraphs() {
        let text = Text::bundled();
        assert_eq!(text.source(), "bundled");
        assert!(text.rows().len() > 3);
    }
}
