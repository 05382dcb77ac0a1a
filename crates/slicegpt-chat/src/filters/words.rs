//! The rarer operations on texts: HTML, URLs, titles, sizes of files.

use crate::budget::Budget;
use crate::error::{Result, fail};
use crate::value::repr::text;
use crate::value::space::is_space;
use crate::value::writer::Writer;
use crate::value::{Args, Value};

/// Escaped for HTML.
pub fn escape(source: &str, budget: &Budget) -> Result<String> {
    let mut writer = Writer::new(budget);
    let mut from = 0;
    for (at, found) in source.match_indices(['&', '<', '>', '\'', '"']) {
        writer.push(&source[from..at])?;
        writer.push(match found {
            "&" => "&amp;",
            "<" => "&lt;",
            ">" => "&gt;",
            "'" => "&#39;",
            _ => "&#34;",
        })?;
        from = at + found.len();
    }
    writer.push(&source[from..])?;
    Ok(writer.finish())
}

/// Every word with a capital, where words also begin after dashes and brackets.
pub fn title(source: &str) -> String {
    let divides = |c: char| is_space(c) || matches!(c, '-' | '(' | '{' | '[' | '<');
    let mut titled = String::with_capacity(source.len());
    let mut inside = false;
    for character in source.chars() {
        if divides(character) {
            titled.push(character);
        } else if inside {
            titled.extend(character.to_lowercase());
        } else {
            titled.extend(character.to_uppercase());
        }
        inside = !divides(character);
    }
    titled
}

/// How many words there are.
pub fn count(source: &str) -> usize {
    let word = |c: char| c == '_' || c.is_alphanumeric();
    source.split(|c| !word(c)).filter(|part| !part.is_empty()).count()
}

/// Without the tags of HTML, and with single spaces.
pub fn without_tags(source: &str) -> String {
    let mut plain = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find('<') {
        let tag = &rest[at..];
        let (end, width) = match tag.strip_prefix("<!--") {
            Some(_) => (tag.find("-->"), 3),
            None => (tag.find('>'), 1),
        };
        let Some(end) = end else { break };
        plain.push_str(&rest[..at]);
        rest = &tag[end + width..];
    }
    plain.push_str(rest);
    let words: Vec<&str> = plain.split(is_space).filter(|word| !word.is_empty()).collect();
    let joined = words.join(" ");
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&#34;", "\""), ("&quot;", "\"")];
    let plain = entities.iter().fold(joined, |text, (entity, c)| text.replace(entity, c));
    plain.replace("&amp;", "&")
}

/// Quoted for a URL, but for the characters in `safe`.
pub fn url(source: &str, safe: &str, budget: &Budget) -> Result<String> {
    let mut writer = Writer::new(budget);
    for byte in source.bytes() {
        let character = char::from(byte);
        if byte.is_ascii_alphanumeric() || "_.-~".contains(character) || safe.contains(character) {
            writer.push(character.encode_utf8(&mut [0; 4]))?;
        } else {
            writer.push(&format!("%{byte:02X}"))?;
        }
    }
    Ok(writer.finish())
}

/// A dict, or pairs, as the query of a URL; anything else quoted.
pub fn query(value: &Value, budget: &Budget) -> Result<Value> {
    let pairs = match value {
        Value::Dict(dict) => dict.entries.clone(),
        Value::List(_) | Value::Tuple(_) => {
            let mut pairs = Vec::new();
            for pair in value.iterate(budget)? {
                match &pair.iterate(budget)?[..] {
                    [key, value] => pairs.push((key.clone(), value.clone())),
                    _ => return fail!("urlencode needs pairs"),
                }
            }
            pairs
        }
        _ => return Ok(Value::text(url(&text(value, budget)?, "/", budget)?)),
    };
    let mut writer = Writer::new(budget);
    for (index, (key, value)) in pairs.iter().enumerate() {
        let quoted = |value: &Value| -> Result<String> {
            Ok(url(&text(value, budget)?, " ", budget)?.replace(' ', "+"))
        };
        writer.push(if index == 0 { "" } else { "&" })?;
        writer.push(&quoted(key)?)?;
        writer.push("=")?;
        writer.push(&quoted(value)?)?;
    }
    Ok(Value::text(writer.finish()))
}

/// A dict as the attributes of a tag of HTML.
pub fn attributes(value: &Value, arguments: Args, budget: &Budget) -> Result<Value> {
    let [space] = arguments.bind("xmlattr", ["autospace"], 0)?;
    let Value::Dict(dict) = value else { return fail!("xmlattr needs a dict") };
    let mut writer = Writer::new(budget);
    let mut first = !space.is_none_or(|space| space.truth());
    for (key, value) in &dict.entries {
        if matches!(value, Value::None | Value::Undefined(_)) {
            continue;
        }
        let key = key.str("a key of xmlattr")?;
        if key.contains([' ', '\t', '\n', '\r', '\u{b}', '\u{c}', '/', '>', '=']) {
            return fail!("invalid character in attribute name: {key:?}");
        }
        writer.push(if std::mem::take(&mut first) { "" } else { " " })?;
        writer.push(&escape(key, budget)?)?;
        writer.push("=\"")?;
        writer.push(&escape(&text(value, budget)?, budget)?)?;
        writer.push("\"")?;
    }
    Ok(Value::text(writer.finish()))
}

/// A number of bytes for people.
pub fn file_size(bytes: f64, binary: bool) -> String {
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    if bytes == 1.0 {
        return "1 Byte".into();
    }
    if bytes < base {
        return format!("{} Bytes", bytes as i128);
    }
    let letters = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
    let mut unit = base;
    let mut name = String::new();
    for letter in letters {
        name = if binary { format!("{}iB", letter.to_uppercase()) } else { format!("{letter}B") };
        unit *= base;
        if bytes < unit {
            break;
        }
    }
    format!("{:.1} {name}", base * bytes / unit)
}
