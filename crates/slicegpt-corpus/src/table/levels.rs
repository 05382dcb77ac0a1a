//! Numbers of a few bits: levels and places in a dictionary ([`Runs`]), and differences
//! ([`differences`]).

use crate::table::fault::{Result, damaged};

/// Numbers of a fixed number of bits, in runs of one value or packed side by side.
pub(super) struct Runs<'a> {
    bytes: &'a [u8],
    width: u32,
    run: Run<'a>,
}

/// What is left of a run.
enum Run<'a> {
    Same { value: u32, left: u64 },
    Packed { bits: Bits<'a>, left: u64 },
}

impl<'a> Runs<'a> {
    /// Numbers of `width` bits.
    pub fn new(bytes: &'a [u8], width: u32) -> Result<Self> {
        match width {
            0..=32 => Ok(Self { bytes, width, run: Run::Same { value: 0, left: 0 } }),
            _ => damaged(format!("it has numbers of {width} bits")),
        }
    }

    /// The next number.
    pub fn next(&mut self) -> Result<u32> {
        loop {
            match &mut self.run {
                Run::Same { value, left } if *left > 0 => {
                    *left -= 1;
                    return Ok(*value);
                }
                Run::Packed { bits, left } if *left > 0 => {
                    *left -= 1;
                    let Some(value) = bits.take(self.width) else {
                        return damaged("a page has fewer values than it says");
                    };
                    return Ok(value as u32);
                }
                _ => self.run = self.start()?,
            }
        }
    }

    fn start(&mut self) -> Result<Run<'a>> {
        let head = varint(&mut self.bytes)?;
        if head & 1 == 1 {
            let count = (head >> 1).saturating_mul(8);
            let length = (head >> 1).saturating_mul(u64::from(self.width));
            // Some writers leave out what is after the last value.
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(self.bytes.len());
            let (packed, rest) = self.bytes.split_at(length);
            self.bytes = rest;
            return Ok(Run::Packed { bits: Bits::new(packed), left: count });
        }
        let width = self.width.div_ceil(8) as usize;
        let Some((bytes, rest)) = self.bytes.split_at_checked(width) else {
            return damaged("a page ends within a run of values");
        };
        self.bytes = rest;
        let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
        Ok(Run::Same { value, left: head >> 1 })
    }
}

/// Bytes as a stream of bits, the lowest of each byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    buffer: u128,
    held: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, buffer: 0, held: 0 }
    }

    /// The next number of `width` bits, at most 64; `None` at the end.
    fn take(&mut self, width: u32) -> Option<u64> {
        while self.held < width {
            let (byte, rest) = self.bytes.split_first()?;
            self.buffer |= u128::from(*byte) << self.held;
            self.held += 8;
            self.bytes = rest;
        }
        let value = self.buffer & ((1_u128 << width) - 1);
        self.buffer >>= width;
        self.held -= width;
        Some(value as u64)
    }
}

/// Integers written as differences in blocks (DELTA_BINARY_PACKED), `most` of them at most. Leaves
/// in `bytes` what follows them.
pub(super) fn differences(bytes: &mut &[u8], most: usize) -> Result<Vec<i64>> {
    let block = varint(bytes)?;
    let parts = varint(bytes)?;
    let count = varint(bytes)?;
    let mut value = zigzag(varint(bytes)?);
    if count > most as u64 {
        return damaged(format!("says that a page has {count} texts of {most} values"));
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    if parts == 0 || parts > 512 || block > 1 << 20 || block % parts != 0 {
        return damaged(format!("it has blocks of {block} differences in {parts} parts"));
    }
    let (count, each) = (count as usize, (block / parts) as usize);
    let mut values = Vec::with_capacity(count);
    values.push(value);
    while values.len() < count {
        let least = zigzag(varint(bytes)?);
        let Some((widths, rest)) = bytes.split_at_checked(parts as usize) else {
            return damaged("a page ends within a block of differences");
        };
        *bytes = rest;
        for width in widths.iter().map(|width| u32::from(*width)) {
            if values.len() == count {
                break;
            }
            if width > 64 || each == 0 {
                return damaged(format!("it has {each} differences of {width} bits"));
            }
            let length = (each * width as usize / 8).min(bytes.len());
            let (packed, rest) = bytes.split_at(length);
            *bytes = rest;
            let mut bits = Bits::new(packed);
            for _ in 0..each.min(count - values.len()) {
                let Some(difference) = bits.take(width) else {
                    return damaged("a page ends within a block of differences");
                };
                value = value.wrapping_add(least).wrapping_add(difference as i64);
                values.push(value);
            }
        }
    }
    Ok(values)
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let Some((byte, rest)) = bytes.split_first() else {
            return damaged("a page has fewer values than it says");
        };
        *bytes = rest;
        value |= u64::from(byte & 127) << shift;
        if *byte < 128 {
            return Ok(value);
        }
    }
    damaged("a number has more than 64 bits")
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_of_one_value_or_packed() {
        // Three times 5; then 0 to 7 in 3 bits each, the example of the format.
        let bytes = [6, 5, 3, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        let mut runs = Runs::new(&bytes, 3).unwrap();
        let found: Vec<u32> = (0..11).map(|_| runs.next().unwrap()).collect();
        assert_eq!(found, [5, 5, 5, 0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(runs.next().is_err());
        assert!(Runs::new(&bytes, 33).is_err());
    }

    #[test]
    fn counts_of_differences_are_bounded() {
        // Blocks of 128 in 4 parts: 3 values from 7 on, the difference is 1.
        let bytes = [128, 1, 4, 3, 14, 2, 0, 0, 0, 0, 9];
        let mut left = &bytes[..];
        assert_eq!(differences(&mut left, 3).unwrap(), [7, 8, 9]);
        assert_eq!(left, [9]);
        assert!(differences(&mut &bytes[..], 2).is_err());
    }
}
