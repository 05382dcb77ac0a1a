//! [`StoredType`]: a storage type as a file names it, and the values of its blocks.
//!
//! More types are read than written: ggml has Q8_1 and Q8_K for activations, and other programs
//! write float64. Values are computed in float32, operation by operation as the `gguf` Python
//! package does, so that a test can compare them exactly.

use half::{bf16, f16};
use rayon::prelude::*;

use super::block::SUPER;
use super::decode;

/// The values of one block.
type Decode = fn(&[u8], &mut [f32]);

/// A storage type of the format.
#[derive(Debug)]
pub struct StoredType {
    /// The format's number for it.
    id: u32,
    name: &'static str,
    /// Values per block.
    block: usize,
    /// Bytes per block.
    bytes: usize,
    /// `None`: this type is known and not read.
    decode: Option<Decode>,
}

const fn read(
    id: u32,
    name: &'static str,
    block: usize,
    bytes: usize,
    decode: Decode,
) -> StoredType {
    StoredType { id, name, block, bytes, decode: Some(decode) }
}

const fn refused(id: u32, name: &'static str, block: usize, bytes: usize) -> StoredType {
    StoredType { id, name, block, bytes, decode: None }
}

/// All types of the format. Other numbers were removed from it, or are newer than this table.
const TYPES: &[StoredType] = &[
    read(0, "F32", 1, 4, |b, x| x[0] = f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
    read(1, "F16", 1, 2, |b, x| x[0] = f16::from_le_bytes([b[0], b[1]]).to_f32()),
    read(30, "BF16", 1, 2, |b, x| x[0] = bf16::from_le_bytes([b[0], b[1]]).to_f32()),
    read(28, "F64", 1, 8, |b, x| {
        x[0] = f64::from_le_bytes(b.try_into().expect("eight bytes")) as f32;
    }),
    read(2, "Q4_0", 32, 18, decode::q4_0),
    read(3, "Q4_1", 32, 20, decode::q4_1),
    read(6, "Q5_0", 32, 22, decode::q5_0),
    read(7, "Q5_1", 32, 24, decode::q5_1),
    read(8, "Q8_0", 32, 34, decode::q8_0),
    read(9, "Q8_1", 32, 36, decode::q8_1),
    read(10, "Q2_K", SUPER, 84, decode::q2_k),
    read(11, "Q3_K", SUPER, 110, decode::q3_k),
    read(12, "Q4_K", SUPER, 144, decode::q4_k),
    read(13, "Q5_K", SUPER, 176, decode::q5_k),
    read(14, "Q6_K", SUPER, 210, decode::q6_k),
    read(15, "Q8_K", SUPER, 292, decode::q8_k),
    read(20, "IQ4_NL", 32, 18, decode::iq4_nl),
    read(23, "IQ4_XS", SUPER, 136, decode::iq4_xs),
    refused(16, "IQ2_XXS", SUPER, 66),
    refused(17, "IQ2_XS", SUPER, 74),
    refused(18, "IQ3_XXS", SUPER, 98),
    refused(19, "IQ1_S", SUPER, 50),
    refused(21, "IQ3_S", SUPER, 110),
    refused(22, "IQ2_S", SUPER, 82),
    refused(29, "IQ1_M", SUPER, 56),
    refused(34, "TQ1_0", SUPER, 54),
    refused(35, "TQ2_0", SUPER, 66),
    refused(39, "MXFP4", 32, 17),
    refused(24, "I8", 1, 1),
    refused(25, "I16", 1, 2),
    refused(26, "I32", 1, 4),
    refused(27, "I64", 1, 8),
];

impl StoredType {
    /// The type with this number, if the format has one.
    pub fn by_id(id: u32) -> Option<&'static Self> {
        TYPES.iter().find(|ty| ty.id == id)
    }

    /// The type with this name, if the format has one.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        TYPES.iter().find(|ty| ty.name == name)
    }

    /// Its name, as llama.cpp writes it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Values per block.
    pub fn block(&self) -> usize {
        self.block
    }

    /// Whether its values can be read.
    pub fn is_read(&self) -> bool {
        self.decode.is_some()
    }

    /// The names of the types that are read.
    pub fn readable() -> String {
        let names: Vec<&str> = TYPES.iter().filter(|ty| ty.is_read()).map(|ty| ty.name).collect();
        names.join(", ")
    }

    /// Bytes of `values` values, or `None` if that does not fit into a `usize`.
    pub fn bytes(&self, values: usize) -> Option<usize> {
        (values / self.block).checked_mul(self.bytes)
    }

    /// The values of whole blocks, appended to `out`.
    ///
    /// # Panics
    ///
    /// If this type is not read, or the last block is not complete.
    pub fn decode(&self, bytes: &[u8], out: &mut Vec<f32>) {
        let decode = self.decode.expect("the caller asked whether it is read");
        assert!(bytes.len().is_multiple_of(self.bytes), "{} bytes of {}", bytes.len(), self.name);
        let filled = out.len();
        out.resize(filled + bytes.len() / self.bytes * self.block, 0.0);
        // Some thousand values at a time, so that a thread has enough work.
        let blocks = (1 << 14) / self.block;
        bytes
            .par_chunks(blocks * self.bytes)
            .zip(out[filled..].par_chunks_mut(blocks * self.block))
            .for_each(|(bytes, out)| {
                let blocks = bytes.chunks_exact(self.bytes);
                blocks.zip(out.chunks_exact_mut(self.block)).for_each(|(b, x)| decode(b, x));
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_names_one_type() {
        for (index, ty) in TYPES.iter().enumerate() {
            assert!(TYPES[..index].iter().all(|other| other.id != ty.id && other.name != ty.name));
        }
        assert!(StoredType::by_id(4).is_none() && StoredType::by_id(1000).is_none());
    }
}
