//! [`Text`]: rows of text, and the name of their source.

use std::path::Path;

use slicegpt_limits::Budget;

use crate::chat::{Conversations, Render};
use crate::contents::{self, Format, LEAST, TIMES};
use crate::error::{CorpusError, Result};
use crate::{csv_rows, json, table};

/// What is between two paragraphs.
const SEPARATOR: &str = "\n\n";

/// Rows of text: records of a JSON or parquet file, or paragraphs.
#[derive(Clone, Debug)]
pub struct Text {
    rows: Vec<String>,
    source: String,
    /// Whether the rows are conversations, with all their special tokens.
    is_chat: bool,
}

impl Text {
    /// Reads a file, packed with gzip or zstd or not.
    ///
    /// - `.jsonl`, `.ndjson`: one JSON object per line; blank lines are skipped. `.json`: the same,
    ///   or a list of objects. `.csv`, `.tsv`: a table with names in its first line. `.parquet`: a
    ///   table. Each record is a row: the string in `column` if one is given, else in `text`, else
    ///   the conversation in `messages`, else the Alpaca prompt of `instruction`, `input` and
    ///   `output`. Records that are null there, or that lack what others have, are skipped.
    /// - Another file is parquet if it begins as such, and JSON lines if each of its lines is an
    ///   object of JSON.
    /// - Anything else: plain text. Its paragraphs, separated by blank lines, are the rows. Joined
    ///   with blank lines they are the file again, except that a byte order mark is dropped and
    ///   `\r\n` becomes `\n`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, does not have the format of its extension, has no such column
    /// or no text, holds conversations, or becomes much more than its size.
    pub fn read(path: &Path, column: Option<&str>) -> Result<Self> {
        Self::read_with(path, column, None)
    }

    /// As [`Self::read`]; `render` makes texts of conversations. These are lists of objects with
    /// `role` and `content`. Their texts have all special tokens that the model needs, so that a
    /// tokenizer adds none, and nothing comes between two of them.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], and what `render` says.
    pub fn read_with(
        path: &Path,
        column: Option<&str>,
        render: Option<&Render<'_>>,
    ) -> Result<Self> {
        let size = path.metadata().map_or(0, |metadata| metadata.len());
        let budget = Budget::of_file(size, TIMES, LEAST, "text from a chat template");
        let chats = Conversations::new(render, budget);
        let rows = if contents::is_parquet(path)? {
            table::rows(path, column, &chats)?
        } else {
            let (text, format) = contents::read(path)?;
            match (format, column) {
                (Format::Lines, _) => json::lines(path, &text, column, &chats)?,
                (Format::Json, _) => json::sniffed(path, &text, column, &chats)?,
                (Format::Table(separator), _) => csv_rows::rows(path, &text, separator, column)?,
                (Format::Plain, None) => paragraphs(&text),
                (Format::Plain, Some(column)) => {
                    let (path, column) = (path.into(), column.into());
                    return Err(CorpusError::NoColumns { path, column });
                }
            }
        };
        if rows.iter().all(|row| row.trim().is_empty()) {
            return Err(CorpusError::Empty(path.into()));
        }
        let source = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { rows, source, is_chat: chats.found() })
    }

    /// A small text that is part of this crate, for a first try.
    pub fn bundled() -> Self {
        let rows = paragraphs(include_str!("../data/bundled.txt"));
        Self { rows, source: "bundled".into(), is_chat: false }
    }

    /// The rows, some of which may be empty.
    pub fn rows(&self) -> &[String] {
        &self.rows
    }

    /// The name of the file, or `bundled`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the rows are conversations, with all their special tokens.
    pub(crate) fn is_chat(&self) -> bool {
        self.is_chat
    }

    /// What is between two rows: a blank line, or nothing between conversations.
    pub(crate) fn separator(&self) -> &'static str {
        if self.is_chat { "" } else { SEPARATOR }
    }

    /// The whole text: the rows, joined.
    pub(crate) fn joined(&self) -> String {
        self.rows.join(self.separator())
    }

    #[cfg(test)]
    pub(crate) fn from_rows(rows: &[&str]) -> Self {
        let rows = rows.iter().map(|row| row.to_string()).collect();
        Self { rows, source: "test".into(), is_chat: false }
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
    fn formats_are_told_by_content_as_well_as_by_name() {
        let rows =
            |name: &str, contents: &[u8]| read(name, contents, None).unwrap().rows().to_vec();
        let lines =
            "{\"text\": \"a \\\"NaN\\\"\", \"n\": NaN, \"m\": -Infinity}\n{\"text\": \"b\"}\n";
        for name in ["a.jsonl", "a.txt", "a"] {
            assert_eq!(rows(name, lines.as_bytes()), ["a \"NaN\"", "b"], "{name}");
        }
        // One line that is none makes it a text.
        assert_eq!(rows("a.txt", b"{\"text\": \"a\"}\nb"), ["{\"text\": \"a\"}\nb"]);
        let csv = "label,text\n1,\"a \"\"b\"\", c\n\nd\"\n2,e\n";
        assert_eq!(rows("a.csv", csv.as_bytes()), ["a \"b\", c\n\nd", "e"]);
        assert_eq!(rows("a.TSV", b"\xef\xbb\xbftext\tlabel\na, b\t1\n"), ["a, b"]);
        let zip = |bytes: &[u8]| {
            let mut packed = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
            let mut gz = Vec::new();
            std::io::Read::read_to_end(&mut packed, &mut gz).unwrap();
            [gz, zstd::encode_all(bytes, 1).unwrap()]
        };
        for packed in zip(lines.as_bytes()) {
            for name in ["a.json.gz", "a.jsonl.zst", "a.jsonl", "a.txt"] {
                assert_eq!(rows(name, &packed), ["a \"NaN\"", "b"], "{name}");
            }
        }
        for packed in zip(csv.as_bytes()) {
            assert_eq!(rows("a.csv.gz", &packed).len(), 2);
        }
        let error =
            |name: &str, contents: &[u8]| read(name, contents, None).unwrap_err().to_string();
        assert!(error("a.csv", b"id,body\n1,x\n").contains("it has `id`, `body`"));
        assert!(error("a.csv", b"text,b\n1\n").contains("the same columns"));
        assert!(error("a.gz", &[0x1f, 0x8b, 8, 0, 0]).contains("cannot be unpacked"));
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
            "line 1: has neither a column `text` nor `messages` nor `instruction` and `output`; it \
             has `id`, `body`",
        );
        check(
            "a.jsonl",
            b"{\"id\": 1, \"text\": \"x\"}\n{}",
            Some("body"),
            "line 1: has no column `body`; it has `id`, `text`",
        );
        check("a.jsonl", br#"{"text": ["a"]}"#, None, "line 1: column `text` holds a list");
        check("a.parquet", b"PAR1, or not", None, "");
        let missing = Text::read(Path::new("no/such.txt"), None).unwrap_err().to_string();
        assert!(missing.starts_with("no/such.txt: "), "{missing}");
    }

    /// These are UTF-8 at least in part, and would be read as texts.
    #[test]
    fn files_that_are_no_texts_say_what_they_are() {
        let check = |name: &str, contents: &[u8], expected: &str| {
            let error = read(name, contents, None).unwrap_err().to_string();
            assert!(error.contains(&format!("{name}: {expected}")), "{error}");
        };
        let utf16: Vec<u8> = "Once upon a time".bytes().flat_map(|byte| [byte, 0]).collect();
        for name in ["a.txt", "a.csv", "a.jsonl"] {
            check(name, &utf16, "has many characters 0: is it UTF-16");
        }
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
        check("a.jsonl", pointer, "is a Git LFS pointer, not the text; run `git lfs pull`");
        check("a.txt", b"PK\x03\x04 and so on", "is a zip archive");
        check("a.txt", b"BZh91AY&SY and so on", "is packed with bzip2");
        let tar = [&b"name"[..], &[0; 253], b"ustar"].concat();
        check("a.txt", &tar, "is a tar archive");
        let table = zstd::encode_all(&b"PAR1, or not"[..], 1).unwrap();
        check("a.parquet.zst", &table, "a Parquet table is read from its end");
        // A few are no reason to refuse a text.
        let text = ["a word ".repeat(100).as_bytes(), &[0; 2]].concat();
        assert_eq!(read("a.txt", &text, None).unwrap().rows().len(), 1);
    }

    #[test]
    fn lists_that_are_no_conversations_are_refused_or_empty() {
        let file = "{\"messages\": []}\n{\"messages\": \"a\"}";
        assert_eq!(read("a.jsonl", file.as_bytes(), None).unwrap().rows(), ["a"]);
        let file = r#"{"messages": [{"from": "human", "value": "a"}]}"#;
        let error = read("a.jsonl", file.as_bytes(), None).unwrap_err().to_string();
        assert!(error.contains("holds a list that is not a conversation (of objects"), "{error}");
    }

    #[test]
    fn records_without_text_are_skipped() {
        let rows =
            |name, contents: &str| read(name, contents.as_bytes(), None).unwrap().rows().to_vec();
        assert_eq!(rows("a.jsonl", "{\"id\": 1}\n{\"text\": \"a\"}\n{\"id\": 2}"), ["a"]);
        assert_eq!(rows("a.json", r#"[{"text": "a"}, {"id": 1}]"#), ["a"]);
    }

    #[test]
    fn conversations_become_text() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chats.jsonl");
        let turns = r#"[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]"#;
        let file = format!("{{\"messages\": {turns}}}\n{{\"messages\": []}}\n{{\"id\": 1}}\n");
        std::fs::write(&path, file.replace("[]", "null")).unwrap();
        let render = |turns: &serde_json::Value| match turns.as_array() {
            Some(turns) if turns.len() == 2 => Ok(format!("<{}>", turns[1]["content"])),
            _ => Err("not two".to_string()),
        };
        for column in [None, Some("messages")] {
            let text = Text::read_with(&path, column, Some(&render)).unwrap();
            assert_eq!((text.rows(), text.is_chat()), (&["<\"b\">".to_string()][..], true));
            let error = Text::read(&path, column).unwrap_err().to_string();
            assert!(error.contains("line 1: column `messages` holds conversations"), "{error}");
        }
        std::fs::write(&path, r#"{"messages": [{"role": "user", "content": "a"}]}"#).unwrap();
        let error = Text::read_with(&path, None, Some(&render)).unwrap_err().to_string();
        assert!(error.ends_with("line 1: column `messages`: not two"), "{error}");
    }

    #[test]
    fn what_a_packed_file_becomes_is_bounded() {
        let zeros = vec![b'0'; (LEAST + 1) as usize];
        let bomb = zstd::encode_all(&zeros[..], 1).unwrap();
        let error = read("a.txt.zst", &bomb, None).unwrap_err().to_string();
        assert!(error.contains("a.txt.zst: becomes more than 134217728 bytes of text"), "{error}");
    }

    #[test]
    fn the_bundled_text_has_paragraphs() {
        let text = Text::bundled();
        assert_eq!(text.source(), "bundled");
        assert!(text.rows().len() > 3);
    }
}
