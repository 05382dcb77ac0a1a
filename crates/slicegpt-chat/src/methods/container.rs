//! The methods of `list`, `tuple` and `dict` that change nothing.

use std::rc::Rc;

use crate::budget::Budget;
use crate::error::{Result, fail};
use crate::methods::search::bounds;
use crate::value::compare::{dict_of, entry, equal};
use crate::value::{Args, Dict, Value};

/// Calls method `name` of a list, tuple or dict.
pub fn call(value: &Value, name: &str, arguments: Args, budget: &Budget) -> Result<Value> {
    match value {
        Value::List(sequence) | Value::Tuple(sequence) => {
            items(value, &sequence.items, name, arguments, budget)
        }
        Value::Dict(dict) => entries(dict, name, arguments, budget),
        _ => fail!("'{}' has no method '{name}'", value.kind()),
    }
}

fn items(
    value: &Value,
    items: &[Value],
    name: &str,
    arguments: Args,
    budget: &Budget,
) -> Result<Value> {
    budget.spend(1 + items.len() as u64)?;
    match name {
        "copy" => {
            let [] = arguments.bind(name, [], 0)?;
            Ok(value.clone())
        }
        "count" => {
            let [wanted] = arguments.bind(name, ["value"], 1)?;
            let wanted = wanted.unwrap_or(Value::None);
            let mut count = 0;
            for item in items {
                count += i128::from(equal(item, &wanted, budget)?);
            }
            Ok(Value::Int(count))
        }
        _ => {
            let [wanted, start, stop] = arguments.bind(name, ["value", "start", "stop"], 1)?;
            let wanted = wanted.unwrap_or(Value::None);
            let range = bounds(start.as_ref(), stop.as_ref(), items.len())?;
            for index in range {
                if equal(&items[index], &wanted, budget)? {
                    return Ok(Value::Int(index as i128));
                }
            }
            fail!("the value is not in the {}", value.kind())
        }
    }
}

fn entries(dict: &Rc<Dict>, name: &str, arguments: Args, budget: &Budget) -> Result<Value> {
    match name {
        "get" => {
            let [key, default] = arguments.bind(name, ["key", "default"], 1)?;
            let key = key.unwrap_or(Value::None);
            key.hashable()?;
            let found = entry(dict, &key, budget)?.cloned();
            Ok(found.or(default).unwrap_or(Value::None))
        }
        "fromkeys" => {
            let [keys, value] = arguments.bind(name, ["iterable", "value"], 1)?;
            from_keys(&keys.unwrap_or(Value::None), value, budget)
        }
        _ => {
            let [] = arguments.bind(name, [], 0)?;
            match name {
                "keys" => {
                    let keys = dict.entries.iter().map(|(key, _)| key.clone());
                    Value::list(keys.collect(), budget)
                }
                "values" => {
                    let values = dict.entries.iter().map(|(_, value)| value.clone());
                    Value::list(values.collect(), budget)
                }
                "items" => pairs(dict, budget),
                _ => Ok(Value::Dict(dict.clone())),
            }
        }
    }
}

/// The entries of a dict as tuples.
pub fn pairs(dict: &Dict, budget: &Budget) -> Result<Value> {
    budget.list(dict.entries.len())?;
    let pair =
        |(key, value): &(Value, Value)| Value::tuple(vec![key.clone(), value.clone()], budget);
    Value::list(dict.entries.iter().map(pair).collect::<Result<_>>()?, budget)
}

/// A dict of `keys` that all have `value`.
pub fn from_keys(keys: &Value, value: Option<Value>, budget: &Budget) -> Result<Value> {
    let value = value.unwrap_or(Value::None);
    let entries = keys.iterate(budget)?.into_iter().map(|key| (key, value.clone()));
    dict_of(entries.collect(), budget)
}
