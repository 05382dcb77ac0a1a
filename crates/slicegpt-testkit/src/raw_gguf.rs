//! [`RawGguf`]: a GGUF file in parts that tests may change, damage or split.

use std::path::Path;

use crate::gguf::Cursor;

/// The parts of a GGUF file.
#[derive(Clone)]
pub struct RawGguf {
    /// The version in the header.
    pub version: u32,
    /// Keys, and type and value as bytes.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The tensors, in order.
    pub tensors: Vec<RawTensor>,
}

/// A tensor of a GGUF file.
#[derive(Clone)]
pub struct RawTensor {
    /// Its name.
    pub name: String,
    /// Its dimensions as the file has them, columns first.
    pub dimensions: Vec<u64>,
    /// The number of its type.
    pub ty: u32,
    /// Its offset, if it is not that after the tensor before.
    pub offset: Option<u64>,
    /// Its values, or whatever follows the tensor before.
    pub data: Vec<u8>,
}

impl RawGguf {
    /// Reads `path`.
    ///
    /// # Panics
    ///
    /// If it is not a valid GGUF file.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut at = Cursor { bytes: &bytes, at: 4 };
        let version = at.u32();
        let (tensors, fields) = (at.u64(), at.u64());
        let fields = (0..fields).map(|_| {
            let key = at.text();
            let start = at.at;
            let ty = at.u32();
            skip(&mut at, ty);
            (key, bytes[start..at.at].to_vec())
        });
        let fields = fields.collect();
        let mut tensors: Vec<(RawTensor, usize)> = (0..tensors)
            .map(|_| {
                let name = at.text();
                let dimensions = (0..at.u32()).map(|_| at.u64()).collect();
                let ty = at.u32();
                let offset = at.u64() as usize;
                (RawTensor { name, dimensions, ty, offset: None, data: Vec::new() }, offset)
            })
            .collect();
        let start = at.at.next_multiple_of(32);
        let mut ends: Vec<usize> = tensors.iter().skip(1).map(|(_, offset)| *offset).collect();
        ends.push(bytes.len() - start);
        for ((tensor, offset), end) in tensors.iter_mut().zip(ends) {
            tensor.data = bytes[start + *offset..start + end].to_vec();
        }
        Self { version, fields, tensors: tensors.into_iter().map(|(tensor, _)| tensor).collect() }
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.fields.len() as u64).to_le_bytes());
        for (key, value) in &self.fields {
            put(&mut out, key);
            out.extend(value);
        }
        let mut next = 0;
        for tensor in &self.tensors {
            put(&mut out, &tensor.name);
            out.extend((tensor.dimensions.len() as u32).to_le_bytes());
            tensor.dimensions.iter().for_each(|size| out.extend(size.to_le_bytes()));
            out.extend(tensor.ty.to_le_bytes());
            out.extend(tensor.offset.unwrap_or(next).to_le_bytes());
            next += (tensor.data.len() as u64).next_multiple_of(32);
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(32), 0);
            out.extend(&tensor.data);
        }
        out.resize(out.len().next_multiple_of(32), 0);
        out
    }

    /// Sets the value of `key`: type and value as bytes.
    pub fn set(&mut self, key: &str, value: Vec<u8>) {
        match self.fields.iter_mut().find(|(own, _)| own == key) {
            Some((_, own)) => *own = value,
            None => self.fields.push((key.into(), value)),
        }
    }

    /// Removes `key`.
    pub fn remove(&mut self, key: &str) {
        self.fields.retain(|(own, _)| own != key);
    }

    /// Tensor `name`.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn tensor(&mut self, name: &str) -> &mut RawTensor {
        self.tensors.iter_mut().find(|tensor| tensor.name == name).expect("such a tensor")
    }

    /// A whole number as a value.
    pub fn number(number: u32) -> Vec<u8> {
        [4_u32, number].iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    /// A truth value.
    pub fn flag(value: bool) -> Vec<u8> {
        [&7_u32.to_le_bytes()[..], &[u8::from(value)]].concat()
    }

    /// A float32 as a value.
    pub fn float(number: f32) -> Vec<u8> {
        [6_u32.to_le_bytes(), number.to_le_bytes()].concat()
    }

    /// A text as a value.
    pub fn text(text: &str) -> Vec<u8> {
        let mut out = 8_u32.to_le_bytes().to_vec();
        put(&mut out, text);
        out
    }

    /// An array of texts as a value.
    pub fn texts(texts: &[&str]) -> Vec<u8> {
        let mut out: Vec<u8> = [9_u32, 8].iter().flat_map(|x| x.to_le_bytes()).collect();
        out.extend((texts.len() as u64).to_le_bytes());
        texts.iter().for_each(|text| put(&mut out, text));
        out
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn skip(at: &mut Cursor<'_>, ty: u32) {
    match ty {
        8 => {
            at.text();
        }
        9 => {
            let (ty, length) = (at.u32(), at.u64());
            (0..length).for_each(|_| skip(at, ty));
        }
        0 | 1 | 7 => at.at += 1,
        2 | 3 => at.at += 2,
        4..=6 => at.at += 4,
        _ => at.at += 8,
    }
}
