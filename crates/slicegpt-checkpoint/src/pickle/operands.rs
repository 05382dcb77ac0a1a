//! [`Operands`]: the operands of the instructions of a pickle, read within bounds.

use std::io::{BufRead, Read};
use std::rc::Rc;

use super::refusal::{Refusal, Result};

/// Longest text that is kept, in bytes. Names that weights may contain are shorter; a longer text
/// is kept cut, with a mark that no name contains.
const KEPT: usize = 64;

/// Longest line of a pickle, in bytes: a number or a name.
const LINE: u64 = 4096;

/// Reads operands, and keeps no more than the beginning of a text.
pub(super) struct Operands<R>(pub R);

/// A text, and its whole length in bytes.
pub(super) struct Text {
    pub start: Rc<str>,
    pub length: u64,
}

impl<R: BufRead> Operands<R> {
    pub fn byte(&mut self) -> Result<u8> {
        Ok(self.bytes::<1>()?[0])
    }

    /// A number of `size` bytes, at most 8, little-endian.
    pub fn number(&mut self, size: usize) -> Result<u64> {
        let mut bytes = [0; 8];
        self.0.read_exact(&mut bytes[..size])?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Passes over `size` bytes.
    pub fn skip(&mut self, size: u64) -> Result<()> {
        let passed = std::io::copy(&mut (&mut self.0).take(size), &mut std::io::sink())?;
        if passed == size { Ok(()) } else { Err(Refusal::corrupt("it ends within its pickle")) }
    }

    /// A text of `length` bytes.
    pub fn text(&mut self, length: u64) -> Result<Text> {
        let mut start = vec![0; length.min(KEPT as u64) as usize];
        self.0.read_exact(&mut start)?;
        self.skip(length - start.len() as u64)?;
        Ok(Text { start: name(&start, length), length })
    }

    /// The text up to the end of the line.
    pub fn line(&mut self) -> Result<Text> {
        let mut line = Vec::new();
        (&mut self.0).take(LINE + 1).read_until(b'\n', &mut line)?;
        match line.pop() {
            Some(b'\n') => {
                let kept = line.len().min(KEPT);
                let length = line.len() as u64;
                Ok(Text { start: name(&line[..kept], length), length })
            }
            _ if line.len() as u64 >= LINE => {
                Err(Refusal::Unusual(format!("it has a line of more than {LINE} bytes")))
            }
            _ => Err(Refusal::corrupt("it ends within its pickle")),
        }
    }

    /// The decimal number up to the end of the line.
    pub fn decimal(&mut self) -> Result<u64> {
        let line = self.line()?;
        let digits = line.start.bytes().all(|byte| byte.is_ascii_digit());
        // Python takes more than digits for a number, and no writer writes that.
        let number = digits.then(|| line.start.parse().ok()).flatten();
        number.ok_or_else(|| Refusal::corrupt("an index of the memo is not a number"))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// The text that starts with these bytes and has `length` of them.
fn name(start: &[u8], length: u64) -> Rc<str> {
    let text = String::from_utf8_lossy(start);
    if length > start.len() as u64 { format!("{text}...").into() } else { text.into() }
}
