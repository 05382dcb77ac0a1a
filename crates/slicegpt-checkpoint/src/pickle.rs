//! Refuses pickles that would run code. Files of weights name a handful of constructors; Python
//! would call any other name that a pickle contains.
//!
//! The instructions are scanned, and none is executed: this knows their lengths, and which of them
//! name a Python object.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use zip::ZipArchive;

use crate::error::{CheckpointError, Result};

/// Largest pickle that is scanned, in bytes. Those of weights are smaller.
const LARGEST: u64 = 256 << 20;

/// Number of pickles at the start of a file of PyTorch before 1.6: magic number, version, machine,
/// and the object itself. Numbers follow.
const BEFORE_NUMBERS: usize = 4;

/// Refuses a file of weights that names anything but constructors of tensors.
///
/// A file that is not a pickle passes; reading it fails later.
pub(crate) fn refuse_programs(path: &Path) -> Result<()> {
    let io = || CheckpointError::io(path);
    let mut file = File::open(path).map_err(io())?;
    let mut magic = [0; 4];
    let read = file.read(&mut magic).map_err(io())?;
    file.seek(SeekFrom::Start(0)).map_err(io())?;
    let foreign = if &magic[..read] == b"PK\x03\x04" {
        ZipArchive::new(BufReader::new(file)).ok().and_then(in_archive)
    } else {
        in_pickles(BufReader::new(file).take(LARGEST))
    };
    match foreign {
        Some(name) => Err(CheckpointError::Program { path: path.into(), name }),
        None => Ok(()),
    }
}

/// The first foreign name in any pickle of an archive.
fn in_archive(mut archive: ZipArchive<BufReader<File>>) -> Option<String> {
    (0..archive.len()).find_map(|index| {
        let entry = archive.by_index(index).ok()?;
        let pickle = entry.name().is_ok_and(|name| name.ends_with(".pkl"));
        pickle.then(|| in_pickles(BufReader::new(entry.take(LARGEST)))).flatten()
    })
}

/// The first foreign name in the consecutive pickles at the start of `bytes`.
fn in_pickles(mut bytes: impl Read) -> Option<String> {
    for _ in 0..BEFORE_NUMBERS {
        match Scanner::default().pickle(&mut bytes) {
            Ok(()) => {}
            Err(Ended::Foreign(name)) => return Some(name),
            Err(Ended::NoPickle) => return None,
        }
    }
    None
}

/// Why a scan ends before its pickle.
enum Ended {
    /// The pickle names something that weights do not need.
    Foreign(String),
    /// It is not a pickle, or truncated.
    NoPickle,
}

/// Scans pickles, and remembers the strings that a name may be made of.
#[derive(Default)]
struct Scanner {
    /// The strings on top of the stack.
    texts: Vec<Rc<str>>,
    memo: HashMap<u64, Rc<str>>,
    /// Number of entries of the memo that have no explicit index.
    memoized: u64,
}

impl Scanner {
    /// Scans to the end of one pickle.
    fn pickle(&mut self, bytes: &mut impl Read) -> std::result::Result<(), Ended> {
        loop {
            let instruction = take(bytes, 1)?[0];
            if self.text(instruction, bytes)? {
                continue;
            }
            match instruction {
                b'.' => return Ok(()),
                b'c' | b'i' => {
                    let [module, name] = [line(bytes)?, line(bytes)?];
                    known(&module, &name)?;
                }
                // The two strings right before it are a module and a name. Otherwise the operands
                // are unknown.
                0x93 => match self.texts.as_slice() {
                    [.., module, name] => known(module, name)?,
                    _ => return Err(Ended::Foreign("a name that it computes".into())),
                },
                // Entries of a registry that only Python has.
                0x82..=0x84 => return Err(Ended::Foreign("an extension of pickle".into())),
                // An instance of a class that was pushed before.
                b'o' => return Err(Ended::Foreign("an object of a class".into())),
                b'C' | 0x8a => skip(bytes, 1)?,
                b'B' | 0x8b => skip(bytes, 4)?,
                0x8e | 0x96 => skip(bytes, 8)?,
                b'I' | b'L' | b'F' | b'S' | b'P' => drop(line(bytes)?),
                b'K' => drop(take(bytes, 1)?),
                b'M' => drop(take(bytes, 2)?),
                b'J' => drop(take(bytes, 4)?),
                b'G' => drop(take(bytes, 8)?),
                b'('
                | b'0'
                | b'1'
                | b'2'
                | b'N'
                | b'R'
                | b'b'
                | b'd'
                | b'l'
                | b't'
                | b's'
                | b'a'
                | b')'
                | b']'
                | b'}'
                | b'e'
                | b'u'
                | b'Q'
                | 0x81
                | 0x85..=0x89
                | 0x8f..=0x92
                | 0x97
                | 0x98 => {}
                _ => return Err(Ended::NoPickle),
            }
            // What was pushed or popped by this instruction is not a string.
            self.texts.clear();
        }
    }

    /// Handles `instruction` if it pushes a string, stores or recalls the last one, or does
    /// nothing. Returns whether it did.
    fn text(&mut self, instruction: u8, bytes: &mut impl Read) -> std::result::Result<bool, Ended> {
        match instruction {
            b'V' => self.texts.push(line(bytes)?.into()),
            b'X' | b'T' => self.counted(bytes, 4)?,
            0x8c | b'U' => self.counted(bytes, 1)?,
            0x8d => self.counted(bytes, 8)?,
            b'p' => self.keep(line(bytes)?.parse().unwrap_or(u64::MAX)),
            b'q' => self.keep(number(&take(bytes, 1)?)),
            b'r' => self.keep(number(&take(bytes, 4)?)),
            0x94 => {
                self.memoized += 1;
                self.keep(self.memoized - 1);
            }
            b'g' => self.recall(line(bytes)?.parse().unwrap_or(u64::MAX)),
            b'h' => self.recall(number(&take(bytes, 1)?)),
            b'j' => self.recall(number(&take(bytes, 4)?)),
            // A version, or the length of a frame.
            0x80 => drop(take(bytes, 1)?),
            0x95 => drop(take(bytes, 8)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn counted(&mut self, bytes: &mut impl Read, size: usize) -> std::result::Result<(), Ended> {
        let length = number(&take(bytes, size)?);
        let text = take(bytes, usize::try_from(length).map_err(|_| Ended::NoPickle)?)?;
        self.texts.push(String::from_utf8_lossy(&text).into());
        Ok(())
    }

    /// Stores what was pushed last in the memo, if it is a string.
    fn keep(&mut self, index: u64) {
        match self.texts.last() {
            Some(text) => self.memo.insert(index, Rc::clone(text)),
            None => self.memo.remove(&index),
        };
    }

    fn recall(&mut self, index: u64) {
        match self.memo.get(&index) {
            // A string that is recalled thousands of times is in memory once.
            Some(text) => self.texts.push(Rc::clone(text)),
            None => self.texts.clear(),
        }
    }
}

/// Refuses `module.name` unless weights may name it: tensors, functions that rebuild them, their
/// types and their storages.
fn known(module: &str, name: &str) -> std::result::Result<(), Ended> {
    let good = match module {
        "collections" => name == "OrderedDict",
        "torch._utils" => name.starts_with("_rebuild_"),
        "torch._tensor" => name == "_rebuild_from_type_v2",
        "torch" | "torch.storage" => {
            name.ends_with("Storage")
                || ["Size", "Tensor", "device"].contains(&name)
                || is_type(name)
        }
        "torch.nn.parameter" => name == "Parameter",
        "torch.serialization" => name == "_get_layout",
        _ => false,
    };
    if good { Ok(()) } else { Err(Ended::Foreign(format!("{module}.{name}"))) }
}

/// Whether `name` is that of an element type, such as `float16`.
fn is_type(name: &str) -> bool {
    let digits = name.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let kind = &name[..name.len() - digits.len()];
    ["float", "bfloat", "int", "uint", "bool", "complex"].contains(&kind)
        && digits.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn take(bytes: &mut impl Read, count: usize) -> std::result::Result<Vec<u8>, Ended> {
    let mut taken = Vec::new();
    let read = bytes.take(count as u64).read_to_end(&mut taken);
    match read {
        Ok(length) if length == count => Ok(taken),
        _ => Err(Ended::NoPickle),
    }
}

fn skip(bytes: &mut impl Read, size: usize) -> std::result::Result<(), Ended> {
    let length = number(&take(bytes, size)?);
    let skipped = std::io::copy(&mut bytes.take(length), &mut std::io::sink());
    if skipped.is_ok_and(|skipped| skipped == length) { Ok(()) } else { Err(Ended::NoPickle) }
}

fn number(little_endian: &[u8]) -> u64 {
    little_endian.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Reads up to the end of a line.
fn line(bytes: &mut impl Read) -> std::result::Result<String, Ended> {
    let mut line = Vec::new();
    loop {
        match take(bytes, 1)?[0] {
            b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
            byte => line.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(bytes: &[u8]) -> Option<String> {
        in_pickles(bytes)
    }

    #[test]
    fn constructors_of_tensors_pass() {
        let state = b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01X\x01\x00\x00\x00aq\x02\
                      ctorch._utils\n_rebuild_tensor_v2\nq\x03((X\x07\x00\x00\x00storageq\x04\
                      ctorch\nHalfStorage\nq\x05X\x01\x00\x00\x000q\x06tq\x07QK\x00tRs.";
        assert_eq!(foreign(state), None);
        // Protocol 4: strings, then a name made of them, one of them from the memo.
        let state = b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00\x8c\x05torch\x94\
                      \x8c\x0cFloatStorage\x94\x93\x94h\x00\x8c\x07float16\x93.";
        assert_eq!(foreign(state), None);
    }

    #[test]
    fn names_of_code_are_found() {
        for (bytes, name) in [
            (&b"cposix\nsystem\n(S'touch pwned'\ntR."[..], "posix.system"),
            (b"\x80\x02ctorch\nload\n.", "torch.load"),
            (b"\x80\x02cbuiltins\neval\n0}.", "builtins.eval"),
            // Two harmless strings are popped again, or replaced by a tuple from the memo.
            (
                b"\x80\x04\x8c\x02os\x8c\x06system\x8c\x0bcollections\x8c\x0bOrderedDict00\x93.",
                "a name that it computes",
            ),
            (
                b"\x80\x04\x8c\x0bcollections)q\x01h\x01\x8c\x0bOrderedDict\x93.",
                "a name that it computes",
            ),
            (b"\x80\x04\x8c\x02os\x94\x8c\x06system\x93.", "os.system"),
            // The name is in the memo, followed by harmless strings.
            (b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x8c\x01ah\x00h\x01\x93.", "os.system"),
            // After a harmless pickle.
            (b"\x80\x02K\x01.\x80\x02csubprocess\nPopen\n.", "subprocess.Popen"),
            (b"\x80\x02\x82\x01.", "extension"),
            (b"(ios\nsystem\n.", "os.system"),
        ] {
            let found = foreign(bytes).unwrap_or_else(|| panic!("{name} is not seen"));
            assert!(found.contains(name), "{found}");
        }
    }

    #[test]
    fn anything_but_a_pickle_ends_the_scan() {
        for bytes in [&b""[..], b"\xff", b"X\xff\xff\xff\xff", b"cposix", b"\x8e\xff\xff\xff\xff"] {
            assert_eq!(foreign(bytes), None);
        }
    }
}
