//! Refuses pickles that would run code, or cost more to read than their size allows. Files of
//! weights name a handful of constructors; Python would call any other name that a pickle contains.
//!
//! The instructions are followed, and none is executed: this knows what each of them takes and
//! makes, which of them name a Python object, and what their objects cost the reader of tensors.

mod archive;
mod names;
mod operands;
mod refusal;
mod walk;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use slicegpt_limits::Budget;

use crate::error::{CheckpointError, Result};
use archive::check_archive;
use refusal::Refusal;
use walk::walk;

/// Least memory that the objects of a file may cost the reader, in bytes. Those of 10 000 tensors
/// cost less. Larger files may cost as many bytes as they have.
const LEAST: u64 = 192 << 20;

/// Number of pickles at the start of a file of PyTorch before 1.6: magic number, version, machine,
/// the object itself, and the names of its storages. Numbers follow.
const BEFORE_NUMBERS: usize = 5;

/// Which of them is the object. The reader prints the others in its errors, which may take eight
/// times their memory.
const OBJECT: usize = 3;

/// Length of the header of a tar archive.
const TAR_HEADER: usize = 512;

/// Refuses a file of weights that names anything but constructors of tensors, that costs more to
/// read than a multiple of its size, or that PyTorch does not write.
///
/// # Errors
///
/// If it does, or cannot be read.
pub(crate) fn refuse_programs(path: &Path) -> Result<()> {
    let mut file = slicegpt_limits::open(path).map_err(CheckpointError::io(path))?;
    check(&mut file).map_err(|refusal| {
        let path = path.into();
        match refusal {
            Refusal::Names(name) => CheckpointError::Program { path, name },
            Refusal::Unusual(reason) => CheckpointError::Unusual { path, reason },
            Refusal::Corrupt(reason) => CheckpointError::Corrupt { path, reason },
        }
    })
}

fn check(file: &mut File) -> refusal::Result<()> {
    let length = file.metadata()?.len();
    let mut header = Vec::new();
    (&mut *file).take(TAR_HEADER as u64).read_to_end(&mut header)?;
    file.seek(SeekFrom::Start(0))?;
    if header.starts_with(b"PK\x03\x04") || header.starts_with(b"PK\x05\x06") {
        return in_archive(file.try_clone()?, length);
    }
    if is_tar(&header) {
        let reason = "it is a tar archive, as PyTorch before 0.1.10 wrote; save it again";
        return Err(Refusal::Unusual(reason.into()));
    }
    in_sequence(BufReader::new(file), length)
}

/// Walks through all pickles of an archive.
fn in_archive(file: File, length: u64) -> refusal::Result<()> {
    let again = file.try_clone()?;
    let (mut archive, pickles) = check_archive(file, length).map_err(|refusal| {
        // What it names says more than how it is built.
        named_in_entries(again, length).unwrap_or(refusal)
    })?;
    let mut budget = objects(length, 1);
    for index in pickles {
        let entry = archive.by_index(index);
        let entry = entry.map_err(|error| Refusal::Corrupt(error.to_string()))?;
        // The reader holds it whole.
        let size = budget.spend(entry.size());
        size.map_err(|error| Refusal::Unusual(format!("it asks for {error}")))?;
        walk(&mut BufReader::new(entry), &mut budget)?;
    }
    Ok(())
}

/// What a pickle of an archive names that Python would call. The entries are taken from the start
/// of the file, as far as they follow each other: a directory may hide one.
fn named_in_entries(mut file: File, length: u64) -> Option<Refusal> {
    let mut budget = objects(length, 1);
    let mut at = 0;
    while let Some(entry) = archive::entry_at(&mut file, at) {
        if entry.is_pickle {
            file.seek(SeekFrom::Start(entry.start)).ok()?;
            let mut bytes = BufReader::new(&mut file).take(entry.end - entry.start);
            if let Err(refusal @ Refusal::Names(_)) = walk(&mut bytes, &mut budget) {
                return Some(refusal);
            }
        }
        at = entry.end;
    }
    None
}

/// Walks through the consecutive pickles at the start of a file.
fn in_sequence(mut bytes: impl BufRead, length: u64) -> refusal::Result<()> {
    let (mut object, mut others) = (objects(length, 1), objects(length, 8));
    for number in 0..BEFORE_NUMBERS {
        let budget = if number == OBJECT { &mut object } else { &mut others };
        walk(&mut bytes, budget)?;
    }
    Ok(())
}

/// What the objects of a file of `length` bytes may cost, divided by `parts`.
fn objects(length: u64, parts: u64) -> Budget {
    Budget::of_file(length / parts, 1, LEAST / parts, "objects")
}

/// Whether a reader of tar archives would take the file for one: by its name of the format, which
/// early versions lack, or by the sum of its header.
fn is_tar(header: &[u8]) -> bool {
    let field = |from: usize, to: usize| header.get(from..to);
    if field(257, 262) == Some(b"ustar") {
        return true;
    }
    let (Some(sum), true) = (field(148, 156), header.len() == TAR_HEADER) else { return false };
    let digits = String::from_utf8_lossy(sum);
    let digits = digits.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    let Ok(expected) = u32::from_str_radix(digits, 8) else { return false };
    // The field itself counts as spaces.
    let around = header[..148].iter().chain(&header[156..]);
    let unsigned: u32 = around.clone().map(|byte| u32::from(*byte)).sum();
    let signed: i64 = around.map(|byte| i64::from(*byte as i8)).sum();
    let spaces = 8 * u32::from(b' ');
    expected == unsigned + spaces || i64::from(expected) == signed + i64::from(spaces)
}

#[cfg(test)]
mod tests;
