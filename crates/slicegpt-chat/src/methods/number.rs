//! The methods of `int` and `float`.

use crate::budget::Budget;
use crate::error::{Result, fail};
use crate::value::{Args, Value};

/// Calls method `name` of a number.
pub fn call(value: &Value, name: &str, arguments: Args, budget: &Budget) -> Result<Value> {
    if let "from_bytes" | "to_bytes" | "hex" | "fromhex" = name {
        return fail!("method '{name}' is not available in chat templates here");
    }
    let [] = arguments.bind(name, [], 0)?;
    let whole = value.as_int();
    let number = value.as_float().unwrap_or(f64::NAN);
    match (name, whole) {
        ("conjugate", Some(whole)) => Ok(Value::Int(whole)),
        ("conjugate", None) => Ok(value.clone()),
        ("is_integer", _) => Ok(Value::Bool(whole.is_some() || number.fract() == 0.0)),
        ("bit_length", Some(whole)) => {
            Ok(Value::Int((128 - whole.unsigned_abs().leading_zeros()).into()))
        }
        ("bit_count", Some(whole)) => Ok(Value::Int(whole.unsigned_abs().count_ones().into())),
        ("as_integer_ratio", Some(whole)) => {
            Value::tuple(vec![Value::Int(whole), Value::Int(1)], budget)
        }
        ("as_integer_ratio", None) => {
            let (mut top, mut bottom) = (number, 1i128);
            while top.fract() != 0.0 && bottom < 1 << 100 {
                (top, bottom) = (top * 2.0, bottom * 2);
            }
            match crate::value::number::truncate(top) {
                Some(top_whole) if top.fract() == 0.0 => {
                    Value::tuple(vec![Value::Int(top_whole), Value::Int(bottom)], budget)
                }
                _ => fail!("{name}: the number is too large or too small"),
            }
        }
        _ => fail!("'{}' has no method '{name}'", value.kind()),
    }
}
