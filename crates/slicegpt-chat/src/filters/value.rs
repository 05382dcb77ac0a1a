//! Filters of single values and numbers.

use crate::attributes::own;
use crate::budget::Budget;
use crate::error::{Result, fail};
use crate::operators::unary;
use crate::value::number::{round_half_even, truncate};
use crate::value::numeric::decimal;
use crate::value::space::is_space;
use crate::value::{Args, Value};

/// Calls filter `name` if it is one of a single value.
pub fn call(name: &str, value: &Value, arguments: &Args, budget: &Budget) -> Option<Result<Value>> {
    let arguments = arguments.clone();
    Some(match name {
        "abs" => arguments.bind(name, [], 0).and_then(|[]| absolute(value)),
        "attr" => arguments.bind(name, ["name"], 1).and_then(|[name]| {
            let name = name.unwrap_or(Value::None);
            let name = name.str("the name")?;
            Ok(own(value, name)?.unwrap_or_else(|| value.missing(name)))
        }),
        "d" | "default" => {
            arguments.bind(name, ["default_value", "boolean"], 0).map(|[default, boolean]| {
                let falsy = boolean.is_some_and(|boolean| boolean.truth()) && !value.truth();
                if falsy || matches!(value, Value::Undefined(_)) {
                    default.unwrap_or_else(|| Value::text(""))
                } else {
                    value.clone()
                }
            })
        }
        "int" => arguments
            .bind(name, ["default", "base"], 0)
            .and_then(|[default, base]| int(value, default.unwrap_or(Value::Int(0)), base, budget)),
        "float" => arguments.bind(name, ["default"], 0).and_then(|[default]| {
            let number = match value {
                Value::Undefined(missing) => return missing.fail(),
                Value::Text(text) => parse_float(text),
                _ => value.as_float(),
            };
            Ok(number.map_or(default.unwrap_or(Value::Float(0.0)), Value::Float))
        }),
        "round" => arguments.bind(name, ["precision", "method"], 0).and_then(|[places, method]| {
            let places = places.map_or(Ok(0), |places| places.int("precision"))?;
            let method = method.unwrap_or_else(|| Value::text("common"));
            round(value, places, method.str("the method")?)
        }),
        _ => return None,
    })
}

fn absolute(value: &Value) -> Result<Value> {
    let negative = value.as_float().is_some_and(|number| number < 0.0);
    match value {
        Value::Float(number) => Ok(Value::Float(number.abs())),
        _ if negative => unary(value, true),
        _ => unary(value, false),
    }
}

fn int(value: &Value, default: Value, base: Option<Value>, budget: &Budget) -> Result<Value> {
    let base = base.map_or(Ok(10), |base| base.int("base"))?;
    let number = match value {
        Value::Undefined(missing) => return missing.fail(),
        Value::Text(text) => {
            budget.text(text.len())?;
            match parse_int(text, base) {
                Some(whole) => return Ok(Value::Int(whole)),
                None => parse_float(text),
            }
        }
        Value::Float(number) => Some(*number),
        _ => return Ok(value.as_int().map_or(default, Value::Int)),
    };
    Ok(number.and_then(truncate).map_or(default, Value::Int))
}

/// As Python's `int` of a text.
fn parse_int(text: &str, base: i128) -> Option<i128> {
    let text = text.trim_matches(is_space).to_ascii_lowercase();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let prefixed = |prefix: &str, radix: u32| {
        let named = base == 0 || base == i128::from(radix);
        digits.strip_prefix(prefix).filter(|_| named).map(|rest| (radix, rest))
    };
    let prefix = prefixed("0x", 16).or(prefixed("0o", 8)).or(prefixed("0b", 2));
    let (radix, digits) = match prefix {
        Some((radix, rest)) => (radix, rest.strip_prefix('_').unwrap_or(rest)),
        None if base == 0 => (10, digits),
        None => (u32::try_from(base).ok().filter(|base| (2..=36).contains(base))?, digits),
    };
    let apart = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    if digits.is_empty() || apart {
        return None;
    }
    let mut whole = 0i128;
    for character in digits.chars().filter(|character| *character != '_') {
        let digit = decimal(character).or(character.to_digit(36)).filter(|digit| *digit < radix)?;
        whole = whole.checked_mul(radix.into())?.checked_add(digit.into())?;
    }
    Some(if negative { -whole } else { whole })
}

/// As Python's `float` of a text.
fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim_matches(is_space);
    if text.starts_with('_') || text.ends_with('_') || text.contains("__") {
        return None;
    }
    text.replace('_', "").parse().ok()
}

fn round(value: &Value, places: i128, method: &str) -> Result<Value> {
    if let Value::Undefined(missing) = value {
        return missing.fail();
    }
    let Some(number) = value.as_float() else {
        return fail!("round needs a number, not {}", value.kind());
    };
    let scale = 10f64.powi(places.clamp(-400, 400) as i32);
    match method {
        "ceil" => Ok(Value::Float((number * scale).ceil() / scale)),
        "floor" => Ok(Value::Float((number * scale).floor() / scale)),
        "common" if value.as_int().is_some() && places >= 0 => {
            Ok(Value::Int(value.as_int().unwrap_or(0)))
        }
        "common" if value.as_int().is_some() => {
            let rounded = round_half_even(number * scale) / scale;
            Ok(Value::Int(truncate(rounded).unwrap_or(0)))
        }
        "common" if places < 0 => Ok(Value::Float(round_half_even(number * scale) / scale)),
        "common" => {
            // Rust rounds the exact decimal value, halves to even, as Python does.
            let places = places.min(400) as usize;
            Ok(Value::Float(format!("{number:.places$}").parse().unwrap_or(number)))
        }
        _ => fail!("method must be common, ceil or floor"),
    }
}
