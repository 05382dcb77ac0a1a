//! [`Cursor`]: reads the header of a file, and never beyond its end.
//!
//! A file may claim any length. A length is compared with the bytes that are left before anything
//! of that length is read or allocated.

use std::ops::Range;

/// Why a header cannot be read.
pub(super) type Fault = String;

/// A place in the bytes of a file.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes from the start of the file.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Skips `length` bytes, and returns their place.
    pub fn skip(&mut self, length: u64, what: &str) -> Result<Range<usize>, Fault> {
        let left = self.left();
        match usize::try_from(length).ok().filter(|length| *length <= left) {
            Some(length) => {
                let start = self.at;
                self.at += length;
                Ok(start..self.at)
            }
            None => Err(format!(
                "{what} at byte {} is {length} bytes long, and {left} are left",
                self.at
            )),
        }
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Fault> {
        let place = self.skip(N as u64, what)?;
        Ok(self.bytes[place].try_into().expect("so many bytes were taken"))
    }

    pub fn u32(&mut self, what: &str) -> Result<u32, Fault> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self, what: &str) -> Result<u64, Fault> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A number of things that take at least `least` bytes each.
    pub fn count(&mut self, least: u64, what: &str) -> Result<u64, Fault> {
        let count = self.u64(what)?;
        self.holds(count, least, what)?;
        Ok(count)
    }

    /// Checks that `count` things of at least `least` bytes each can be in what is left.
    pub fn holds(&self, count: u64, least: u64, what: &str) -> Result<(), Fault> {
        match count.checked_mul(least) {
            Some(bytes) if bytes <= self.left() as u64 => Ok(()),
            _ => Err(format!("{what} is {count}, and {} bytes are left", self.left())),
        }
    }

    /// The place of a text: its length in bytes, and the bytes.
    pub fn text(&mut self, what: &str) -> Result<Range<usize>, Fault> {
        let length = self.u64(what)?;
        self.skip(length, what)
    }

    /// A text that names something.
    pub fn name(&mut self, what: &str) -> Result<&'a str, Fault> {
        let place = self.text(what)?;
        let name = std::str::from_utf8(&self.bytes[place]).ok();
        let name = name.filter(|name| name.len() <= LONGEST_NAME);
        name.ok_or_else(|| format!("{what} is not UTF-8, or longer than {LONGEST_NAME} bytes"))
    }
}

/// The limit of the format.
const LONGEST_NAME: usize = 65535;
