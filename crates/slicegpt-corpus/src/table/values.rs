//! [`Values`]: the texts of one page, one by one.

use crate::table::fault::{Result, damaged};
use crate::table::levels::{Runs, differences};

/// The texts of one page, which are read one by one.
pub(super) enum Values<'a> {
    /// Each with its length before it.
    Plain(&'a [u8]),
    /// Places in a dictionary.
    Places(Runs<'a>, &'a Dictionary),
    /// The lengths first, then the texts.
    Lengths(std::vec::IntoIter<i64>, &'a [u8]),
    /// The same, each without what it shares with the text before.
    Shared { shared: std::vec::IntoIter<i64>, rest: Box<Values<'a>>, last: Vec<u8> },
}

/// The texts that the pages of a column refer to.
#[derive(Default)]
pub(super) struct Dictionary {
    bytes: Vec<u8>,
    /// Where each text ends.
    ends: Vec<u32>,
}

impl Dictionary {
    /// Bytes of memory of a dictionary of so many bytes: a text has 4 bytes at least, for its
    /// length, and takes 4 bytes besides its own.
    pub const fn cost(bytes: usize) -> u64 {
        2 * bytes as u64
    }

    /// A dictionary of `count` texts.
    pub fn new(mut bytes: &[u8], count: usize) -> Result<Self> {
        // Each text has a length of 4 bytes.
        if count > bytes.len() / 4 {
            return damaged(format!("a dictionary of {count} texts has {} bytes", bytes.len()));
        }
        let mut found =
            Self { bytes: Vec::with_capacity(bytes.len() - 4 * count), ends: Vec::new() };
        found.ends.reserve_exact(count);
        for _ in 0..count {
            found.bytes.extend(plain(&mut bytes)?);
            found.ends.push(found.bytes.len() as u32);
        }
        Ok(found)
    }

    fn get(&self, place: u32) -> Result<&[u8]> {
        let place = place as usize;
        let Some(end) = self.ends.get(place) else {
            return damaged(format!("a dictionary of {} texts has no {place}", self.ends.len()));
        };
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        Ok(&self.bytes[start as usize..*end as usize])
    }
}

impl<'a> Values<'a> {
    /// The texts that `bytes` hold in the encoding of this number, `most` of them at most.
    pub fn new(
        mut bytes: &'a [u8],
        encoding: i64,
        dictionary: Option<&'a Dictionary>,
        most: usize,
    ) -> Result<Self> {
        match (encoding, dictionary) {
            (0, _) => Ok(Self::Plain(bytes)),
            (2 | 8, None) => damaged("a page refers to a dictionary that is not there"),
            (2 | 8, Some(dictionary)) => match bytes.split_first() {
                Some((width, rest)) => {
                    Ok(Self::Places(Runs::new(rest, u32::from(*width))?, dictionary))
                }
                // A page of nulls.
                None => Ok(Self::Places(Runs::new(bytes, 0)?, dictionary)),
            },
            (6, _) => Ok(Self::Lengths(differences(&mut bytes, most)?.into_iter(), bytes)),
            (7, _) => {
                let shared = differences(&mut bytes, most)?.into_iter();
                let rest = Self::Lengths(differences(&mut bytes, most)?.into_iter(), bytes);
                Ok(Self::Shared { shared, rest: Box::new(rest), last: Vec::new() })
            }
            (other, _) => damaged(format!("a page of texts has encoding {other}")),
        }
    }

    /// The next text.
    pub fn next(&mut self) -> Result<&[u8]> {
        match self {
            Self::Plain(bytes) => plain(bytes),
            Self::Places(runs, dictionary) => dictionary.get(runs.next()?),
            Self::Lengths(lengths, bytes) => {
                let length = lengths.next().and_then(|length| usize::try_from(length).ok());
                let Some((text, rest)) = length.and_then(|length| bytes.split_at_checked(length))
                else {
                    return damaged("a page ends within a text");
                };
                *bytes = rest;
                Ok(text)
            }
            Self::Shared { shared, rest, last } => {
                let shared = shared.next().and_then(|shared| usize::try_from(shared).ok());
                let Some(shared) = shared.filter(|shared| *shared <= last.len()) else {
                    return damaged("a text shares more with the one before than that has");
                };
                last.truncate(shared);
                last.extend(rest.next()?);
                Ok(last)
            }
        }
    }
}

/// The text that `bytes` begin with, after its length; leaves in them what follows it.
fn plain<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8]> {
    let found = bytes
        .split_first_chunk::<4>()
        .and_then(|(length, rest)| rest.split_at_checked(u32::from_le_bytes(*length) as usize));
    let Some((text, rest)) = found else { return damaged("a page ends within a text") };
    *bytes = rest;
    Ok(text)
}
