//! [`State`]: the state of an evaluation: variables, output, budget.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::budget::{Budget, Kept};
use crate::error::Result;
use crate::value::writer::Writer;
use crate::value::{Args, Missing, Object, Value};

/// A scope: the variables of a body, and the scope around it.
#[derive(Debug, Default)]
pub struct Frame {
    variables: RefCell<HashMap<Arc<str>, Value>>,
    parent: Option<Rc<Frame>>,
}

impl Frame {
    /// An empty scope inside `parent`.
    pub fn inside(parent: &Rc<Self>) -> Rc<Self> {
        Rc::new(Self { variables: RefCell::default(), parent: Some(parent.clone()) })
    }

    /// Sets a variable of this scope.
    pub fn set(&self, name: &Arc<str>, value: Value) {
        self.variables.borrow_mut().insert(name.clone(), value);
    }

    /// The value of a variable of this scope, or of the nearest one around it that has it.
    pub fn get(&self, name: &Arc<str>) -> Value {
        let mut frame = Some(self);
        while let Some(here) = frame {
            if let Some(value) = here.variables.borrow().get(name) {
                return value.clone();
            }
            frame = here.parent.as_deref();
        }
        Value::Undefined(Missing::Variable(name.clone()))
    }
}

impl Kept for Frame {
    fn clear(&self) {
        // Taken out first: a value that is dropped may read this scope.
        let variables = std::mem::take(&mut *self.variables.borrow_mut());
        drop(variables);
    }
}

/// Calls an object that runs statements: a macro, or a recursive loop.
pub type Invoke<'b> = fn(&mut State<'b>, &Rc<dyn Object>, Args) -> Result<Value>;

/// The state of an evaluation.
pub struct State<'b> {
    /// The remaining work and nesting.
    pub budget: &'b Budget,
    /// The current scope.
    pub frame: Rc<Frame>,
    /// The texts being written, the innermost last.
    pub outputs: Vec<Writer<'b>>,
    /// How macros are called.
    pub invoke: Invoke<'b>,
}

impl<'b> State<'b> {
    /// Calls `run` in a new scope.
    pub fn scoped<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let inner = Frame::inside(&self.frame);
        self.within(inner, run)
    }

    /// Calls `run` in the scope `frame`.
    pub fn within<T>(
        &mut self,
        frame: Rc<Frame>,
        run: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let outer = std::mem::replace(&mut self.frame, frame);
        let result = run(self);
        self.frame = outer;
        result
    }

    /// Calls `run`, and returns what it writes as a value.
    pub fn captured(&mut self, run: impl FnOnce(&mut Self) -> Result<()>) -> Result<Value> {
        self.budget.spend(1)?;
        self.outputs.push(Writer::new(self.budget));
        let result = run(self);
        let text = self.outputs.pop().map(Writer::finish).unwrap_or_default();
        result.map(|()| Value::text(text))
    }

    /// Writes `text`.
    pub fn write(&mut self, text: &str) -> Result<()> {
        self.outputs.last_mut().map_or(Ok(()), |output| output.push(text))
    }
}
