//! [`dumps`]: JSON as Python writes it.

use std::fmt::Write;

use crate::budget::Budget;
use crate::error::{Result, fail};
use crate::value::Value;
use crate::value::compare::sort;
use crate::value::number::float;
use crate::value::writer::Writer;

/// How JSON is written: the arguments of Python's `json.dumps`.
#[derive(Debug)]
pub struct Style {
    /// Whether other characters than ASCII are escaped.
    pub ascii: bool,
    /// The indent of a level, on lines of their own.
    pub indent: Option<String>,
    /// Between items.
    pub item_separator: String,
    /// Between key and value.
    pub key_separator: String,
    /// Whether the keys of dicts are sorted.
    pub sorted: bool,
}

/// As Python's `json.dumps`.
pub fn dumps(value: &Value, style: &Style, budget: &Budget) -> Result<String> {
    let writer = Writer::new(budget);
    let mut json = JsonWriter { writer, depth: 0, style, budget };
    json.value(value)?;
    Ok(json.writer.finish())
}

struct JsonWriter<'a> {
    writer: Writer<'a>,
    depth: usize,
    style: &'a Style,
    budget: &'a Budget,
}

impl JsonWriter<'_> {
    fn value(&mut self, value: &Value) -> Result<()> {
        match value {
            Value::Text(text) => self.string(text),
            Value::List(sequence) | Value::Tuple(sequence) => {
                let items = sequence.items.iter();
                self.list("[", items, "]", |json, item| json.value(item))
            }
            Value::Dict(dict) => {
                let mut entries = dict.entries.clone();
                if self.style.sorted {
                    sort(&mut entries, false, self.budget)?;
                }
                self.list("{", entries.iter(), "}", |json, (key, value)| {
                    match key {
                        Value::Text(text) => json.string(text)?,
                        Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                            json.writer.push("\"")?;
                            json.value(key)?;
                            json.writer.push("\"")?;
                        }
                        _ => return fail!("tojson: a key is a {}", key.kind()),
                    }
                    json.writer.push(&json.style.key_separator)?;
                    json.value(value)
                })
            }
            Value::None => self.writer.push("null"),
            Value::Bool(true) => self.writer.push("true"),
            Value::Bool(false) => self.writer.push("false"),
            Value::Int(value) => self.writer.push(&value.to_string()),
            Value::Float(value) if value.is_nan() => self.writer.push("NaN"),
            Value::Float(value) if value.is_infinite() => {
                self.writer.push(if *value > 0.0 { "Infinity" } else { "-Infinity" })
            }
            Value::Float(value) => self.writer.push(&float(*value)),
            Value::Undefined(_) | Value::Object(_) => {
                fail!("tojson: Object of type {} is not JSON serializable", value.kind())
            }
        }
    }

    fn list<T>(
        &mut self,
        open: &str,
        items: impl ExactSizeIterator<Item = T>,
        close: &str,
        one: impl Fn(&mut Self, T) -> Result<()>,
    ) -> Result<()> {
        self.writer.push(open)?;
        self.depth += 1;
        let empty = items.len() == 0;
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.writer.push(&self.style.item_separator)?;
            }
            self.line()?;
            one(self, item)?;
        }
        self.depth -= 1;
        if !empty {
            self.line()?;
        }
        self.writer.push(close)
    }

    fn line(&mut self) -> Result<()> {
        match &self.style.indent {
            Some(indent) => {
                self.writer.push("\n")?;
                self.writer.repeat(indent, self.depth)
            }
            None => Ok(()),
        }
    }

    fn string(&mut self, text: &str) -> Result<()> {
        let mut written = String::with_capacity(text.len() + 2);
        written.push('"');
        for character in text.chars() {
            // Writing to a string cannot fail.
            let _ = match character {
                '"' => written.write_str("\\\""),
                '\\' => written.write_str("\\\\"),
                '\n' => written.write_str("\\n"),
                '\r' => written.write_str("\\r"),
                '\t' => written.write_str("\\t"),
                '\u{8}' => written.write_str("\\b"),
                '\u{c}' => written.write_str("\\f"),
                '\0'..' ' => write!(written, "\\u{:04x}", u32::from(character)),
                _ if character == '\u{7f}' || character.is_ascii() || !self.style.ascii => {
                    written.write_char(character)
                }
                _ => character
                    .encode_utf16(&mut [0; 2])
                    .iter()
                    .try_for_each(|unit| write!(written, "\\u{unit:04x}")),
            };
        }
        written.push('"');
        self.writer.push(&written)
    }
}
