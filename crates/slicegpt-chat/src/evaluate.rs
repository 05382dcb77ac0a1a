//! [`evaluate`]: the value of an expression.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::attributes::{attribute, item, slice};
use crate::error::{Result, fail};
use crate::filters;
use crate::operators::{binary, unary};
use crate::predicates;
use crate::state::State;
use crate::syntax::ast::{Arguments, Comparison, Expr, ExprKind, Literal};
use crate::value::compare::{contains, dict_of, equal, order};
use crate::value::repr::text;
use crate::value::writer::Writer;
use crate::value::{Args, Missing, Value};

/// The value of `expression`.
pub fn evaluate(state: &mut State<'_>, expression: &Expr) -> Result<Value> {
    let budget = state.budget;
    let _level = budget.enter().map_err(|error| error.at(expression.line))?;
    let value = budget.spend(1).and_then(|()| kind(state, &expression.kind));
    value.map_err(|error| error.at(expression.line))
}

fn kind(state: &mut State<'_>, kind: &ExprKind) -> Result<Value> {
    let budget = state.budget;
    match kind {
        ExprKind::Literal(literal) => Ok(constant(literal)),
        ExprKind::Name(name) => Ok(state.frame.get(name)),
        ExprKind::List(items) => Value::list(all(state, items)?, budget),
        ExprKind::Tuple(items) => Value::tuple(all(state, items)?, budget),
        ExprKind::Dict(entries) => {
            let mut values = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                values.push((evaluate(state, key)?, evaluate(state, value)?));
            }
            dict_of(values, budget)
        }
        ExprKind::Attribute(value, name) => attribute(&evaluate(state, value)?, name, budget),
        ExprKind::Item(value, index) => {
            let value = evaluate(state, value)?;
            item(&value, &evaluate(state, index)?, budget)
        }
        ExprKind::Slice(value, parts) => {
            let value = evaluate(state, value)?;
            let mut bounds = [Value::None, Value::None, Value::None];
            for (bound, part) in bounds.iter_mut().zip(parts) {
                if let Some(part) = part {
                    *bound = evaluate(state, part)?;
                }
            }
            slice(&value, bounds, budget)
        }
        ExprKind::Call(value, arguments) => {
            let value = evaluate(state, value)?;
            let arguments = self::arguments(state, arguments)?;
            call(state, &value, arguments)
        }
        ExprKind::Filter(value, name, arguments) => {
            let Some(value) = value else { return fail!("a filter without a value") };
            let value = evaluate(state, value)?;
            filter(state, value, name, arguments)
        }
        ExprKind::Test(value, name, arguments) => {
            let value = evaluate(state, value)?;
            let arguments = self::arguments(state, arguments)?;
            Ok(Value::Bool(predicates::call(name, &value, arguments, budget)?))
        }
        ExprKind::Not(value) => Ok(Value::Bool(!evaluate(state, value)?.truth())),
        ExprKind::Negative(value) => unary(&evaluate(state, value)?, true),
        ExprKind::Positive(value) => unary(&evaluate(state, value)?, false),
        ExprKind::Binary(left, operator, right) => {
            let left = evaluate(state, left)?;
            binary(&left, *operator, &evaluate(state, right)?, budget)
        }
        ExprKind::Concat(parts) => {
            let mut writer = Writer::new(budget);
            for part in parts {
                writer.push(&text(&evaluate(state, part)?, budget)?)?;
            }
            Ok(Value::text(writer.finish()))
        }
        ExprKind::Compare(first, rest) => compare(state, first, rest),
        ExprKind::And(left, right) => {
            let left = evaluate(state, left)?;
            if left.truth() { evaluate(state, right) } else { Ok(left) }
        }
        ExprKind::Or(left, right) => {
            let left = evaluate(state, left)?;
            if left.truth() { Ok(left) } else { evaluate(state, right) }
        }
        ExprKind::If(parts, otherwise) => {
            let condition = evaluate(state, &parts[1])?;
            match (condition.truth(), otherwise) {
                (true, _) => evaluate(state, &parts[0]),
                (false, Some(otherwise)) => evaluate(state, otherwise),
                (false, None) => {
                    let why = "the condition of an 'if' without 'else' was false";
                    Ok(Value::Undefined(Missing::Because(why)))
                }
            }
        }
    }
}

fn constant(literal: &Literal) -> Value {
    match literal {
        Literal::None => Value::None,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Float(value) => Value::Float(*value),
        Literal::Text(text) => Value::Text(text.clone()),
    }
}

fn all(state: &mut State<'_>, expressions: &[Expr]) -> Result<Vec<Value>> {
    expressions.iter().map(|expression| evaluate(state, expression)).collect()
}

/// The values of the arguments of a call.
pub fn arguments(state: &mut State<'_>, arguments: &Arguments) -> Result<Args> {
    let mut positional = all(state, &arguments.positional)?;
    let mut named = Vec::with_capacity(arguments.named.len());
    for (name, value) in &arguments.named {
        named.push((name.clone(), evaluate(state, value)?));
    }
    if let Some(rest) = &arguments.rest {
        positional.extend(evaluate(state, rest)?.iterate(state.budget)?);
    }
    if let Some(rest) = &arguments.rest_named {
        let rest = evaluate(state, rest)?;
        let Value::Dict(rest) = rest else { return fail!("argument after ** must be a mapping") };
        state.budget.list(rest.entries.len())?;
        for (name, value) in &rest.entries {
            named.push((name.str("the name of an argument")?.into(), value.clone()));
        }
    }
    Ok(Args { positional, named })
}

/// Calls `value`.
pub fn call(state: &mut State<'_>, value: &Value, arguments: Args) -> Result<Value> {
    match value {
        Value::Object(object) => match object.call(arguments.clone(), state.budget) {
            Some(done) => done,
            None => (state.invoke)(state, &Rc::clone(object), arguments),
        },
        Value::Undefined(missing) => missing.fail(),
        _ => fail!("'{}' object is not callable", value.kind()),
    }
}

/// `value | name(given)`
fn filter(state: &mut State<'_>, value: Value, name: &str, given: &Arguments) -> Result<Value> {
    let arguments = arguments(state, given)?;
    filters::call(name, &value, arguments, state.budget)
}

/// The filters of `filter`, the innermost of which has no value, on `value`.
pub fn filtered(state: &mut State<'_>, filter: &Expr, value: Value) -> Result<Value> {
    let ExprKind::Filter(inner, name, arguments) = &filter.kind else { return Ok(value) };
    let value = match inner {
        Some(inner) => filtered(state, inner, value)?,
        None => value,
    };
    self::filter(state, value, name, arguments).map_err(|error| error.at(filter.line))
}

fn compare(state: &mut State<'_>, first: &Expr, rest: &[(Comparison, Expr)]) -> Result<Value> {
    let budget = state.budget;
    let mut left = evaluate(state, first)?;
    for (comparison, right) in rest {
        let right = evaluate(state, right)?;
        let holds = match comparison {
            Comparison::Equal => equal(&left, &right, budget)?,
            Comparison::NotEqual => !equal(&left, &right, budget)?,
            Comparison::Less => order(&left, &right, budget)? == Some(Ordering::Less),
            Comparison::LessOrEqual => order(&left, &right, budget)?.is_some_and(Ordering::is_le),
            Comparison::Greater => order(&left, &right, budget)? == Some(Ordering::Greater),
            Comparison::GreaterOrEqual => {
                order(&left, &right, budget)?.is_some_and(Ordering::is_ge)
            }
            Comparison::In => contains(&right, &left, budget)?,
            Comparison::NotIn => !contains(&right, &left, budget)?,
        };
        if !holds {
            return Ok(Value::Bool(false));
        }
        left = right;
    }
    Ok(Value::Bool(true))
}
