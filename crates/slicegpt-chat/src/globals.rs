//! The functions that every template has.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use jiff::ZonedDateTime;

use crate::budget::{Budget, Kept};
use crate::error::{Error, Result, fail};
use crate::methods::container::from_keys;
use crate::value::compare::dict_of;
use crate::value::repr::text;
use crate::value::{Args, Object, Value, Weight};

/// Items of a range, as in Jinja's sandbox.
const MAX_RANGE: i128 = 100_000;

/// The functions by name.
pub fn all() -> impl Iterator<Item = (&'static str, Value)> {
    let functions: [(&'static str, Run); 7] = [
        ("range", range),
        ("dict", dict),
        ("namespace", namespace),
        ("cycler", cycler),
        ("joiner", joiner),
        ("raise_exception", raise),
        ("strftime_now", now),
    ];
    functions.into_iter().map(|(name, run)| (name, Value::Object(Rc::new(Function { name, run }))))
}

type Run = fn(Args, &Budget) -> Result<Value>;

struct Function {
    name: &'static str,
    run: Run,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

impl Object for Function {
    fn kind(&self) -> &'static str {
        "function"
    }

    fn attribute(&self, name: &str) -> Option<Value> {
        let from_keys: Run = |arguments, budget| {
            let [keys, value] = arguments.bind("fromkeys", ["iterable", "value"], 1)?;
            from_keys(&keys.unwrap_or(Value::None), value, budget)
        };
        let named = (self.name, name) == ("dict", "fromkeys");
        named.then(|| Value::Object(Rc::new(Self { name: "fromkeys", run: from_keys })))
    }

    fn call(&self, arguments: Args, budget: &Budget) -> Option<Result<Value>> {
        Some(budget.spend(1).and_then(|()| (self.run)(arguments, budget)))
    }

    fn callable(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn range(arguments: Args, budget: &Budget) -> Result<Value> {
    let Args { positional, named } = arguments;
    if !named.is_empty() {
        return fail!("range takes no named arguments");
    }
    let numbers = positional.iter().map(|number| number.int("an argument of range"));
    let (start, stop, step) = match numbers.collect::<Result<Vec<_>>>()?[..] {
        [stop] => (0, stop, 1),
        [start, stop] => (start, stop, 1),
        [start, stop, step] => (start, stop, step),
        _ => return fail!("range takes one to three arguments"),
    };
    if step == 0 {
        return fail!("range: the step must not be zero");
    }
    let span = if step > 0 { stop.checked_sub(start) } else { start.checked_sub(stop) };
    let width = step.checked_abs().unwrap_or(i128::MAX);
    let count = match span {
        Some(span) if span > 0 => (span - 1) / width + 1,
        Some(_) => 0,
        None => i128::MAX,
    };
    if count > MAX_RANGE {
        return fail!("list too long: a range of more than {MAX_RANGE} items");
    }
    budget.list(count as usize)?;
    Value::list((0..count).map(|index| Value::Int(start + index * step)).collect(), budget)
}

/// The entries of the first argument, and the named ones after them.
fn entries(what: &str, arguments: Args, budget: &Budget) -> Result<Vec<(Value, Value)>> {
    let Args { mut positional, named } = arguments;
    if positional.len() > 1 {
        return fail!("{what} takes at most one argument without a name");
    }
    let mut entries = match positional.pop() {
        None => Vec::new(),
        Some(Value::Dict(dict)) => {
            budget.list(dict.entries.len())?;
            dict.entries.clone()
        }
        Some(pairs) => {
            let mut entries = Vec::new();
            for pair in pairs.iterate(budget)? {
                match &pair.iterate(budget)?[..] {
                    [key, value] => entries.push((key.clone(), value.clone())),
                    _ => return fail!("{what} needs pairs"),
                }
            }
            entries
        }
    };
    entries.extend(named.into_iter().map(|(name, value)| (Value::Text(name), value)));
    Ok(entries)
}

fn dict(arguments: Args, budget: &Budget) -> Result<Value> {
    dict_of(entries("dict", arguments, budget)?, budget)
}

fn namespace(arguments: Args, budget: &Budget) -> Result<Value> {
    let namespace = Rc::new(Namespace::default());
    budget.keep(namespace.clone())?;
    for (name, value) in entries("namespace", arguments, budget)? {
        namespace.set(name.str("the name of an attribute")?.into(), value)?;
    }
    Ok(Value::Object(namespace))
}

/// An object whose attributes a template may set, also from inside a loop.
#[derive(Default)]
pub struct Namespace {
    attributes: RefCell<std::collections::HashMap<Arc<str>, Value>>,
}

impl std::fmt::Debug for Namespace {
    // Its attributes may hold itself.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Namespace")
    }
}

impl Namespace {
    /// Sets an attribute.
    pub fn set(&self, name: Arc<str>, value: Value) -> Result<()> {
        if name.starts_with('_') {
            return fail!("a namespace has no attributes that begin with an underscore: '{name}'");
        }
        self.attributes.borrow_mut().insert(name, value);
        Ok(())
    }
}

impl Kept for Namespace {
    fn clear(&self) {
        let attributes = std::mem::take(&mut *self.attributes.borrow_mut());
        drop(attributes);
    }
}

impl Object for Namespace {
    fn kind(&self) -> &'static str {
        "Namespace"
    }

    fn attribute(&self, name: &str) -> Option<Value> {
        self.attributes.borrow().get(name).cloned()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn cycler(arguments: Args, _budget: &Budget) -> Result<Value> {
    let items = arguments.positional;
    if items.is_empty() {
        return fail!("at least one item has to be provided");
    }
    let weight = Weight::around(items.iter())?;
    Ok(Value::Object(Rc::new(Cycler(Rc::new(Cycle { items, at: Cell::new(0), weight })))))
}

#[derive(Debug)]
struct Cycle {
    items: Vec<Value>,
    at: Cell<usize>,
    weight: Weight,
}

/// Gives its items in turn.
#[derive(Debug)]
struct Cycler(Rc<Cycle>);

impl Object for Cycler {
    fn kind(&self) -> &'static str {
        "Cycler"
    }

    fn attribute(&self, name: &str) -> Option<Value> {
        match name {
            "current" => Some(self.0.items[self.0.at.get()].clone()),
            "next" | "reset" => {
                let method = CyclerMethod { cycle: self.0.clone(), next: name == "next" };
                Some(Value::Object(Rc::new(method)))
            }
            _ => None,
        }
    }

    fn weight(&self) -> Weight {
        self.0.weight
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[derive(Debug)]
struct CyclerMethod {
    cycle: Rc<Cycle>,
    next: bool,
}

impl Object for CyclerMethod {
    fn kind(&self) -> &'static str {
        "method"
    }

    fn call(&self, _arguments: Args, _budget: &Budget) -> Option<Result<Value>> {
        let Cycle { items, at, .. } = &*self.cycle;
        let current = at.get();
        at.set(if self.next { (current + 1) % items.len() } else { 0 });
        Some(Ok(if self.next { items[current].clone() } else { Value::None }))
    }

    fn callable(&self) -> bool {
        true
    }

    fn weight(&self) -> Weight {
        self.cycle.weight
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn joiner(arguments: Args, _budget: &Budget) -> Result<Value> {
    let [separator] = arguments.bind("joiner", ["sep"], 0)?;
    let separator = separator.unwrap_or_else(|| Value::text(", "));
    let separator: Arc<str> = separator.str("the separator")?.into();
    Ok(Value::Object(Rc::new(Joiner { separator, used: Cell::new(false) })))
}

/// Gives its separator, but the first time nothing.
#[derive(Debug)]
struct Joiner {
    separator: Arc<str>,
    used: Cell<bool>,
}

impl Object for Joiner {
    fn kind(&self) -> &'static str {
        "Joiner"
    }

    fn call(&self, _arguments: Args, _budget: &Budget) -> Option<Result<Value>> {
        let used = self.used.replace(true);
        Some(Ok(if used { Value::Text(self.separator.clone()) } else { Value::text("") }))
    }

    fn callable(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn raise(arguments: Args, budget: &Budget) -> Result<Value> {
    let [message] = arguments.bind("raise_exception", ["message"], 1)?;
    Err(Error::raised(text(&message.unwrap_or(Value::None), budget)?.into_owned()))
}

fn now(arguments: Args, budget: &Budget) -> Result<Value> {
    let [format] = arguments.bind("strftime_now", ["format"], 1)?;
    let format = format.unwrap_or(Value::None);
    let format = format.str("the format of strftime_now")?;
    budget.text(format.len())?;
    // A width may be asked for, but none that a date needs.
    if format.split('%').skip(1).any(|part| part.starts_with(|c: char| c.is_ascii_digit())) {
        return fail!("strftime_now: a format with a width");
    }
    match jiff::fmt::strtime::format(format, &ZonedDateTime::now()) {
        Ok(text) => Ok(Value::text(text)),
        Err(error) => fail!("strftime_now: {error}"),
    }
}
