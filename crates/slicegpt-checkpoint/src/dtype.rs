//! [`Dtype`]: the three types that weights are stored as, and their conversion to and from float32.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

/// A storage type of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// float32.
    F32,
    /// float16 (IEEE half).
    F16,
    /// bfloat16.
    Bf16,
}

/// Number of elements that one thread converts at a time.
const CHUNK: usize = 1 << 16;

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.torch_name())
    }
}

impl Dtype {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Its name in torch, and in `torch_dtype` of `config.json`.
    pub fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    pub(crate) fn safetensors(self) -> safetensors::Dtype {
        match self {
            Self::F32 => safetensors::Dtype::F32,
            Self::F16 => safetensors::Dtype::F16,
            Self::Bf16 => safetensors::Dtype::BF16,
        }
    }

    pub(crate) fn from_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        match dtype {
            safetensors::Dtype::F32 => Some(Self::F32),
            safetensors::Dtype::F16 => Some(Self::F16),
            safetensors::Dtype::BF16 => Some(Self::Bf16),
            _ => None,
        }
    }

    /// Converts little-endian bytes to float32, exactly, and returns whether all values are finite.
    ///
    /// # Panics
    ///
    /// Unless `bytes` is `out.len() * self.size()` long.
    pub(crate) fn widen(self, bytes: &[u8], out: &mut [f32]) -> bool {
        assert_eq!(bytes.len(), out.len() * self.size());
        bytes
            .par_chunks(CHUNK * self.size())
            .zip(out.par_chunks_mut(CHUNK))
            .map(|(bytes, out)| {
                match self {
                    Self::F32 => {
                        for (bytes, x) in bytes.chunks_exact(4).zip(out.iter_mut()) {
                            *x = f32::from_le_bytes(bytes.try_into().expect("four bytes"));
                        }
                    }
                    Self::Bf16 => {
                        for (bytes, x) in bytes.chunks_exact(2).zip(out.iter_mut()) {
                            let bits = u16::from_le_bytes(bytes.try_into().expect("two bytes"));
                            *x = f32::from_bits(u32::from(bits) << 16);
                        }
                    }
                    Self::F16 => {
                        let halves: Vec<f16> = bytes
                            .chunks_exact(2)
                            .map(|b| f16::from_le_bytes(b.try_into().expect("two bytes")))
                            .collect();
                        halves.convert_to_f32_slice(out);
                    }
                }
                out.iter().all(|x| x.is_finite())
            })
            .reduce(|| true, |a, b| a && b)
    }

    /// The values that are left of `values` when they are stored as this type. `Err` holds a value
    /// that is not finite or would become infinite.
    pub(crate) fn rounded(self, mut values: Vec<f32>) -> Result<Vec<f32>, f32> {
        if self != Self::F32 {
            let bytes = self.narrow(&values)?;
            self.widen(&bytes, &mut values);
        }
        Ok(values)
    }

    /// Converts float32 to little-endian bytes, rounding to nearest even. `Err` holds a value that
    /// is not finite or would become infinite.
    pub(crate) fn narrow(self, values: &[f32]) -> Result<Vec<u8>, f32> {
        let mut bytes = vec![0; values.len() * self.size()];
        values.par_chunks(CHUNK).zip(bytes.par_chunks_mut(CHUNK * self.size())).try_for_each(
            |(values, bytes)| {
                let fits = |x: &f32| match self {
                    Self::F32 => x.is_finite(),
                    // The largest value is 65504, and its successor would be 65536: from halfway
                    // between them on, values round to infinity.
                    Self::F16 => x.abs() < 65520.0,
                    Self::Bf16 => bf16::from_f32(*x).is_finite(),
                };
                if let Some(bad) = values.iter().find(|x| !fits(x)) {
                    return Err(*bad);
                }
                match self {
                    Self::F32 => {
                        for (x, bytes) in values.iter().zip(bytes.chunks_exact_mut(4)) {
                            bytes.copy_from_slice(&x.to_le_bytes());
                        }
                    }
                    Self::Bf16 => {
                        for (x, bytes) in values.iter().zip(bytes.chunks_exact_mut(2)) {
                            bytes.copy_from_slice(&bf16::from_f32(*x).to_le_bytes());
                        }
                    }
                    Self::F16 => {
                        let mut halves = vec![f16::ZERO; values.len()];
                        halves.convert_from_f32_slice(values);
                        for (x, bytes) in halves.iter().zip(bytes.chunks_exact_mut(2)) {
                            bytes.copy_from_slice(&x.to_le_bytes());
                        }
                    }
                }
                Ok(())
            },
        )?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(dtype: Dtype, values: &[f32]) -> Vec<f32> {
        let mut back = vec![0.0; values.len()];
        assert!(dtype.widen(&dtype.narrow(values).unwrap(), &mut back));
        back
    }

    proptest! {
        #[test]
        fn narrowing_rounds_to_nearest(values in prop::collection::vec(-6e4f32..6e4, 0..300)) {
            prop_assert_eq!(round_trip(Dtype::F32, &values), values.clone());
            for (x, y) in values.iter().zip(round_trip(Dtype::F16, &values)) {
                prop_assert_eq!(f16::from_f32(*x).to_f32(), y);
            }
            for (x, y) in values.iter().zip(round_trip(Dtype::Bf16, &values)) {
                prop_assert_eq!(bf16::from_f32(*x).to_f32(), y);
            }
        }
    }

    #[test]
    fn a_value_out_of_range_is_refused() {
        assert_eq!(Dtype::F16.narrow(&[1.0, 65504.0]).map(|_| ()), Ok(()));
        assert_eq!(Dtype::F16.narrow(&[1.0, 7e4]).map(|_| ()), Err(7e4));
        assert_eq!(Dtype::Bf16.narrow(&[f32::MAX]).map(|_| ()), Err(f32::MAX));
        assert!(Dtype::F32.narrow(&[f32::NAN]).is_err());
    }

    #[test]
    fn infinities_are_detected() {
        for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16] {
            let infinity = match dtype {
                Dtype::F32 => f32::INFINITY.to_le_bytes().to_vec(),
                Dtype::F16 => f16::INFINITY.to_le_bytes().to_vec(),
                Dtype::Bf16 => bf16::INFINITY.to_le_bytes().to_vec(),
            };
            assert!(!dtype.widen(&infinity, &mut [0.0]));
        }
    }
}
