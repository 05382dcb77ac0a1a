//! [`check_archive`]: an archive is one that PyTorch may have written, and that every reader of
//! archives reads alike.
//!
//! PyTorch packs nothing, and puts the parts of an archive one after another. Readers differ in
//! what they make of anything else: of two directories, of two entries of one name, of entries
//! whose names differ only in case. What is checked here would then not be what Python runs.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use super::refusal::{Refusal, Result};

/// Largest directory of an archive, in bytes. Archives of 100 000 tensors have less.
const LARGEST_DIRECTORY: u64 = 16 << 20;

/// Length of the record that ends an archive, without a comment.
const END: u64 = 22;

/// Length of the two records before it in archives that may be larger than 4 GB: the end of the
/// directory, and its place.
const LARGE_END: u64 = 56;
const LOCATOR: u64 = 20;

/// The directory of an archive.
#[derive(Debug, PartialEq)]
struct Directory {
    entries: u64,
    size: u64,
    start: u64,
}

/// Opens the archive in `file`, which has `length` bytes, and returns it and the indices of its
/// pickles.
///
/// # Errors
///
/// If PyTorch does not write such archives, or it is truncated.
pub(super) fn check_archive(
    mut file: File,
    length: u64,
) -> Result<(ZipArchive<BufReader<File>>, Vec<usize>)> {
    let directory = directory(&mut file, length)?;
    if directory.size > LARGEST_DIRECTORY {
        let Directory { size, .. } = directory;
        return Err(Refusal::Unusual(format!("its directory has {size} bytes")));
    }
    let corrupt = |error: zip::result::ZipError| Refusal::Corrupt(error.to_string());
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = ZipArchive::with_config(config, BufReader::new(file)).map_err(corrupt)?;
    if archive.central_directory_start() != directory.start {
        return Err(Refusal::Unusual("it has two directories".into()));
    }
    // The reader of archives keeps one entry of each name.
    if archive.len() as u64 != directory.entries {
        return Err(Refusal::Unusual("it has two entries of one name".into()));
    }
    let (mut names, mut spans, mut pickles) = (HashSet::new(), Vec::new(), Vec::new());
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(corrupt)?;
        let name = entry.name().map_err(corrupt)?.to_ascii_lowercase();
        if entry.compression() != CompressionMethod::Stored
            || entry.size() != entry.compressed_size()
        {
            return Err(Refusal::Unusual(format!("its entry {name} is compressed")));
        }
        let data = entry.data_start().ok_or_else(|| Refusal::corrupt("an entry has no data"))?;
        spans.push((entry.header_start(), data.saturating_add(entry.size())));
        if name.ends_with(".pkl") {
            pickles.push(index);
        }
        if let Some(name) = names.replace(name) {
            return Err(Refusal::Unusual(format!("it has two entries {name}")));
        }
    }
    spans.sort_unstable();
    spans.push((directory.start, directory.start));
    if spans.windows(2).all(|pair| pair[0].1 <= pair[1].0) {
        Ok((archive, pickles))
    } else {
        Err(Refusal::Unusual("its entries overlap".into()))
    }
}

/// An entry, as its own header describes it.
pub(super) struct Entry {
    pub is_pickle: bool,
    /// Where its data begin and end in the file.
    pub start: u64,
    pub end: u64,
}

/// The entry whose header is `at`, if there is one, its data are stored as they are, and its header
/// says how many there are.
pub(super) fn entry_at(file: &mut File, at: u64) -> Option<Entry> {
    let header = record::<30>(file, at).ok()?;
    let stored = header[8..10] == [0, 0] && header[6] & 8 == 0;
    if !header.starts_with(b"PK\x03\x04") || !stored {
        return None;
    }
    let name = at + header.len() as u64;
    let length = number(&header[26..28]);
    let ending = record::<4>(file, (name + length).checked_sub(4)?).ok()?;
    let start = name + length + number(&header[28..30]);
    let end = start.checked_add(number(&header[18..22]))?;
    Some(Entry { is_pickle: ending.eq_ignore_ascii_case(b".pkl"), start, end })
}

/// Reads where the directory of an archive is, from the records after it.
fn directory(file: &mut File, length: u64) -> Result<Directory> {
    let truncated = || Refusal::corrupt("it does not end as an archive does");
    let end_at = length.checked_sub(END).ok_or_else(truncated)?;
    let end = record::<{ END as usize }>(file, end_at)?;
    if !end.starts_with(b"PK\x05\x06") || end[20..] != [0, 0] {
        return Err(truncated());
    }
    let small = Directory {
        entries: number(&end[10..12]),
        size: number(&end[12..16]),
        start: number(&end[16..20]),
    };
    let large_at = end_at.checked_sub(LOCATOR + LARGE_END);
    let large = large_at.map(|at| large(file, at)).transpose()?.flatten();
    let (found, end_at) = match large {
        Some(large) => (large, end_at - LOCATOR - LARGE_END),
        None => (small, end_at),
    };
    if found.start.checked_add(found.size) == Some(end_at) {
        Ok(found)
    } else {
        Err(Refusal::Unusual("its directory is not at its end".into()))
    }
}

/// The directory of an archive that may be larger than 4 GB, if there are such records at `at`.
fn large(file: &mut File, at: u64) -> Result<Option<Directory>> {
    let locator = record::<{ LOCATOR as usize }>(file, at + LARGE_END)?;
    if !locator.starts_with(b"PK\x06\x07") {
        return Ok(None);
    }
    let end = record::<{ LARGE_END as usize }>(file, at)?;
    if !end.starts_with(b"PK\x06\x06") || number(&locator[8..16]) != at {
        return Err(Refusal::Unusual("its directory is not at its end".into()));
    }
    Ok(Some(Directory {
        entries: number(&end[32..40]),
        size: number(&end[40..48]),
        start: number(&end[48..56]),
    }))
}

fn record<const N: usize>(file: &mut File, at: u64) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn number(little_endian: &[u8]) -> u64 {
    little_endian.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
