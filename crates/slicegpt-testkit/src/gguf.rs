//! A reader of GGUF files, written from the description of the format and independent of the
//! writer.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

/// A GGUF file of version 3.
pub struct Gguf {
    /// Values by key.
    pub metadata: BTreeMap<String, Value>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, GgufTensor>,
}

/// A tensor of a GGUF file.
pub struct GgufTensor {
    /// The shape, with the number of rows first.
    pub shape: Vec<usize>,
    /// The number of its type in the format.
    pub ty: u32,
    /// The stored bytes.
    pub data: Vec<u8>,
}

/// For each type: its number, the values in a block, and the bytes of a block.
const BLOCKS: &[(u32, usize, usize)] = &[
    (0, 1, 4),
    (1, 1, 2),
    (30, 1, 2),
    (8, 32, 34),
    (2, 32, 18),
    (3, 32, 20),
    (6, 32, 22),
    (7, 32, 24),
    (10, 256, 84),
    (11, 256, 110),
    (12, 256, 144),
    (13, 256, 176),
    (14, 256, 210),
];

impl Gguf {
    /// Reads `path`.
    ///
    /// # Panics
    ///
    /// If it is not a complete GGUF file: if a tensor is not aligned, overlaps another or is
    /// missing, or if bytes are left over.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut at = Cursor { bytes: &bytes, at: 0 };
        assert_eq!((at.take(4), at.u32()), (b"GGUF".as_slice(), 3));
        let (tensors, pairs) = (at.u64(), at.u64());
        let mut metadata = BTreeMap::new();
        for _ in 0..pairs {
            let key = at.text();
            let ty = at.u32();
            let value = at.value(ty);
            assert!(metadata.insert(key.clone(), value).is_none(), "{key} occurs twice");
        }
        let infos: Vec<(String, Vec<usize>, u32, usize)> = (0..tensors)
            .map(|_| {
                let name = at.text();
                let mut shape: Vec<usize> = (0..at.u32()).map(|_| at.u64() as usize).collect();
                shape.reverse();
                (name, shape, at.u32(), at.u64() as usize)
            })
            .collect();
        let start = at.at.next_multiple_of(32);
        let mut end = start;
        let mut tensors = BTreeMap::new();
        for (name, shape, ty, offset) in infos {
            let (_, block, size) = BLOCKS.iter().find(|(id, ..)| *id == ty).expect("a known type");
            let row = *shape.last().expect("at least one dimension");
            assert_eq!(row % block, 0, "{name}: a row of {row} in blocks of {block}");
            let length = shape.iter().product::<usize>() / block * size;
            assert_eq!(start + offset, end, "{name} does not follow the one before");
            let data = bytes[end..end + length].to_vec();
            end = (end + length).next_multiple_of(32);
            assert!(
                tensors.insert(name.clone(), GgufTensor { shape, ty, data }).is_none(),
                "{name}"
            );
        }
        assert_eq!(end, bytes.len(), "bytes that belong to no tensor");
        Self { metadata, tensors }
    }

    /// The values of a float32 tensor.
    ///
    /// # Panics
    ///
    /// If there is no such tensor.
    pub fn f32s(&self, name: &str) -> Vec<f32> {
        let tensor = self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}"));
        assert_eq!(tensor.ty, 0, "{name} is not float32");
        let values = tensor.data.chunks_exact(4);
        values.map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes"))).collect()
    }
}

/// A place in a file.
pub(crate) struct Cursor<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        self.at += length;
        &self.bytes[self.at - length..self.at]
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().expect("four bytes"))
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().expect("eight bytes"))
    }

    pub fn text(&mut self) -> String {
        let length = self.u64() as usize;
        String::from_utf8(self.take(length).to_vec()).expect("UTF-8")
    }

    fn value(&mut self, ty: u32) -> Value {
        match ty {
            4 => json!(self.u32()),
            5 => json!(self.u32().cast_signed()),
            6 => json!(f32::from_bits(self.u32())),
            7 => json!(self.take(1) == [1]),
            8 => json!(self.text()),
            9 => {
                let (ty, length) = (self.u32(), self.u64());
                (0..length).map(|_| self.value(ty)).collect()
            }
            other => panic!("metadata of type {other}"),
        }
    }
}
