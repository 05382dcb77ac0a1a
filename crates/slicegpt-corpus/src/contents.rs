//! [`Contents`]: the text of a file, unpacked, and the format that it is in.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{CorpusError, Result};
use crate::json;

/// How many bytes one byte of a packed file may become. Deflate reaches about 1000.
const MAX_RATIO: u64 = 1100;

/// What a small packed file may become in any case.
const LEAST_BYTES: u64 = 1 << 20;

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

/// Whether a file is a parquet table, by its name or its first bytes.
pub(crate) fn is_parquet(path: &Path) -> Result<bool> {
    let mut start = [0; 4];
    let mut file = File::open(path).map_err(CorpusError::io(path))?;
    let magic = file.read_exact(&mut start).is_ok() && start == *b"PAR1";
    Ok(magic || extension(path).as_deref() == Some("parquet"))
}

/// The text of a file in UTF-8, without its byte order mark, and its format: that of its name,
/// where this says something, else that of its contents. A file packed with gzip or zstd is
/// unpacked, whatever its name.
pub(crate) fn read(path: &Path) -> Result<(String, Format)> {
    let bytes = unpacked(path, std::fs::read(path).map_err(CorpusError::io(path))?)?;
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
    let most = (bytes.len() as u64).saturating_mul(MAX_RATIO).max(LEAST_BYTES);
    let mut plain = Vec::new();
    let failed = |reason: String| CorpusError::Packed { path: path.into(), reason };
    let read = reader.take(most + 1).read_to_end(&mut plain);
    read.map_err(|error| failed(error.to_string()))?;
    match plain.len() as u64 > most {
        true => Err(failed(format!("a byte of it becomes more than {MAX_RATIO}"))),
        false => Ok(plain),
    }
}
