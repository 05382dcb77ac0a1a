//! [`Value`]: a value in the metadata of a GGUF file, and its bytes.

/// A value of the metadata.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the names are those of the format
pub enum Value {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    I32s(Vec<i32>),
    F32s(Vec<f32>),
    /// Byte strings: tokens of some vocabularies are not valid UTF-8.
    Texts(Vec<Vec<u8>>),
}

/// Keys and values, in the order in which they are written.
pub type Metadata = Vec<(String, Value)>;

/// The format's number for arrays.
const ARRAY: u32 = 9;

impl Value {
    /// An array of strings.
    pub fn texts<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Self {
        Self::Texts(texts.into_iter().map(|text| text.as_ref().as_bytes().to_vec()).collect())
    }

    /// The format's number for the type, or for the type of an array's elements.
    fn type_id(&self) -> u32 {
        match self {
            Self::U32(_) => 4,
            Self::I32s(_) => 5,
            Self::F32(_) | Self::F32s(_) => 6,
            Self::Bool(_) => 7,
            Self::Text(_) | Self::Texts(_) => 8,
        }
    }

    /// Appends type and value.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let type_id = self.type_id();
        let mut array = |length: usize| {
            out.extend(ARRAY.to_le_bytes());
            out.extend(type_id.to_le_bytes());
            out.extend((length as u64).to_le_bytes());
        };
        match self {
            Self::I32s(list) => array(list.len()),
            Self::F32s(list) => array(list.len()),
            Self::Texts(list) => array(list.len()),
            Self::U32(_) | Self::F32(_) | Self::Bool(_) | Self::Text(_) => {
                out.extend(type_id.to_le_bytes());
            }
        }
        match self {
            Self::U32(x) => out.extend(x.to_le_bytes()),
            Self::F32(x) => out.extend(x.to_le_bytes()),
            Self::Bool(x) => out.push(u8::from(*x)),
            Self::Text(text) => put_text(out, text.as_bytes()),
            Self::I32s(list) => list.iter().for_each(|x| out.extend(x.to_le_bytes())),
            Self::F32s(list) => list.iter().for_each(|x| out.extend(x.to_le_bytes())),
            Self::Texts(list) => list.iter().for_each(|text| put_text(out, text)),
        }
    }
}

/// Appends a text: its length in bytes, and the bytes.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text);
}
