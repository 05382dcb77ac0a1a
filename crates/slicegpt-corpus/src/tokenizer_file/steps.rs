//! How much longer the steps of a tokenizer make a text.

use serde_json::Value;

use crate::tokenizer_file::limits::at_most;

/// How many times longer a part of a tokenizer may make a text.
const MAX_GROWTH: f64 = 64.0;

/// How many steps a part may have.
const MAX_STEPS: usize = 128;

/// Tokens that templates put around a text.
const MAX_AROUND: usize = 1024;

/// Bytes of the texts in a map of characters, each of which stands for one of at most 4 bytes.
const CHARACTER: f64 = 4.0;

/// How many times longer a normaliser makes a text.
pub(super) fn normalizer(part: &Value) -> Result<f64, String> {
    let mut steps = Vec::new();
    flatten(part, "normalizer", &mut steps)?;
    for step in steps {
        if let Some(map) = step.get("precompiled_charsmap").and_then(Value::as_str) {
            check_map(map)?;
        }
    }
    growth(part, "normalizer", |step, kind| {
        let map = step.get("precompiled_charsmap").and_then(Value::as_str);
        let map = map.map_or(1.0, |map| longest_in_map(map) / CHARACTER);
        // A byte becomes a character of at most two. A step need not name its type.
        let bytes = if matches!(kind, "ByteLevel" | "") { 2.0 } else { 1.0 };
        // A prefix adds little to a text; tokens are shorter.
        let before = 1.0 + text(step, "prepend") / CHARACTER;
        replaced(step).max(before).max(map).max(bytes)
    })
}

/// Checks the steps that divide a text into words.
pub(super) fn pre_tokenizer(part: &Value) -> Result<(), String> {
    // By their fields: a step need not name its type.
    let longer = |step: &Value, _: &str| match step.get("add_prefix_space") {
        // A byte becomes a character of at most two.
        Some(Value::Bool(false)) => 2.0,
        // And a word of one byte may begin with a space.
        Some(_) => 4.0,
        // One before a word, and one in the place of a space.
        None => 1.0 + text(step, "replacement"),
    };
    growth(part, "pre_tokenizer", longer).map(drop)
}

/// Checks the steps that make a text of tokens.
pub(super) fn decoder(part: &Value) -> Result<(), String> {
    let longer = |step: &Value, kind: &str| {
        // What is replaced by a space, or by nothing: if it is empty, at each character.
        let empty = ["suffix", "pad_token", "word_delimiter_token"];
        let is_empty = |field: &&str| step.get(*field).is_some_and(|text| text == "");
        let spaces = if empty.iter().any(is_empty) { 2.0 } else { 1.0 };
        // A space before each token, which may be one character.
        let between = if kind == "WordPiece" { 2.0 } else { 1.0 };
        replaced(step) * spaces * between
    };
    growth(part, "decoder", longer).map(drop)
}

/// Checks the templates that put tokens around a text.
pub(super) fn post_processor(part: &Value) -> Result<(), String> {
    let mut steps = Vec::new();
    flatten(part, "post_processor", &mut steps)?;
    let mut around = 0_usize;
    for step in steps {
        for template in ["single", "pair"] {
            let pieces = step.get(template).and_then(Value::as_array);
            let pieces = pieces.map(Vec::as_slice).unwrap_or_default();
            for text in ["A", "B"] {
                let is_it = |piece: &&Value| {
                    piece.get("Sequence").and_then(|text| text.get("id")) == Some(&text.into())
                };
                if pieces.iter().filter(is_it).count() > 1 {
                    return Err(format!("its post_processor puts a text twice ({template})"));
                }
            }
            for piece in pieces {
                let id = piece.get("SpecialToken").and_then(|token| token.get("id"));
                let token = id
                    .and_then(Value::as_str)
                    .and_then(|id| step.get("special_tokens")?.get(id)?.get("ids")?.as_array());
                around += token.map_or(1, Vec::len);
            }
        }
    }
    at_most(around, MAX_AROUND, "tokens around a text in its post_processor")
}

/// The product of what `longer` says of each step of a part, by its type.
fn growth(part: &Value, name: &str, longer: impl Fn(&Value, &str) -> f64) -> Result<f64, String> {
    let mut steps = Vec::new();
    flatten(part, name, &mut steps)?;
    let kind = |step: &Value| step.get("type").and_then(Value::as_str).unwrap_or("").to_string();
    let growth: f64 = steps.iter().map(|step| longer(step, &kind(step)).max(1.0)).product();
    if growth <= MAX_GROWTH {
        Ok(growth)
    } else {
        Err(format!(
            "its {name} makes a text {growth:.0} times as long, where {MAX_GROWTH} times is the \
             most"
        ))
    }
}

/// The steps of a part, of which lists may be in lists.
fn flatten<'a>(part: &'a Value, name: &str, steps: &mut Vec<&'a Value>) -> Result<(), String> {
    let mut left = vec![part];
    while let Some(step) = left.pop() {
        let lists = ["normalizers", "pretokenizers", "decoders", "processors"];
        let lists = lists.iter().filter_map(|list| step.get(*list).and_then(Value::as_array));
        left.extend(lists.flatten());
        if !step.is_null() {
            steps.push(step);
        }
    }
    // A list is not a step itself.
    let single = |step: &&&Value| step.get("type").is_none_or(|kind| kind != "Sequence");
    let count = steps.iter().filter(single).count();
    at_most(count, MAX_STEPS, &format!("steps in its {name}"))
}

/// How many times longer a step makes a text that replaces a pattern by its content.
fn replaced(step: &Value) -> f64 {
    let content = text(step, "content");
    let pattern = match step.get("pattern") {
        None => return 1.0,
        Some(Value::String(pattern)) => pattern.len(),
        Some(pattern) => match pattern.get("String").and_then(Value::as_str) {
            Some(pattern) => pattern.len(),
            None => 0,
        },
    };
    match pattern {
        // An expression may match one character, or none before each one.
        0 => 1.0 + content,
        pattern => content / pattern as f64,
    }
}

fn text(step: &Value, field: &str) -> f64 {
    step.get(field).and_then(Value::as_str).map_or(0.0, |text| text.len() as f64)
}

/// Checks that the trie of a map of characters is as long as the map says: the library makes room
/// for 8 GB before it looks.
fn check_map(map: &str) -> Result<(), String> {
    let bytes = decoded(map);
    match bytes.split_first_chunk::<4>() {
        Some((length, rest)) if u32::from_le_bytes(*length) as usize > rest.len() => Err(format!(
            "its normalizer has a map of characters whose trie would have {} bytes, and {} are \
             left",
            u32::from_le_bytes(*length),
            rest.len()
        )),
        _ => Ok(()),
    }
}

/// Bytes of the longest text that a map of characters puts in the place of one. The map is in
/// Base64: the length of a trie, the trie, and texts that end with 0.
fn longest_in_map(map: &str) -> f64 {
    let bytes = decoded(map);
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return 0.0 };
    let texts = rest.get(u32::from_le_bytes(*length) as usize..).unwrap_or(rest);
    texts.split(|byte| *byte == 0).map(<[u8]>::len).max().unwrap_or(0) as f64
}

/// The bytes of Base64. Other characters are skipped: what is not Base64 is refused later.
fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut held, mut bits) = (Vec::with_capacity(text.len()), 0_u32, 0);
    for character in text.bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    bytes
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Bytes as Base64.
    pub fn base64(bytes: &[u8]) -> String {
        let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let group = |three: &[u8]| {
            let value = (0..3)
                .fold(0, |value, i| value << 8 | u32::from(three.get(i).copied().unwrap_or(0)));
            let digit = |i: usize| {
                if i <= three.len() {
                    char::from(digits[(value >> (18 - 6 * i)) as usize & 63])
                } else {
                    '='
                }
            };
            (0..4).map(digit).collect::<String>()
        };
        bytes.chunks(3).map(group).collect()
    }

    #[test]
    fn base64_is_read_back() {
        assert_eq!(base64(b"slice"), "c2xpY2U=");
        for length in 0..10 {
            let bytes: Vec<u8> = (0..length).map(|i| i * 37).collect();
            assert_eq!(decoded(&base64(&bytes)), bytes);
        }
    }
}
