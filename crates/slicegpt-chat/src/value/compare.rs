//! Equality, order and membership of values.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::budget::{BYTES_PER_STEP, Budget};
use crate::error::{Result, fail};
use crate::value::{Dict, Value};

/// As Python's `==`.
pub fn equal(left: &Value, right: &Value, budget: &Budget) -> Result<bool> {
    Ok(match (left, right) {
        (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
        (Value::Text(left), Value::Text(right)) => {
            if left.len() == right.len() {
                budget.spend(left.len() as u64 / BYTES_PER_STEP)?;
            }
            left == right
        }
        (Value::List(left), Value::List(right)) | (Value::Tuple(left), Value::Tuple(right)) => {
            if left.items.len() != right.items.len() {
                return Ok(false);
            }
            budget.spend(left.items.len() as u64)?;
            for (left, right) in left.items.iter().zip(&right.items) {
                if !equal(left, right, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Dict(left), Value::Dict(right)) => {
            if left.entries.len() != right.entries.len() {
                return Ok(false);
            }
            for (key, value) in &left.entries {
                match entry(right, key, budget)? {
                    Some(other) if equal(value, other, budget)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Value::Object(left), Value::Object(right)) => Rc::ptr_eq(left, right),
        _ => match (left.as_int(), right.as_int(), left.as_float(), right.as_float()) {
            (Some(left), Some(right), _, _) => left == right,
            (_, _, Some(left), Some(right)) => left == right,
            _ => false,
        },
    })
}

/// The value of `key` in a dict.
pub fn entry<'a>(dict: &'a Dict, key: &Value, budget: &Budget) -> Result<Option<&'a Value>> {
    budget.spend(dict.entries.len() as u64 / 8)?;
    for (other, value) in &dict.entries {
        if equal(key, other, budget)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// A dict of which a later entry replaces an earlier one of the same key.
pub fn dict_of(entries: Vec<(Value, Value)>, budget: &Budget) -> Result<Value> {
    let mut distinct: Vec<(Value, Value)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        key.hashable()?;
        budget.spend(1 + distinct.len() as u64 / 8)?;
        let mut known = None;
        for (index, (other, _)) in distinct.iter().enumerate() {
            if equal(other, &key, budget)? {
                known = Some(index);
                break;
            }
        }
        match known {
            Some(index) => distinct[index].1 = value,
            None => distinct.push((key, value)),
        }
    }
    Value::distinct(distinct, budget)
}

/// As Python's `<` and `>`; none where a number is not comparable (`nan`).
pub fn order(left: &Value, right: &Value, budget: &Budget) -> Result<Option<Ordering>> {
    match (left, right) {
        (Value::Undefined(missing), _) | (_, Value::Undefined(missing)) => missing.fail(),
        (Value::Text(left), Value::Text(right)) => {
            budget.spend(left.len().min(right.len()) as u64 / BYTES_PER_STEP)?;
            Ok(Some(left.cmp(right)))
        }
        (Value::List(left), Value::List(right)) | (Value::Tuple(left), Value::Tuple(right)) => {
            for (left, right) in left.items.iter().zip(&right.items) {
                budget.spend(1)?;
                if !equal(left, right, budget)? {
                    return order(left, right, budget);
                }
            }
            Ok(Some(left.items.len().cmp(&right.items.len())))
        }
        _ => match (left.as_int(), right.as_int(), left.as_float(), right.as_float()) {
            (Some(left), Some(right), _, _) => Ok(Some(left.cmp(&right))),
            (_, _, Some(left), Some(right)) => Ok(left.partial_cmp(&right)),
            _ => fail!(
                "'<' not supported between instances of '{}' and '{}'",
                left.kind(),
                right.kind()
            ),
        },
    }
}

/// As Python's `in`.
pub fn contains(whole: &Value, part: &Value, budget: &Budget) -> Result<bool> {
    match whole {
        Value::Text(text) => match part {
            Value::Text(part) => {
                budget.text(text.len())?;
                Ok(text.contains(&**part))
            }
            Value::Undefined(missing) => missing.fail(),
            _ => fail!("'in <string>' requires string as left operand, not {}", part.kind()),
        },
        Value::Dict(dict) => {
            part.hashable()?;
            Ok(entry(dict, part, budget)?.is_some())
        }
        Value::List(sequence) | Value::Tuple(sequence) => {
            budget.spend(1 + sequence.items.len() as u64)?;
            for item in &sequence.items {
                if equal(item, part, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Undefined(_) => Ok(false),
        Value::Object(object) if object.iterable() => {
            let items = Value::list(whole.iterate(budget)?, budget)?;
            contains(&items, part, budget)
        }
        _ => fail!("argument of type '{}' is not iterable", whole.kind()),
    }
}

/// Sorts `items` by their keys, stably; the reverse keeps the order of equal items, as Python's.
pub fn sort(items: &mut [(Value, Value)], reverse: bool, budget: &Budget) -> Result<()> {
    // About n log n comparisons.
    let count = items.len() as u64;
    budget.spend(count * (1 + u64::from(count.checked_ilog2().unwrap_or(0))))?;
    let mut failed = None;
    items.sort_by(|(left, _), (right, _)| {
        let ordering = match order(left, right, budget) {
            Ok(ordering) => ordering.unwrap_or(Ordering::Equal),
            Err(error) => {
                failed.get_or_insert(error);
                Ordering::Equal
            }
        };
        if reverse { ordering.reverse() } else { ordering }
    });
    failed.map_or(Ok(()), Err)
}
