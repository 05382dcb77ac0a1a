//! [`Repeat`]: the variable `loop`.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use crate::budget::Budget;
use crate::error::{Result, fail};
use crate::state::Frame;
use crate::syntax::ast::For;
use crate::value::compare::equal;
use crate::value::{Args, Missing, Object, Value, Weight};

/// The variable `loop` while a loop runs.
#[derive(Debug)]
pub struct Repeat {
    state: Rc<Steps>,
    /// The loop and its variables, where the body may start it again.
    pub again: Option<(Arc<For>, Rc<Frame>)>,
    /// Loops around it that started it again.
    pub depth: usize,
}

#[derive(Debug)]
struct Steps {
    items: Vec<Value>,
    index: Cell<usize>,
    changed: RefCell<Option<Vec<Value>>>,
    weight: Weight,
}

impl Repeat {
    /// Before the first of `items`.
    pub fn new(
        items: Vec<Value>,
        again: Option<(Arc<For>, Rc<Frame>)>,
        depth: usize,
    ) -> Result<Self> {
        let weight = Weight::around(items.iter())?;
        let (index, changed) = (Cell::new(0), RefCell::default());
        Ok(Self { state: Rc::new(Steps { items, index, changed, weight }), again, depth })
    }

    /// How many items there are.
    pub fn length(&self) -> usize {
        self.state.items.len()
    }

    /// Goes to item `index`.
    pub fn step(&self, index: usize) -> Value {
        self.state.index.set(index);
        self.state.items[index].clone()
    }
}

impl Object for Repeat {
    fn kind(&self) -> &'static str {
        "LoopContext"
    }

    fn attribute(&self, name: &str) -> Option<Value> {
        let Steps { items, index, .. } = &*self.state;
        let (index, length) = (index.get(), items.len());
        let number = |value: usize| Some(Value::Int(value as i128));
        let item = |index: Option<usize>| {
            let outside = Value::Undefined(Missing::Because("there is no such item in the loop"));
            Some(index.and_then(|index| items.get(index)).cloned().unwrap_or(outside))
        };
        match name {
            "index" => number(index + 1),
            "index0" => number(index),
            "revindex" => number(length - index),
            "revindex0" => number(length - index - 1),
            "first" => Some(Value::Bool(index == 0)),
            "last" => Some(Value::Bool(index + 1 == length)),
            "length" => number(length),
            "depth" => number(self.depth + 1),
            "depth0" => number(self.depth),
            "previtem" => item(index.checked_sub(1)),
            "nextitem" => item(Some(index + 1)),
            "cycle" | "changed" => {
                let cycle = name == "cycle";
                Some(Value::Object(Rc::new(StepMethod { state: self.state.clone(), cycle })))
            }
            _ => None,
        }
    }

    fn callable(&self) -> bool {
        true
    }

    fn weight(&self) -> Weight {
        self.state.weight
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `loop.cycle` or `loop.changed`.
#[derive(Debug)]
struct StepMethod {
    state: Rc<Steps>,
    cycle: bool,
}

impl Object for StepMethod {
    fn kind(&self) -> &'static str {
        "method"
    }

    fn call(&self, arguments: Args, budget: &Budget) -> Option<Result<Value>> {
        let values = arguments.positional;
        Some(match (self.cycle, values.is_empty()) {
            (true, true) => fail!("no items for cycling given"),
            (true, false) => Ok(values[self.state.index.get() % values.len()].clone()),
            (false, _) => self.changed(values, budget),
        })
    }

    fn callable(&self) -> bool {
        true
    }

    fn weight(&self) -> Weight {
        self.state.weight
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl StepMethod {
    /// Whether the values differ from those of the last call.
    fn changed(&self, values: Vec<Value>, budget: &Budget) -> Result<Value> {
        // The loop must not come to hold itself.
        if values.iter().any(|value| value.weight().has_objects) {
            return fail!("loop.changed takes data only");
        }
        let last = self.state.changed.take();
        let mut same = last.as_ref().is_some_and(|last| last.len() == values.len());
        for (last, value) in last.iter().flatten().zip(&values) {
            same = same && equal(last, value, budget)?;
        }
        self.state.changed.replace(Some(values));
        Ok(Value::Bool(!same))
    }
}
