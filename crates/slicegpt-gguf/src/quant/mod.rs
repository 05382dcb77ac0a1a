//! [`Type`]: the storage types of a GGUF file, and the conversion of float32 to each of them.
//!
//! The block types follow `quantize_row_*_ref` of llama.cpp's `ggml-quants.c` operation by
//! operation, all in float32. The bytes are therefore those that its quantiser makes of the same
//! values without an importance matrix. Each row is quantised separately.

mod block;
mod decode;
mod nibbles;
mod q2_k;
mod q3_k;
mod q4_k;
mod q6_k;
mod scales;
mod stored;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use block::SUPER;

pub use stored::StoredType;

/// A storage type of tensors in a GGUF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names are those of the format
pub enum Type {
    F32,
    F16,
    Bf16,
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
}

/// Encodes one block of values.
type Encode = fn(&[f32], &mut [u8]);

/// The layout of a type.
struct Layout {
    name: &'static str,
    /// The format's number for it.
    id: u32,
    /// Values per block.
    block: usize,
    /// Bytes per block.
    bytes: usize,
}

const fn layout(name: &'static str, id: u32, block: usize, bytes: usize) -> Layout {
    Layout { name, id, block, bytes }
}

impl Type {
    const fn layout(self) -> Layout {
        match self {
            Self::F32 => layout("F32", 0, 1, 4),
            Self::F16 => layout("F16", 1, 1, 2),
            Self::Bf16 => layout("BF16", 30, 1, 2),
            Self::Q8_0 => layout("Q8_0", 8, 32, 34),
            Self::Q4_0 => layout("Q4_0", 2, 32, 18),
            Self::Q4_1 => layout("Q4_1", 3, 32, 20),
            Self::Q5_0 => layout("Q5_0", 6, 32, 22),
            Self::Q5_1 => layout("Q5_1", 7, 32, 24),
            Self::Q2K => layout("Q2_K", 10, SUPER, 84),
            Self::Q3K => layout("Q3_K", 11, SUPER, 110),
            Self::Q4K => layout("Q4_K", 12, SUPER, 144),
            Self::Q5K => layout("Q5_K", 13, SUPER, 176),
            Self::Q6K => layout("Q6_K", 14, SUPER, 210),
        }
    }

    /// Its name, as llama.cpp writes it.
    pub fn name(self) -> &'static str {
        self.layout().name
    }

    /// The format's number for it.
    pub(crate) fn id(self) -> u32 {
        self.layout().id
    }

    /// Values per block. The length of a row must be a multiple of it.
    pub fn block(self) -> usize {
        self.layout().block
    }

    /// Whether values are stored in blocks that share a scale.
    pub fn is_quantised(self) -> bool {
        self.block() > 1
    }

    /// Bytes of `values` values.
    pub fn bytes(self, values: usize) -> usize {
        let layout = self.layout();
        values / layout.block * layout.bytes
    }

    /// The bytes of `values`: whole rows, concatenated. Rounds to nearest, and halfway cases as
    /// llama.cpp does.
    ///
    /// # Errors
    ///
    /// The first value that is out of the range of the type; for block types, the largest value of
    /// the first block whose scale is out of the range of float16.
    ///
    /// # Panics
    ///
    /// If the last block is not full.
    pub fn encode(self, values: &[f32]) -> Result<Vec<u8>, f32> {
        let Layout { block, bytes, .. } = self.layout();
        assert!(values.len().is_multiple_of(block), "{} values in blocks of {block}", values.len());
        // Some thousand values at a time, so that a thread has enough work.
        let blocks = (1 << 14) / block;
        let mut out = vec![0; self.bytes(values.len())];
        values
            .par_chunks(blocks * block)
            .zip(out.par_chunks_mut(blocks * bytes))
            .try_for_each(|(values, out)| self.encode_some(values, out))?;
        Ok(out)
    }

    fn encode_some(self, values: &[f32], out: &mut [u8]) -> Result<(), f32> {
        let encode: Encode = match self {
            Self::F32 => {
                for (x, bytes) in values.iter().zip(out.chunks_exact_mut(4)) {
                    bytes.copy_from_slice(&x.to_le_bytes());
                }
                return Ok(());
            }
            Self::F16 => return narrow_f16(values, out),
            Self::Bf16 => return narrow_bf16(values, out),
            Self::Q8_0 => nibbles::q8_0,
            Self::Q4_0 => nibbles::q4_0,
            Self::Q4_1 => nibbles::q4_1,
            Self::Q5_0 => nibbles::q5_0,
            Self::Q5_1 => nibbles::q5_1,
            Self::Q2K => q2_k::encode,
            Self::Q3K => q3_k::encode,
            Self::Q4K => q4_k::q4_k,
            Self::Q5K => q4_k::q5_k,
            Self::Q6K => q6_k::encode,
        };
        let Layout { block, bytes, .. } = self.layout();
        for (values, out) in values.chunks_exact(block).zip(out.chunks_exact_mut(bytes)) {
            encode(values, out);
            let fits = |at: usize| f16::from_le_bytes([out[at], out[at + 1]]).is_finite();
            if !self.halves().iter().all(|at| fits(*at)) {
                return Err(values.iter().copied().fold(0.0, larger));
            }
        }
        Ok(())
    }

    /// Offsets of the float16 numbers of a block: its scale and, if it has one, its minimum.
    fn halves(self) -> &'static [usize] {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => &[],
            Self::Q8_0 | Self::Q4_0 | Self::Q5_0 => &[0],
            Self::Q4_1 | Self::Q5_1 | Self::Q4K | Self::Q5K => &[0, 2],
            Self::Q2K => &[80, 82],
            Self::Q3K => &[108],
            Self::Q6K => &[208],
        }
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

fn larger(a: f32, b: f32) -> f32 {
    if b.abs() > a.abs() { b } else { a }
}

fn narrow_f16(values: &[f32], out: &mut [u8]) -> Result<(), f32> {
    let mut halves = vec![f16::ZERO; values.len()];
    halves.convert_from_f32_slice(values);
    for ((half, x), bytes) in halves.iter().zip(values).zip(out.chunks_exact_mut(2)) {
        if !half.is_finite() {
            return Err(*x);
        }
        bytes.copy_from_slice(&half.to_le_bytes());
    }
    Ok(())
}

fn narrow_bf16(values: &[f32], out: &mut [u8]) -> Result<(), f32> {
    for (x, bytes) in values.iter().zip(out.chunks_exact_mut(2)) {
        let half = bf16::from_f32(*x);
        if !half.is_finite() {
            return Err(*x);
        }
        bytes.copy_from_slice(&half.to_le_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_out_of_range_is_an_error() {
        assert_eq!(Type::F16.encode(&[1.0, 65519.0]), Ok(vec![0, 0x3c, 0xff, 0x7b]));
        assert_eq!(Type::F16.encode(&[1.0, -65520.0]), Err(-65520.0));
        assert_eq!(Type::Bf16.encode(&[f32::MAX]), Err(f32::MAX));
        let mut values = [0.0; SUPER];
        values[7] = -1e9;
        for ty in [Type::Q8_0, Type::Q4_0, Type::Q5_1, Type::Q2K, Type::Q3K, Type::Q4K, Type::Q6K] {
            assert_eq!(ty.encode(&values), Err(-1e9), "{ty}");
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        for ty in [Type::Q8_0, Type::Q4_0, Type::Q2K, Type::Q3K, Type::Q4K, Type::Q5K, Type::Q6K] {
            let bytes = ty.encode(&[0.0; 2 * SUPER]).unwrap();
            assert_eq!(bytes.len(), ty.bytes(2 * SUPER));
            for at in ty.halves() {
                // Zero of either sign.
                assert_eq!(f16::from_le_bytes([bytes[*at], bytes[at + 1]]).to_f32(), 0.0, "{ty}");
            }
        }
    }

    #[test]
    fn what_is_written_has_the_layout_that_is_read() {
        for ty in [Type::F32, Type::F16, Type::Bf16, Type::Q8_0, Type::Q4_0, Type::Q4_1, Type::Q5_0]
            .into_iter()
            .chain([Type::Q5_1, Type::Q2K, Type::Q3K, Type::Q4K, Type::Q5K, Type::Q6K])
        {
            let stored = StoredType::by_id(ty.id()).unwrap();
            assert_eq!((stored.name(), stored.block()), (ty.name(), ty.block()));
            assert_eq!(stored.bytes(512), Some(ty.bytes(512)));
        }
    }
}
