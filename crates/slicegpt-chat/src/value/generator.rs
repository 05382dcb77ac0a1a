//! [`Generator`]: items that can be gone over once.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use crate::budget::Budget;
use crate::error::Result;
use crate::value::{Object, Value, Weight};

/// What `map`, `select` and other filters give in Python: it is true even without items, it has no
/// length and no item by number, and the second loop over it finds nothing.
#[derive(Debug)]
pub struct Generator {
    kind: &'static str,
    items: RefCell<Vec<Value>>,
    weight: Weight,
}

/// The type of most of them.
const GENERATOR: &str = "generator";

impl Generator {
    /// A generator of `items`.
    pub fn of(items: Vec<Value>, budget: &Budget) -> Result<Value> {
        Self::of_kind(GENERATOR, items, budget)
    }

    /// What Python's `reversed` gives.
    pub fn reversed(items: Vec<Value>, budget: &Budget) -> Result<Value> {
        Self::of_kind("list_reverseiterator", items, budget)
    }

    fn of_kind(kind: &'static str, items: Vec<Value>, budget: &Budget) -> Result<Value> {
        budget.list(items.len())?;
        let weight = Weight::around(items.iter())?;
        Ok(Value::Object(Rc::new(Self { kind, items: RefCell::new(items), weight })))
    }

    /// The next item of `value`, if that is a generator; the others stay.
    pub fn next_of(value: &Value) -> Option<Option<Value>> {
        let Value::Object(object) = value else { return None };
        let mut items = object.as_any().downcast_ref::<Self>()?.items.borrow_mut();
        Some(if items.is_empty() { None } else { Some(items.remove(0)) })
    }

    /// Whether `value` cannot be gone over from its end.
    pub fn is(value: &Value) -> bool {
        matches!(value, Value::Object(object) if object.as_any().is::<Self>())
    }
}

impl Object for Generator {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn items(&self) -> Option<Vec<Value>> {
        Some(self.items.take())
    }

    fn iterable(&self) -> bool {
        true
    }

    fn weight(&self) -> Weight {
        self.weight
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
