//! [`Shape`]: how large the parts of a tokenizer are, found without keeping them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::tokenizer_file::limits::{MAX_TEXT, MAX_TOKEN, MAX_TOKENS, MAX_VALUES, at_most};

/// Added tokens. Those of images, in models that write them, are tens of thousands.
const MAX_ADDED: usize = 200_000;

/// The sizes of the parts of a tokenizer.
#[derive(Deserialize)]
pub(super) struct Shape {
    #[serde(default)]
    added_tokens: Size,
    #[serde(default)]
    normalizer: Size,
    #[serde(default)]
    pre_tokenizer: Size,
    #[serde(default)]
    post_processor: Size,
    #[serde(default)]
    decoder: Size,
    model: Size,
}

/// The size of a part.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
struct Size {
    /// Numbers, texts, lists and objects.
    values: usize,
    /// Bytes of the longest text, but for a map of characters.
    longest: usize,
}

impl Shape {
    /// Checks the sizes.
    pub fn check(&self) -> Result<(), String> {
        let parts = [
            ("normalizer", self.normalizer),
            ("pre_tokenizer", self.pre_tokenizer),
            ("post_processor", self.post_processor),
            ("decoder", self.decoder),
        ];
        for (name, size) in parts {
            at_most(size.values, MAX_VALUES, &format!("values in its {name}"))?;
            at_most(size.longest, MAX_TEXT, &format!("bytes in a text of its {name}"))?;
        }
        // A token has seven values.
        at_most(self.added_tokens.values / 7, MAX_ADDED, "added tokens")?;
        // A token of a Unigram model has two values in a list, a merge as well.
        at_most(self.model.values, 6 * MAX_TOKENS, "values in its model")?;
        at_most(self.model.longest, MAX_TOKEN, "bytes in a text of its model")
    }
}

impl Size {
    /// A value with a text of so many bytes.
    const fn of(longest: usize) -> Self {
        Self { values: 1, longest }
    }

    fn add(&mut self, other: Self) {
        self.values += other.values;
        self.longest = self.longest.max(other.longest);
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Measure)
    }
}

/// Finds the [`Size`] of any value.
struct Measure;

impl<'de> Visitor<'de> for Measure {
    type Value = Size;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Size, E> {
        Ok(Size::of(0))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Size, E> {
        Ok(Size::of(0))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Size, E> {
        Ok(Size::of(0))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Size, E> {
        Ok(Size::of(0))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Size, E> {
        Ok(Size::of(0))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        Ok(Size::of(text.len()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Size, A::Error> {
        let mut size = Size::of(0);
        while let Some(element) = list.next_element()? {
            size.add(element);
        }
        Ok(size)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Size, A::Error> {
        let mut size = Size::of(0);
        while let Some(key) = map.next_key::<String>()? {
            let mut value: Size = map.next_value()?;
            // It is read as a map of characters, each of whose texts is counted.
            if key == "precompiled_charsmap" {
                value.longest = 0;
            }
            value.longest = value.longest.max(key.len());
            size.add(value);
        }
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_of_all_that_is_inside() {
        let size = |json| serde_json::from_str::<Size>(json).unwrap();
        assert_eq!(size("null"), Size { values: 1, longest: 0 });
        assert_eq!(size(r#"[1, -1, 0.5, "abc", [true]]"#), Size { values: 7, longest: 3 });
        assert_eq!(size(r#"{"a": {"bcd": "ef"}}"#), Size { values: 3, longest: 3 });
        let map = r#"{"precompiled_charsmap": "0123456789012345678901234567890"}"#;
        assert_eq!(size(map), Size { values: 2, longest: "precompiled_charsmap".len() });
    }
}
