//! [`Thrift`]: the compact protocol of Thrift, in which Parquet's footer and page headers are.
//!
//! A reader borrows bytes that are there already, and allocates nothing. A list of `n` elements has
//! `n` bytes at least, so that counts are checked against the bytes that follow.

use crate::table::fault::{Result, damaged};

/// How deep structures that are skipped may be nested.
const MAX_DEPTH: usize = 32;

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    True,
    False,
    Byte,
    /// An integer of 16, 32 or 64 bits: all are written alike.
    Integer,
    Double,
    Binary,
    List,
    Map,
    Struct,
}

/// A reader over bytes.
pub(super) struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Thrift<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Reads a structure: `field` reads each field, or says `false` for one that it does not read.
    pub fn fields(
        &mut self,
        mut field: impl FnMut(&mut Self, i16, Kind) -> Result<bool>,
    ) -> Result<()> {
        let mut id = 0_i16;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            id = match head >> 4 {
                0 => self.integer()? as i16,
                step => id.wrapping_add(i16::from(step)),
            };
            let kind = kind(head & 15)?;
            if !field(self, id, kind)? {
                self.skip(kind, 0)?;
            }
        }
    }

    /// Reads a list: `element` reads each element.
    pub fn list(&mut self, mut element: impl FnMut(&mut Self, Kind) -> Result<()>) -> Result<()> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            few => u64::from(few),
        };
        let left = (self.bytes.len() - self.at) as u64;
        if count > left {
            return damaged(format!("a list of {count} elements has {left} bytes"));
        }
        let kind = kind(head & 15)?;
        (0..count).try_for_each(|_| element(self, kind))
    }

    pub fn integer(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub fn binary(&mut self) -> Result<&'a [u8]> {
        let length = self.varint()?;
        let rest = &self.bytes[self.at..];
        let Some(found) = usize::try_from(length).ok().and_then(|length| rest.get(..length)) else {
            return damaged(format!("a text of {length} bytes has {}", rest.len()));
        };
        self.at += found.len();
        Ok(found)
    }

    pub fn text(&mut self) -> Result<&'a str> {
        match std::str::from_utf8(self.binary()?) {
            Ok(text) => Ok(text),
            Err(_) => damaged("a name is not UTF-8"),
        }
    }

    fn byte(&mut self) -> Result<u8> {
        let Some(byte) = self.bytes.get(self.at) else {
            return damaged("its description ends too soon");
        };
        self.at += 1;
        Ok(*byte)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(value);
            }
        }
        damaged("a number has more than 64 bits")
    }

    /// Skips a value. `true` and `false` have no bytes as fields and one as elements.
    fn skip(&mut self, kind: Kind, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return damaged(format!("its description is nested more than {MAX_DEPTH} deep"));
        }
        match kind {
            Kind::True | Kind::False => Ok(()),
            Kind::Byte => self.byte().map(drop),
            Kind::Integer => self.varint().map(drop),
            Kind::Double => (0..8).try_for_each(|_| self.byte().map(drop)),
            Kind::Binary => self.binary().map(drop),
            Kind::List => self.list(|reader, kind| reader.skip_element(kind, depth + 1)),
            Kind::Map => self.skip_map(depth),
            Kind::Struct => loop {
                let head = self.byte()?;
                if head == 0 {
                    return Ok(());
                }
                if head >> 4 == 0 {
                    self.varint()?;
                }
                self.skip(self::kind(head & 15)?, depth + 1)?;
            },
        }
    }

    fn skip_element(&mut self, kind: Kind, depth: usize) -> Result<()> {
        match kind {
            Kind::True | Kind::False => self.byte().map(drop),
            kind => self.skip(kind, depth),
        }
    }

    fn skip_map(&mut self, depth: usize) -> Result<()> {
        let count = self.varint()?;
        if count == 0 {
            return Ok(());
        }
        let kinds = self.byte()?;
        let [key, value] = [kind(kinds >> 4)?, kind(kinds & 15)?];
        for _ in 0..count {
            self.skip_element(key, depth + 1)?;
            self.skip_element(value, depth + 1)?;
        }
        Ok(())
    }
}

fn kind(code: u8) -> Result<Kind> {
    Ok(match code {
        1 => Kind::True,
        2 => Kind::False,
        3 => Kind::Byte,
        4..=6 => Kind::Integer,
        7 => Kind::Double,
        8 => Kind::Binary,
        9 | 10 => Kind::List,
        11 => Kind::Map,
        12 => Kind::Struct,
        other => return damaged(format!("its description has a field of unknown type {other}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_checked_against_the_bytes() {
        // 2^31 - 1 structures, of which none is there.
        let list = [0xfc, 0xff, 0xff, 0xff, 0xff, 7];
        assert!(Thrift::new(&list).list(|_, _| Ok(())).is_err());
        assert!(Thrift::new(&[0xff, 0xff, 0xff, 0xff, 7]).binary().is_err());
        assert_eq!(Thrift::new(&[2, b'a', b'b']).text().unwrap(), "ab");
        assert_eq!(Thrift::new(&[3]).integer().unwrap(), -2);
        assert!(Thrift::new(&[255; 11]).integer().is_err());
    }

    #[test]
    fn nesting_is_bounded() {
        // A list of one list of one list, and so on.
        let deep = vec![0x19; 1 << 20];
        assert!(Thrift::new(&deep).skip(Kind::List, 0).is_err());
        // A structure in a structure in a structure.
        let deep = vec![0x1c; 1 << 20];
        assert!(Thrift::new(&deep).fields(|_, _, _| Ok(false)).is_err());
    }
}
