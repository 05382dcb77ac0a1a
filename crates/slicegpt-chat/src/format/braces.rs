//! [`format`]: Python's `str.format`.

use crate::budget::Budget;
use crate::error::{Result, fail};
use crate::format::spec;
use crate::value::repr::{repr, text};
use crate::value::writer::Writer;
use crate::value::{Args, Value};

/// Fields inside the specifications of other fields.
const MAX_DEPTH: usize = 2;

/// How the attributes and items of values are found.
#[derive(Clone, Copy)]
pub struct Access {
    /// `value.name`
    pub attribute: fn(&Value, &str, &Budget) -> Result<Value>,
    /// `value[index]`
    pub item: fn(&Value, &Value, &Budget) -> Result<Value>,
}

/// The text of `format` with its fields replaced by `arguments`.
pub fn format(format: &str, arguments: &Args, access: Access, budget: &Budget) -> Result<String> {
    let mut fields = Fields { arguments, access, counted: 0, budget };
    fields.format(format, MAX_DEPTH)
}

struct Fields<'a> {
    access: Access,
    arguments: &'a Args,
    /// Fields without a name so far.
    counted: usize,
    budget: &'a Budget,
}

impl Fields<'_> {
    fn format(&mut self, format: &str, depth: usize) -> Result<String> {
        let mut writer = Writer::new(self.budget);
        let mut rest = format;
        while let Some(at) = rest.find(['{', '}']) {
            writer.push(&rest[..at])?;
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                writer.push(brace)?;
                rest = after;
                continue;
            }
            if brace == "}" {
                return fail!("Single '}}' encountered in format string");
            }
            if depth == 0 {
                return fail!("Max string recursion exceeded");
            }
            let end = closing(rest)?;
            writer.push(&self.field(&rest[..end], depth)?)?;
            rest = &rest[end + 1..];
        }
        writer.push(rest)?;
        Ok(writer.finish())
    }

    fn field(&mut self, field: &str, depth: usize) -> Result<String> {
        let name = name_end(field);
        let (name, rest) = field.split_at(name);
        let value = self.value(name)?;
        let (conversion, spec) = match rest.strip_prefix('!') {
            Some(after) => {
                let kind = after.chars().next();
                let after = &after[kind.map_or(0, char::len_utf8)..];
                (kind, after.strip_prefix(':').unwrap_or(after))
            }
            None => (None, rest.strip_prefix(':').unwrap_or("")),
        };
        let value = match conversion {
            None => value,
            Some('s') => Value::text(text(&value, self.budget)?),
            Some('r' | 'a') => Value::text(repr(&value, self.budget)?),
            Some(other) => return fail!("Unknown conversion specifier {other}"),
        };
        let spec = self.format(spec, depth - 1)?;
        spec::format(&value, &spec, self.budget)
    }

    fn value(&mut self, name: &str) -> Result<Value> {
        let end = name.find(['.', '[']).unwrap_or(name.len());
        let (first, mut rest) = name.split_at(end);
        let index = match first {
            "" => {
                self.counted += 1;
                Some(self.counted - 1)
            }
            _ => first.parse().ok(),
        };
        let value = match index {
            Some(index) => self.arguments.positional.get(index),
            None => {
                let is = |name: &str| *name == *first;
                self.arguments.named.iter().find(|(name, _)| is(name)).map(|(_, value)| value)
            }
        };
        let Some(mut value) = value.cloned() else {
            return fail!("no argument '{first}' for a format string");
        };
        while !rest.is_empty() {
            self.budget.spend(1)?;
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                value = (self.access.attribute)(&value, &after[..end], self.budget)?;
                rest = &after[end..];
            } else {
                let after = &rest[1..];
                let Some(end) = after.find(']') else {
                    return fail!("Missing ']' in format string");
                };
                let index = &after[..end];
                let index = index.parse().map_or_else(|_| Value::text(index), Value::Int);
                value = (self.access.item)(&value, &index, self.budget)?;
                rest = &after[end + 1..];
            }
        }
        Ok(value)
    }
}

/// Where the brace closes that was opened before `rest`.
fn closing(rest: &str) -> Result<usize> {
    let mut depth = 1;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok(at);
        }
    }
    fail!("expected '}}' before end of string")
}

/// Where the name of a field ends; an index may contain anything but its bracket.
fn name_end(field: &str) -> usize {
    let mut inside = false;
    for (at, byte) in field.bytes().enumerate() {
        match byte {
            b'[' => inside = true,
            b']' => inside = false,
            b'!' | b':' if !inside => return at,
            _ => {}
        }
    }
    field.len()
}
