//! The header at the start of a safetensors file.

use std::io::{self, Read};

/// Largest header that is read, in bytes. The safetensors library has the same limit.
const LONGEST: u64 = 100_000_000;

/// Reads the length and the header at the start of a safetensors file. From any other file it reads
/// as much as the safetensors library needs to refuse it.
pub(crate) fn read_header(mut reader: impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    reader.read_exact(&mut length)?;
    let mut header = length.to_vec();
    let length = u64::from_le_bytes(length);
    if length <= LONGEST {
        let read = reader.take(length).read_to_end(&mut header)?;
        if (read as u64) < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(header)
}
