//! Arithmetic on values, as in Python.

use crate::budget::Budget;
use crate::error::{Error, Result, fail};
use crate::format::percent;
use crate::syntax::ast::Operator;
use crate::value::Value;

/// `left operator right`
pub fn binary(left: &Value, operator: Operator, right: &Value, budget: &Budget) -> Result<Value> {
    for side in [left, right] {
        if let Value::Undefined(missing) = side {
            return missing.fail();
        }
    }
    match (operator, left, right) {
        (Operator::Remainder, Value::Text(format), _) => {
            Ok(Value::text(percent::format(format, right, budget)?))
        }
        (Operator::Add, Value::Text(left), Value::Text(right)) => {
            budget.text(left.len() + right.len())?;
            Ok(Value::text([&**left, right].concat()))
        }
        (Operator::Add, Value::List(left), Value::List(right)) => {
            budget.list(left.items.len() + right.items.len())?;
            Value::list([&left.items[..], &right.items].concat(), budget)
        }
        (Operator::Add, Value::Tuple(left), Value::Tuple(right)) => {
            budget.list(left.items.len() + right.items.len())?;
            Value::tuple([&left.items[..], &right.items].concat(), budget)
        }
        (Operator::Multiply, Value::Text(_) | Value::List(_) | Value::Tuple(_), _)
            if right.as_int().is_some() =>
        {
            repeat(left, right.int("the factor")?, budget)
        }
        (Operator::Multiply, _, Value::Text(_) | Value::List(_) | Value::Tuple(_))
            if left.as_int().is_some() =>
        {
            repeat(right, left.int("the factor")?, budget)
        }
        _ => number(left, operator, right),
    }
}

fn repeat(value: &Value, count: i128, budget: &Budget) -> Result<Value> {
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    match value {
        Value::Text(text) => {
            budget.text(text.len().saturating_mul(count))?;
            Ok(Value::text(if text.is_empty() { String::new() } else { text.repeat(count) }))
        }
        Value::List(list) => {
            budget.list(list.items.len().saturating_mul(count))?;
            let count = if list.items.is_empty() { 0 } else { count };
            Value::list(
                std::iter::repeat_n(&list.items, count).flatten().cloned().collect(),
                budget,
            )
        }
        Value::Tuple(tuple) => {
            budget.list(tuple.items.len().saturating_mul(count))?;
            let count = if tuple.items.is_empty() { 0 } else { count };
            Value::tuple(
                std::iter::repeat_n(&tuple.items, count).flatten().cloned().collect(),
                budget,
            )
        }
        _ => fail!("'{}' cannot be repeated", value.kind()),
    }
}

fn number(left: &Value, operator: Operator, right: &Value) -> Result<Value> {
    if let (Some(left), Some(right)) = (left.as_int(), right.as_int()) {
        return whole(left, operator, right);
    }
    let (Some(a), Some(b)) = (left.as_float(), right.as_float()) else {
        let sign = match operator {
            Operator::Add => "+",
            Operator::Subtract => "-",
            Operator::Multiply => "*",
            Operator::Divide => "/",
            Operator::FloorDivide => "//",
            Operator::Remainder => "%",
            Operator::Power => "**",
        };
        return fail!(
            "unsupported operand type(s) for {sign}: '{}' and '{}'",
            left.kind(),
            right.kind()
        );
    };
    let divided =
        matches!(operator, Operator::Divide | Operator::FloorDivide | Operator::Remainder);
    if divided && b == 0.0 {
        return fail!("division by zero");
    }
    Ok(Value::Float(match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        Operator::FloorDivide => (a / b).floor(),
        Operator::Remainder => {
            let rest = a % b;
            if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
        }
        Operator::Power if a < 0.0 && b.fract() != 0.0 => {
            return fail!("a negative number to the power of a fraction");
        }
        Operator::Power => a.powf(b),
    }))
}

fn whole(left: i128, operator: Operator, right: i128) -> Result<Value> {
    let divides =
        matches!(operator, Operator::FloorDivide | Operator::Remainder | Operator::Divide);
    if divides && right == 0 {
        return fail!("division by zero");
    }
    let result = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide => return Ok(Value::Float(left as f64 / right as f64)),
        Operator::FloorDivide => left.checked_div(right).map(|quotient| {
            let inexact = left % right != 0;
            if inexact && (left < 0) != (right < 0) { quotient - 1 } else { quotient }
        }),
        Operator::Remainder => left
            .checked_rem(right)
            .map(|rest| if rest != 0 && (rest < 0) != (right < 0) { rest + right } else { rest }),
        Operator::Power if right < 0 => {
            return Ok(Value::Float((left as f64).powf(right as f64)));
        }
        Operator::Power => u32::try_from(right).ok().and_then(|right| left.checked_pow(right)),
    };
    result.map(Value::Int).ok_or_else(too_large)
}

/// `-value` or `+value`
pub fn unary(value: &Value, negative: bool) -> Result<Value> {
    match value {
        Value::Undefined(missing) => missing.fail(),
        Value::Float(number) => Ok(Value::Float(if negative { -number } else { *number })),
        _ => match value.as_int() {
            Some(number) if negative => number.checked_neg().map(Value::Int).ok_or_else(too_large),
            Some(number) => Ok(Value::Int(number)),
            None => fail!("bad operand type for unary -: '{}'", value.kind()),
        },
    }
}

fn too_large() -> Error {
    Error::new("a number has more than 128 bits".into())
}
