//! Values as Python prints them: `str` and `repr`.

use std::borrow::Cow;
use std::fmt::Write;

use crate::budget::Budget;
use crate::error::Result;
use crate::value::Value;
use crate::value::number::float;
use crate::value::writer::Writer;

/// As Python's `str`.
pub fn text<'a>(value: &'a Value, budget: &Budget) -> Result<Cow<'a, str>> {
    match value {
        Value::Text(text) => Ok(Cow::Borrowed(text)),
        Value::Undefined(_) => Ok(Cow::Borrowed("")),
        other => Ok(Cow::Owned(repr(other, budget)?)),
    }
}

/// As Python's `repr`.
pub fn repr(value: &Value, budget: &Budget) -> Result<String> {
    let mut writer = Writer::new(budget);
    write(value, &mut writer)?;
    Ok(writer.finish())
}

fn write(value: &Value, writer: &mut Writer<'_>) -> Result<()> {
    match value {
        Value::Undefined(_) => writer.push("Undefined"),
        Value::None => writer.push("None"),
        Value::Bool(true) => writer.push("True"),
        Value::Bool(false) => writer.push("False"),
        Value::Int(value) => writer.push(&value.to_string()),
        Value::Float(value) => writer.push(&float(*value)),
        Value::Text(text) => quoted(text, writer),
        Value::List(list) => {
            writer.push("[")?;
            items(&list.items, writer)?;
            writer.push("]")
        }
        Value::Tuple(tuple) => {
            writer.push("(")?;
            items(&tuple.items, writer)?;
            writer.push(if tuple.items.len() == 1 { ",)" } else { ")" })
        }
        Value::Dict(dict) => {
            writer.push("{")?;
            for (index, (key, value)) in dict.entries.iter().enumerate() {
                writer.push(if index == 0 { "" } else { ", " })?;
                write(key, writer)?;
                writer.push(": ")?;
                write(value, writer)?;
            }
            writer.push("}")
        }
        Value::Object(object) => writer.push(&format!("<{}>", object.kind())),
    }
}

fn items(items: &[Value], writer: &mut Writer<'_>) -> Result<()> {
    for (index, item) in items.iter().enumerate() {
        writer.push(if index == 0 { "" } else { ", " })?;
        write(item, writer)?;
    }
    Ok(())
}

fn quoted(text: &str, writer: &mut Writer<'_>) -> Result<()> {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for character in text.chars() {
        let code = u32::from(character);
        // Writing to a string cannot fail.
        let _ = match character {
            '\n' => quoted.write_str("\\n"),
            '\r' => quoted.write_str("\\r"),
            '\t' => quoted.write_str("\\t"),
            '\\' => quoted.write_str("\\\\"),
            _ if character == quote => write!(quoted, "\\{quote}"),
            _ if printable(character) => quoted.write_char(character),
            _ if code < 0x100 => write!(quoted, "\\x{code:02x}"),
            _ if code < 0x10000 => write!(quoted, "\\u{code:04x}"),
            _ => write!(quoted, "\\U{code:08x}"),
        };
    }
    quoted.push(quote);
    writer.push(&quoted)
}

/// As Python's `str.isprintable`, for all characters but those that no standard assigns.
pub fn printable(character: char) -> bool {
    if character == ' ' {
        return true;
    }
    let private = matches!(u32::from(character), 0xe000..0xf900 | 0xf0000..);
    // Rust escapes what is not printable, and what joins the character before it.
    let escaped = character.escape_debug().len() > 1;
    let quote = matches!(character, '\'' | '"' | '\\');
    let joins = !character.is_control() && is_mark(character);
    !private && !character.is_whitespace() && (!escaped || quote || joins)
}

/// Whether Rust escapes a character only because it joins the one before it.
fn is_mark(character: char) -> bool {
    let alone = character.escape_debug().len() > 1;
    let after: String = ['a', character].iter().collect();
    let joined = after.escape_debug().count() == 2;
    alone && joined
}
