//! Attributes, items and slices of values, as Jinja's sandbox finds them.

use std::any::Any;

use crate::budget::Budget;
use crate::error::{Result, fail};
use crate::format::braces::{self, Access};
use crate::methods::{self, Meaning};
use crate::value::compare::entry;
use crate::value::{Args, Missing, Object, Value, Weight};

/// `value.name`: the attribute, or else the item.
pub fn attribute(value: &Value, name: &str, budget: &Budget) -> Result<Value> {
    if let Value::Undefined(missing) = value {
        return missing.fail();
    }
    match own(value, name)? {
        Some(found) => Ok(found),
        None => Ok(match value {
            Value::Dict(dict) => dict.named(name, budget)?.cloned(),
            _ => None,
        }
        .unwrap_or_else(|| value.missing(name))),
    }
}

/// The attribute `name`, without the items of a dict.
pub fn own(value: &Value, name: &str) -> Result<Option<Value>> {
    if let Value::Object(object) = value {
        return Ok(object.attribute(name));
    }
    match (methods::meaning(value, name), value, name) {
        (Meaning::Method, ..) => {
            let weight = Weight::around([value].into_iter())?;
            let method = Method { value: value.clone(), name: name.into(), weight };
            Ok(Some(Value::Object(std::rc::Rc::new(method))))
        }
        (Meaning::Unsafe, ..) => {
            Ok(Some(Value::Undefined(Missing::Unsafe(value.kind(), name.into()))))
        }
        (_, Value::Int(_) | Value::Float(_), "real") => Ok(Some(value.clone())),
        (_, Value::Int(_), "numerator") => Ok(Some(value.clone())),
        (_, Value::Int(_), "denominator") => Ok(Some(Value::Int(1))),
        (_, Value::Int(_), "imag") => Ok(Some(Value::Int(0))),
        (_, Value::Float(_), "imag") => Ok(Some(Value::Float(0.0))),
        _ => Ok(None),
    }
}

/// `value[index]`: the item, or else the attribute.
pub fn item(value: &Value, index: &Value, budget: &Budget) -> Result<Value> {
    if let Value::Undefined(missing) = value {
        return missing.fail();
    }
    let found = match value {
        Value::Dict(dict) if index.hashable().is_ok() => entry(dict, index, budget)?.cloned(),
        Value::List(sequence) | Value::Tuple(sequence) => index
            .as_int()
            .and_then(|index| place(index, sequence.items.len()))
            .map(|index| sequence.items[index].clone()),
        Value::Text(text) => match index.as_int() {
            Some(index) => {
                budget.text(text.len())?;
                let index = place(index, text.chars().count());
                let character = index.and_then(|index| text.chars().nth(index));
                character.map(|c| Value::text(&*c.encode_utf8(&mut [0; 4])))
            }
            None => None,
        },
        _ => None,
    };
    if let Some(found) = found {
        return Ok(found);
    }
    match index {
        Value::Text(name) => Ok(own(value, name)?.unwrap_or_else(|| value.missing(name))),
        _ => Ok(value.missing(&crate::value::repr::text(index, budget)?)),
    }
}

fn place(index: i128, length: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(length as i128)? } else { index };
    usize::try_from(index).ok().filter(|index| *index < length)
}

/// `value[start:stop:step]`
pub fn slice(value: &Value, parts: [Value; 3], budget: &Budget) -> Result<Value> {
    let take = |length| indices(&parts, length);
    match value {
        Value::Undefined(missing) => missing.fail(),
        Value::List(list) => {
            let chosen = take(list.items.len())?;
            budget.list(chosen.len())?;
            Value::list(chosen.map(|index| list.items[index].clone()).collect(), budget)
        }
        Value::Tuple(tuple) => {
            let chosen = take(tuple.items.len())?;
            budget.list(chosen.len())?;
            Value::tuple(chosen.map(|index| tuple.items[index].clone()).collect(), budget)
        }
        Value::Text(text) => {
            // At most four bytes for each character, which are needed only here.
            budget.spend(text.len() as u64 / 4)?;
            budget.text(text.len())?;
            let characters: Vec<char> = text.chars().collect();
            let chosen = take(characters.len())?;
            Ok(Value::text(chosen.map(|index| characters[index]).collect::<String>()))
        }
        Value::Dict(_) => fail!("unhashable type: 'slice'"),
        _ => fail!("'{}' object is not subscriptable", value.kind()),
    }
}

/// The places that a slice of `length` items takes.
fn indices(parts: &[Value; 3], length: usize) -> Result<impl ExactSizeIterator<Item = usize>> {
    let part = |value: &Value| match value {
        Value::None => Ok(None),
        Value::Undefined(missing) => missing.fail(),
        value => value.int("a slice index").map(Some),
    };
    let [start, stop, step] = parts;
    let step = part(step)?.unwrap_or(1);
    if step == 0 {
        return fail!("slice step cannot be zero");
    }
    let length = length as i128;
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |value: Option<i128>, default: i128| match value {
        None => default,
        Some(value) if value < 0 => value.saturating_add(length).clamp(low, high),
        Some(value) => value.clamp(low, high),
    };
    let (first, last) = if step > 0 { (low, high) } else { (high, low) };
    let start = clamp(part(start)?, first);
    let stop = clamp(part(stop)?, last);
    let span = if step > 0 { stop - start } else { start - stop };
    let width = step.unsigned_abs().min(u128::from(u64::MAX)) as i128;
    let count = if span > 0 { (span - 1) / width + 1 } else { 0 };
    let step = step.clamp(-width, width);
    Ok((0..count as usize).map(move |index| (start + index as i128 * step) as usize))
}

/// A method of a value, not yet called.
#[derive(Debug)]
struct Method {
    value: Value,
    name: Box<str>,
    weight: Weight,
}

impl Object for Method {
    fn kind(&self) -> &'static str {
        "builtin_function_or_method"
    }

    fn call(&self, arguments: Args, budget: &Budget) -> Option<Result<Value>> {
        Some(match (&self.value, &*self.name) {
            (Value::Text(format), "format") => formatted(format, arguments, budget),
            (Value::Text(format), "format_map") => mapped(format, arguments, budget),
            (value, name) => methods::call(value, name, arguments, budget),
        })
    }

    fn callable(&self) -> bool {
        true
    }

    fn weight(&self) -> Weight {
        self.weight
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn formatted(format: &str, arguments: Args, budget: &Budget) -> Result<Value> {
    let access = Access { attribute, item };
    Ok(Value::text(braces::format(format, &arguments, access, budget)?))
}

fn mapped(format: &str, arguments: Args, budget: &Budget) -> Result<Value> {
    let [map] = arguments.bind("format_map", ["mapping"], 1)?;
    let Some(Value::Dict(map)) = map else { return fail!("format_map takes a dict") };
    let mut named = Vec::new();
    for (key, value) in &map.entries {
        named.push((key.str("a key of format_map")?.into(), value.clone()));
    }
    formatted(format, Args { positional: Vec::new(), named }, budget)
}
