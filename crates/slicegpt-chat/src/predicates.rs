//! The tests of Jinja: `value is name`.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::budget::Budget;
use crate::error::{Result, fail};
use crate::operators::binary;
use crate::syntax::ast::Operator;
use crate::value::compare::{contains, equal, order};
use crate::value::repr::text;
use crate::value::{Args, Value};

/// Tests of a value alone.
const OF_ONE: &[&str] = &[
    "boolean",
    "callable",
    "defined",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "integer",
    "iterable",
    "lower",
    "mapping",
    "none",
    "number",
    "odd",
    "sequence",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

/// Tests of a value against another.
const COMPARISONS: &[&str] = &[
    "!=",
    "<",
    "<=",
    "==",
    ">",
    ">=",
    "divisibleby",
    "eq",
    "equalto",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "le",
    "lessthan",
    "lt",
    "ne",
    "sameas",
];

/// Whether there is a test of this name.
fn is_test(name: &str) -> bool {
    OF_ONE.contains(&name) || COMPARISONS.contains(&name)
}

/// `value is name(arguments)`
pub fn call(name: &str, value: &Value, arguments: Args, budget: &Budget) -> Result<bool> {
    budget.spend(1)?;
    if !is_test(name) {
        return fail!("no test named '{name}'");
    }
    if COMPARISONS.contains(&name) {
        let [other] = arguments.bind(name, ["other"], 1)?;
        return compared(name, value, &other.unwrap_or(Value::None), budget);
    }
    let [] = arguments.bind(name, [], 0)?;
    Ok(match name {
        "defined" => !matches!(value, Value::Undefined(_)),
        "undefined" => matches!(value, Value::Undefined(_)),
        "none" => matches!(value, Value::None),
        "boolean" => matches!(value, Value::Bool(_)),
        "true" => matches!(value, Value::Bool(true)),
        "false" => matches!(value, Value::Bool(false)),
        "integer" => matches!(value, Value::Int(_)),
        "float" => matches!(value, Value::Float(_)),
        "number" => value.as_float().is_some(),
        "string" => matches!(value, Value::Text(_)),
        "mapping" => matches!(value, Value::Dict(_)),
        "sequence" => !matches!(
            value,
            Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Object(_)
        ),
        "iterable" => match value {
            Value::Object(object) => object.iterable(),
            Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => false,
            _ => true,
        },
        "callable" => match value {
            Value::Object(object) => object.callable(),
            // An undefined value can be called in Python; it fails then.
            Value::Undefined(_) => true,
            _ => false,
        },
        "escaped" => false,
        "odd" | "even" => {
            let rest = binary(value, Operator::Remainder, &Value::Int(2), budget)?;
            equal(&rest, &Value::Int(i128::from(name == "odd")), budget)?
        }
        "lower" | "upper" => {
            let text = text(value, budget)?;
            budget.text(text.len())?;
            crate::methods::case::is(&text, if name == "lower" { "islower" } else { "isupper" })
        }
        "filter" => value.as_text().is_some_and(crate::filters::is_filter),
        _ => value.as_text().is_some_and(is_test),
    })
}

fn compared(name: &str, value: &Value, other: &Value, budget: &Budget) -> Result<bool> {
    Ok(match name {
        "==" | "eq" | "equalto" => equal(value, other, budget)?,
        "!=" | "ne" => !equal(value, other, budget)?,
        "<" | "lt" | "lessthan" => order(value, other, budget)? == Some(Ordering::Less),
        ">" | "gt" | "greaterthan" => order(value, other, budget)? == Some(Ordering::Greater),
        "<=" | "le" => order(value, other, budget)?.is_some_and(Ordering::is_le),
        ">=" | "ge" => order(value, other, budget)?.is_some_and(Ordering::is_ge),
        "in" => contains(other, value, budget)?,
        "divisibleby" => {
            let rest = binary(value, Operator::Remainder, other, budget)?;
            equal(&rest, &Value::Int(0), budget)?
        }
        _ => same(value, other),
    })
}

/// Whether two values are one object; equal small values count as one.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::None, Value::None) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left), Value::Int(right)) => left == right,
        (Value::Text(left), Value::Text(right)) => left == right,
        (Value::List(left), Value::List(right)) | (Value::Tuple(left), Value::Tuple(right)) => {
            Rc::ptr_eq(left, right)
        }
        (Value::Dict(left), Value::Dict(right)) => Rc::ptr_eq(left, right),
        (Value::Object(left), Value::Object(right)) => Rc::ptr_eq(left, right),
        _ => false,
    }
}
