//! [`Value`]: the values of a template, which behave as Python's.

pub mod compare;
pub mod generator;
pub mod json;
pub mod number;
pub mod numeric;
pub mod repr;
pub mod space;
pub mod writer;

use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::budget::{Budget, MAX_VALUE_DEPTH, MAX_VALUE_SIZE};
use crate::error::{Result, fail};

/// A value. Lists and dicts never change, as in transformers' sandbox.
#[derive(Clone, Debug)]
pub enum Value {
    /// No value, and why.
    Undefined(Missing),
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// An `int`, as far as 128 bits hold it.
    Int(i128),
    /// A `float`
    Float(f64),
    /// A `str`
    Text(Arc<str>),
    /// A `list`; the keys, values and items of a dict are lists too.
    List(Rc<Sequence>),
    /// A `tuple`
    Tuple(Rc<Sequence>),
    /// A `dict`
    Dict(Rc<Dict>),
    /// Anything else.
    Object(Rc<dyn Object>),
}

/// Why there is no value.
#[derive(Clone, Debug)]
pub enum Missing {
    /// A variable is not set.
    Variable(Arc<str>),
    /// A value of this type has no such attribute or item.
    Attribute(&'static str, Arc<str>),
    /// An attribute of this type may not be used.
    Unsafe(&'static str, Arc<str>),
    /// Something else.
    Because(&'static str),
}

impl Missing {
    /// The error of using the value that is not there.
    pub fn fail<T>(&self) -> Result<T> {
        match self {
            Self::Variable(name) => fail!("'{name}' is undefined"),
            Self::Attribute(kind, name) => fail!("'{kind} object' has no attribute '{name}'"),
            Self::Unsafe(kind, name) => {
                fail!("access to attribute '{name}' of '{kind}' object is unsafe")
            }
            Self::Because(what) => fail!("{what}"),
        }
    }
}

/// How large a value is.
#[derive(Clone, Copy, Debug)]
pub struct Weight {
    depth: u32,
    size: u64,
    /// Whether there is more than data in it.
    pub has_objects: bool,
}

impl Weight {
    /// The size of a value without parts.
    pub const ONE: Self = Self { depth: 0, size: 1, has_objects: false };

    /// The size of a value made of `parts`.
    pub fn around<'a>(parts: impl Iterator<Item = &'a Value>) -> Result<Self> {
        let mut whole = Self::ONE;
        for part in parts {
            let Self { depth, size, has_objects } = part.weight();
            whole.has_objects |= has_objects;
            whole.depth = whole.depth.max(depth);
            whole.size = whole.size.saturating_add(size);
        }
        whole.depth += 1;
        if whole.depth > MAX_VALUE_DEPTH {
            return fail!("value nested too deeply: more than {MAX_VALUE_DEPTH} levels");
        }
        if whole.size > MAX_VALUE_SIZE {
            return fail!("value too large: more than {MAX_VALUE_SIZE} values in it");
        }
        Ok(whole)
    }
}

/// The items of a list or tuple.
#[derive(Debug)]
pub struct Sequence {
    /// The items.
    pub items: Vec<Value>,
    weight: Weight,
}

/// The entries of a dict, in their order.
#[derive(Debug)]
pub struct Dict {
    /// Keys and values; all keys differ.
    pub entries: Vec<(Value, Value)>,
    weight: Weight,
}

impl Dict {
    /// The value of a key that is a text.
    pub fn named(&self, name: &str, budget: &Budget) -> Result<Option<&Value>> {
        budget.spend(self.entries.len() as u64 / 8)?;
        let is = |key: &Value| matches!(key, Value::Text(text) if **text == *name);
        Ok(self.entries.iter().find(|(key, _)| is(key)).map(|(_, value)| value))
    }
}

/// A value that is not data: a function, a namespace, a loop.
pub trait Object: std::fmt::Debug {
    /// The name of its type.
    fn kind(&self) -> &'static str;

    /// An attribute.
    fn attribute(&self, _name: &str) -> Option<Value> {
        None
    }

    /// The items to go over, if there are any.
    fn items(&self) -> Option<Vec<Value>> {
        None
    }

    /// Whether there are items to go over.
    fn iterable(&self) -> bool {
        self.items().is_some()
    }

    /// Calls it, if it can be called without running statements of the template.
    fn call(&self, _arguments: Args, _budget: &Budget) -> Option<Result<Value>> {
        None
    }

    /// Whether it can be called.
    fn callable(&self) -> bool {
        false
    }

    /// How large it is.
    fn weight(&self) -> Weight {
        Weight::ONE
    }

    /// For those who know its type.
    fn as_any(&self) -> &dyn Any;
}

/// The arguments of a call, evaluated.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// Those without a name.
    pub positional: Vec<Value>,
    /// Those with a name.
    pub named: Vec<(Arc<str>, Value)>,
}

impl Args {
    /// The arguments of `what` as the parameters `names`, of which `least` must be given.
    pub fn bind<const N: usize>(
        self,
        what: &str,
        names: [&str; N],
        least: usize,
    ) -> Result<[Option<Value>; N]> {
        if self.positional.len() > N {
            return fail!("{what} takes at most {N} arguments, not {}", self.positional.len());
        }
        let mut bound = [const { None }; N];
        for (place, value) in bound.iter_mut().zip(self.positional) {
            *place = Some(value);
        }
        for (name, value) in self.named {
            let Some(index) = names.iter().position(|other| **other == *name) else {
                return fail!("{what} got an unexpected argument '{name}'");
            };
            if bound[index].replace(value).is_some() {
                return fail!("{what} got '{name}' twice");
            }
        }
        match bound[..least].iter().position(Option::is_none) {
            Some(index) => fail!("{what} needs an argument '{}'", names[index]),
            None => Ok(bound),
        }
    }
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// A list.
    pub fn list(items: Vec<Self>, budget: &Budget) -> Result<Self> {
        Ok(Self::List(Self::sequence(items, budget)?))
    }

    /// A tuple.
    pub fn tuple(items: Vec<Self>, budget: &Budget) -> Result<Self> {
        Ok(Self::Tuple(Self::sequence(items, budget)?))
    }

    fn sequence(items: Vec<Self>, budget: &Budget) -> Result<Rc<Sequence>> {
        budget.list(items.len())?;
        let weight = Weight::around(items.iter())?;
        Ok(Rc::new(Sequence { items, weight }))
    }

    /// A dict of entries whose keys differ.
    pub fn distinct(entries: Vec<(Self, Self)>, budget: &Budget) -> Result<Self> {
        budget.list(2 * entries.len())?;
        let weight = Weight::around(entries.iter().flat_map(|(key, value)| [key, value]))?;
        Ok(Self::Dict(Rc::new(Dict { entries, weight })))
    }

    /// What JSON says.
    pub fn from_json(json: &Json, budget: &Budget) -> Result<Self> {
        Ok(match json {
            Json::Null => Self::None,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Self::Int(value.into()),
                (_, Some(value)) => Self::Int(value.into()),
                _ => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => {
                budget.text(text.len())?;
                Self::text(&**text)
            }
            Json::Array(items) => {
                let items = items.iter().map(|item| Self::from_json(item, budget));
                Self::list(items.collect::<Result<_>>()?, budget)?
            }
            Json::Object(fields) => {
                let entry = |(key, value): (&String, &Json)| {
                    Ok((Self::text(&**key), Self::from_json(value, budget)?))
                };
                Self::distinct(fields.iter().map(entry).collect::<Result<_>>()?, budget)?
            }
        })
    }

    /// A missing attribute `name` of this value.
    pub fn missing(&self, name: &str) -> Self {
        match self {
            Self::None => Self::Undefined(Missing::Attribute("None", name.into())),
            _ => Self::Undefined(Missing::Attribute(self.kind(), name.into())),
        }
    }

    /// How large it is.
    pub fn weight(&self) -> Weight {
        match self {
            Self::List(sequence) | Self::Tuple(sequence) => sequence.weight,
            Self::Dict(dict) => dict.weight,
            Self::Object(object) => Weight { has_objects: true, ..object.weight() },
            _ => Weight::ONE,
        }
    }

    /// The name of its type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Object(object) => object.kind(),
        }
    }

    /// Whether it may be the key of a dict.
    pub fn hashable(&self) -> Result<()> {
        match self {
            Self::List(_) | Self::Dict(_) => fail!("unhashable type: '{}'", self.kind()),
            Self::Tuple(sequence) => sequence.items.iter().try_for_each(Self::hashable),
            _ => Ok(()),
        }
    }

    /// As Python's `bool`.
    pub fn truth(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(sequence) | Self::Tuple(sequence) => !sequence.items.is_empty(),
            Self::Dict(dict) => !dict.entries.is_empty(),
            Self::Object(_) => true,
        }
    }

    /// The integer that it is.
    pub fn as_int(&self) -> Option<i128> {
        match self {
            Self::Bool(value) => Some(i128::from(*value)),
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The number that it is.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            _ => self.as_int().map(|value| value as f64),
        }
    }

    /// The text that it is.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer that argument `name` must be.
    pub fn int(&self, name: &str) -> Result<i128> {
        match self.as_int() {
            Some(value) => Ok(value),
            None => fail!("{name} must be an int, not {}", self.kind()),
        }
    }

    /// The text that argument `name` must be.
    pub fn str(&self, name: &str) -> Result<&str> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Undefined(missing) => missing.fail(),
            _ => fail!("{name} must be a str, not {}", self.kind()),
        }
    }

    /// The items that a loop goes over.
    pub fn iterate(&self, budget: &Budget) -> Result<Vec<Self>> {
        let items = match self {
            Self::Undefined(_) => Some(Vec::new()),
            Self::List(sequence) | Self::Tuple(sequence) => {
                budget.list(sequence.items.len())?;
                return Ok(sequence.items.clone());
            }
            Self::Dict(dict) => Some(dict.entries.iter().map(|(key, _)| key.clone()).collect()),
            Self::Text(text) => {
                budget.list(text.chars().count())?;
                let mut buffer = [0; 4];
                let one = |c: char| Self::text(&*c.encode_utf8(&mut buffer));
                return Ok(text.chars().map(one).collect());
            }
            Self::Object(object) => object.items(),
            _ => None,
        };
        let Some(items) = items else {
            return fail!("'{}' object is not iterable", self.kind());
        };
        budget.list(items.len())?;
        Ok(items)
    }

    /// As Python's `len`.
    pub fn length(&self) -> Result<usize> {
        match self {
            Self::Undefined(_) => Ok(0),
            Self::Text(text) => Ok(text.chars().count()),
            Self::List(sequence) | Self::Tuple(sequence) => Ok(sequence.items.len()),
            Self::Dict(dict) => Ok(dict.entries.len()),
            _ => fail!("object of type '{}' has no len()", self.kind()),
        }
    }
}
