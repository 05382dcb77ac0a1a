//! [`Contents`]: the text of a file, unpacked, and the format that it is in.

use std::io::Read;
use std::path::Path;

use slicegpt_limits::Budget;

use crate::error::{CorpusError, Result};
use crate::json;

/// How many bytes of text one byte of a packed file, or of a table, may become.
pub(crate) const TIMES: u64 = 64;

/// What a small one may become in any case, in bytes.
pub(crate) const LEAST: u64 = 128 << 20;

/// Bytes of a file of texts.
const MAX_FILE: u64 = 16 << 30;

/// Bytes of texts that come through a pipe.
const MAX_PIPE: u64 = 1 << 30;

/// What a Parquet table begins with.
const PARQUET: &[u8; 4] = b"PAR1";

/// One byte in so many may be 0 in a text.
const MOST_ZEROS: usize = 100;

/// The format of a file of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object per line.
    Lines,
    /// The same, or a list of objects.
    Json,
    /// A table of text, with this character between its columns and names in its first line.
    Table(u8),
    /// Text.
    Plain,
}

/// Whether a file is a Parquet table, by its name or its first bytes. A pipe never is.
pub(crate) fn is_parquet(path: &Path) -> Result<bool> {
    if extension(path).as_deref() == Some("parquet") {
        return Ok(true);
    }
    if !path.is_file() {
        return Ok(false);
    }
    let mut start = [0; 4];
    let mut file = slicegpt_limits::open(path).map_err(CorpusError::io(path))?;
    Ok(file.read_exact(&mut start).is_ok() && start == *PARQUET)
}

/// The text of a file, or of a pipe, in UTF-8, without its byte order mark, and its format: that of
/// its name, where this says something, else that of its contents. A file packed with gzip or zstd
/// is unpacked, whatever its name.
pub(crate) fn read(path: &Path) -> Result<(String, Format)> {
    let most = if path.is_file() { MAX_FILE } else { MAX_PIPE };
    let bytes = slicegpt_limits::read_input(path, most).map_err(CorpusError::io(path))?;
    let bytes = if bytes.starts_with(PARQUET) { bytes } else { unpacked(path, bytes)? };
    if let Some(reason) = other_format(&bytes) {
        return Err(CorpusError::NotRead { path: path.into(), reason: reason.into() });
    }
    let text = String::from_utf8(bytes).map_err(|error| CorpusError::NotUtf8 {
        path: path.into(),
        offset: error.utf8_error().valid_up_to(),
    })?;
    let text = match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_string(),
        None => text,
    };
    let mut kind = extension(path);
    if let Some("gz" | "zst" | "zstd") = kind.as_deref() {
        kind = path.file_stem().and_then(|stem| extension(Path::new(stem)));
    }
    let format = match kind.as_deref() {
        Some("jsonl" | "ndjson") => Format::Lines,
        Some("json") => Format::Json,
        Some("csv") => Format::Table(b','),
        Some("tsv") => Format::Table(b'\t'),
        _ if json::are_lines(&text) => Format::Lines,
        _ => Format::Plain,
    };
    Ok((text, format))
}

/// What a file is that is not read as text, though some of these are UTF-8, and what to do.
fn other_format(bytes: &[u8]) -> Option<&'static str> {
    let formats: [(usize, &[u8], &str); 8] = [
        (
            0,
            PARQUET,
            "a Parquet table is read from its end, so not from a pipe or a packed file; unpack it, \
             and give the file",
        ),
        (
            0,
            b"version https://git-lfs",
            "is a Git LFS pointer, not the text; run `git lfs pull` in that directory, or download \
             the file",
        ),
        (0, b"PK\x03\x04", "is a zip archive; unpack it"),
        (4, b"1AY&SY", "is packed with bzip2; unpack it"),
        (0, b"\xfd7zXZ\0", "is packed with xz; unpack it"),
        (257, b"ustar", "is a tar archive; unpack it"),
        (0, b"%PDF-", "is a PDF; convert it to text"),
        (0, b"ARROW1\0\0", "is an Arrow file; convert it to Parquet or JSON lines"),
    ];
    let begins = |at: usize, mark: &[u8]| bytes.get(at..).is_some_and(|b| b.starts_with(mark));
    if let Some((.., what)) = formats.iter().find(|(at, mark, _)| begins(*at, mark)) {
        return Some(what);
    }
    // In UTF-16 every other byte of a Latin text is 0.
    let zeros = bytes.iter().filter(|byte| **byte == 0).count();
    (zeros > bytes.len() / MOST_ZEROS)
        .then_some("has many characters 0: is it UTF-16, or not a text file? Convert it to UTF-8")
}

fn extension(path: &Path) -> Option<String> {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase())
}

fn unpacked(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>> {
    let reader: Box<dyn Read + '_> = match &bytes[..] {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(&bytes[..])),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let decoder = zstd::stream::read::Decoder::with_buffer(&bytes[..]);
            Box::new(decoder.map_err(CorpusError::io(path))?)
        }
        _ => return Ok(bytes),
    };
    let mut budget = Budget::of_file(bytes.len() as u64, TIMES, LEAST, "text");
    let mut plain = Vec::new();
    let read = reader.take(budget.left().saturating_add(1)).read_to_end(&mut plain);
    let failed = |reason: String| CorpusError::Packed { path: path.into(), reason };
    read.map_err(|error| failed(error.to_string()))?;
    let too_large = |error: std::io::Error| CorpusError::TooLarge {
        path: path.into(),
        reason: error.to_string(),
    };
    budget.spend(plain.len() as u64).map_err(too_large)?;
    Ok(plain)
}
