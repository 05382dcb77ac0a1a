//! [`run`]: what the statements of a template write.

use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;

use crate::error::{Result, fail};
use crate::evaluate::{arguments, call, evaluate, filtered};
use crate::globals::Namespace;
use crate::repeat::Repeat;
use crate::state::{Frame, State};
use crate::syntax::ast::{ExprKind, For, Macro, Statement, StatementKind, Target};
use crate::value::compare::dict_of;
use crate::value::repr::text;
use crate::value::{Args, Missing, Object, Value};

/// Whether a body ran to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It did.
    On,
    /// It left its loop.
    Break,
    /// It went to the next step of its loop.
    Continue,
}

/// Runs `body`.
pub fn run(state: &mut State<'_>, body: &[Statement]) -> Result<Flow> {
    let budget = state.budget;
    let _level = budget.enter()?;
    for statement in body {
        let done = budget.spend(1).and_then(|()| one(state, &statement.kind));
        match done.map_err(|error| error.at(statement.line))? {
            Flow::On => {}
            flow => return Ok(flow),
        }
    }
    Ok(Flow::On)
}

fn one(state: &mut State<'_>, kind: &StatementKind) -> Result<Flow> {
    match kind {
        StatementKind::Text(text) => state.write(text)?,
        StatementKind::Print(values) => {
            for value in values {
                let value = evaluate(state, value)?;
                state.write(&text(&value, state.budget)?)?;
            }
        }
        StatementKind::If(branches, otherwise) => {
            for (condition, body) in branches {
                if evaluate(state, condition)?.truth() {
                    return run(state, body);
                }
            }
            return run(state, otherwise);
        }
        StatementKind::For(repeat) => {
            let items = evaluate(state, &repeat.items)?;
            return repeat_over(state, repeat, &items, 0);
        }
        StatementKind::Set(target, value) => {
            let value = evaluate(state, value)?;
            assign(state, target, value)?;
        }
        StatementKind::SetBlock(target, filter, body) => {
            let written = captured(state, body)?;
            let value = match filter {
                Some(filter) => filtered(state, filter, written)?,
                None => written,
            };
            assign(state, target, value)?;
        }
        StatementKind::Macro(function) => {
            let value = closure(state, function)?;
            state.frame.set(&function.name, value);
        }
        StatementKind::Call(expression, body) => {
            let ExprKind::Call(callee, given) = &expression.kind else {
                return fail!("a call expected");
            };
            let callee = evaluate(state, callee)?;
            let mut given = arguments(state, given)?;
            given.named.push((Arc::from("caller"), closure(state, body)?));
            let value = call(state, &callee, given)?;
            state.write(&text(&value, state.budget)?)?;
        }
        StatementKind::Filter(filter, body) => {
            let written = captured(state, body)?;
            let value = filtered(state, filter, written)?;
            state.write(&text(&value, state.budget)?)?;
        }
        StatementKind::With(values, body) => {
            let mut given = Vec::with_capacity(values.len());
            for (target, value) in values {
                given.push((target, evaluate(state, value)?));
            }
            return state.scoped(|state| {
                for (target, value) in given {
                    assign(state, target, value)?;
                }
                run(state, body)
            });
        }
        StatementKind::Scope(body) => return state.scoped(|state| run(state, body)),
        StatementKind::Break => return Ok(Flow::Break),
        StatementKind::Continue => return Ok(Flow::Continue),
    }
    Ok(Flow::On)
}

/// What `body` writes, with variables of its own.
fn captured(state: &mut State<'_>, body: &[Statement]) -> Result<Value> {
    state.captured(|state| state.scoped(|state| run(state, body).map(|_| ())))
}

fn assign(state: &mut State<'_>, target: &Target, value: Value) -> Result<()> {
    state.budget.spend(1)?;
    match target {
        Target::Name(name) => {
            state.frame.set(name, value);
            Ok(())
        }
        Target::Attribute(name, attribute) => {
            let owner = state.frame.get(name);
            let namespace = match &owner {
                Value::Object(object) => object.as_any().downcast_ref::<Namespace>(),
                Value::Undefined(missing) => return missing.fail(),
                _ => None,
            };
            match namespace {
                Some(namespace) => namespace.set(attribute.clone(), value),
                None => fail!("cannot assign attribute on non-namespace object"),
            }
        }
        Target::Tuple(targets) => {
            let items = value.iterate(state.budget)?;
            if items.len() != targets.len() {
                return fail!("{} values for {} variables", items.len(), targets.len());
            }
            targets.iter().zip(items).try_for_each(|(target, item)| assign(state, target, item))
        }
    }
}

/// Runs the body of a loop for each of `items`; or what follows `else`, which may leave the loop
/// around it.
fn repeat_over(
    state: &mut State<'_>,
    repeat: &Arc<For>,
    items: &Value,
    depth: usize,
) -> Result<Flow> {
    let mut items = items.iterate(state.budget)?;
    if let Some(condition) = &repeat.condition {
        let mut chosen = Vec::new();
        for item in items {
            let holds = state.scoped(|state| {
                assign(state, &repeat.target, item.clone())?;
                Ok(evaluate(state, condition)?.truth())
            })?;
            if holds {
                chosen.push(item);
            }
        }
        items = chosen;
    }
    if items.is_empty() {
        return state.scoped(|state| run(state, &repeat.otherwise));
    }
    let again = repeat.recursive.then(|| (repeat.clone(), state.frame.clone()));
    if repeat.recursive {
        state.budget.keep(state.frame.clone())?;
    }
    let steps = Rc::new(Repeat::new(items, again, depth)?);
    let name: Arc<str> = Arc::from("loop");
    let mut ended = false;
    for index in 0..steps.length() {
        let flow = state.scoped(|state| {
            assign(state, &repeat.target, steps.step(index))?;
            state.frame.set(&name, Value::Object(steps.clone()));
            run(state, &repeat.body)
        })?;
        ended |= flow == Flow::On;
        if flow == Flow::Break {
            break;
        }
    }
    // As Jinja has it: steps that are left by `break` or `continue` do not count.
    if ended { Ok(Flow::On) } else { state.scoped(|state| run(state, &repeat.otherwise)) }
}

/// A macro with the variables around it.
#[derive(Debug)]
struct Closure {
    function: Arc<Macro>,
    frame: Rc<Frame>,
}

impl Object for Closure {
    fn kind(&self) -> &'static str {
        "Macro"
    }

    fn attribute(&self, name: &str) -> Option<Value> {
        match name {
            "name" => Some(Value::Text(self.function.name.clone())),
            "caller" => Some(Value::Bool(self.function.catches.caller)),
            "catch_kwargs" => Some(Value::Bool(self.function.catches.named)),
            "catch_varargs" => Some(Value::Bool(self.function.catches.positional)),
            _ => None,
        }
    }

    fn callable(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn closure(state: &State<'_>, function: &Arc<Macro>) -> Result<Value> {
    state.budget.keep(state.frame.clone())?;
    let closure = Closure { function: function.clone(), frame: state.frame.clone() };
    Ok(Value::Object(Rc::new(closure)))
}

/// Calls a macro or a recursive loop.
pub fn invoke(state: &mut State<'_>, object: &Rc<dyn Object>, arguments: Args) -> Result<Value> {
    if let Some(closure) = object.as_any().downcast_ref::<Closure>() {
        return call_macro(state, closure, arguments);
    }
    match object.as_any().downcast_ref::<Repeat>() {
        Some(Repeat { again: Some((repeat, frame)), depth, .. }) => {
            let [items] = arguments.bind("loop", ["iterable"], 1)?;
            let items = items.unwrap_or(Value::None);
            let (repeat, frame, depth) = (repeat.clone(), frame.clone(), depth + 1);
            state.captured(|state| {
                state.within(frame, |state| repeat_over(state, &repeat, &items, depth).map(|_| ()))
            })
        }
        Some(_) => fail!("the loop must have the 'recursive' marker to be called"),
        None => fail!("'{}' object is not callable", object.kind()),
    }
}

fn call_macro(state: &mut State<'_>, closure: &Closure, arguments: Args) -> Result<Value> {
    let Macro { name, parameters, body, catches } = &*closure.function;
    let Args { mut positional, mut named } = arguments;
    let rest = positional.split_off(parameters.len().min(positional.len()));
    if !rest.is_empty() && !catches.positional {
        return fail!("macro '{name}' takes not more than {} arguments", parameters.len());
    }
    let mut given = positional.into_iter();
    state.within(Frame::inside(&closure.frame), |state| {
        for (parameter, default) in parameters {
            let by_name = named.iter().position(|(name, _)| name == parameter);
            let by_name = by_name.map(|index| named.remove(index).1);
            let value = match (given.next(), by_name, default) {
                (Some(_), Some(_), _) => {
                    return fail!("macro '{name}' got '{parameter}' twice");
                }
                (Some(value), None, _) | (None, Some(value), _) => value,
                (None, None, Some(default)) => evaluate(state, default)?,
                (None, None, None) => Value::Undefined(Missing::Variable(parameter.clone())),
            };
            state.frame.set(parameter, value);
        }
        if catches.caller {
            let index = named.iter().position(|(name, _)| **name == *"caller");
            let caller = match index {
                Some(index) => named.remove(index).1,
                None => Value::Undefined(Missing::Because("no caller defined")),
            };
            state.frame.set(&Arc::from("caller"), caller);
        }
        if catches.positional {
            let rest = Value::tuple(rest, state.budget)?;
            state.frame.set(&Arc::from("varargs"), rest);
        }
        if catches.named {
            let rest = named.drain(..).map(|(name, value)| (Value::Text(name), value));
            let rest = dict_of(rest.collect(), state.budget)?;
            state.frame.set(&Arc::from("kwargs"), rest);
        }
        if let Some((unknown, _)) = named.first() {
            return fail!("macro '{name}' takes no argument '{unknown}'");
        }
        state.captured(|state| run(state, body).map(|_| ()))
    })
}
