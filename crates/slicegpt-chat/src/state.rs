//! [`State`]: where an evaluation stands: variables, output, budget.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::budget::{Budget, Kept};
use crate::error::Result;
use crate::value::writer::Writer;
use crate::value::{Args, Missing, Object, Value};

/// The variables of a body, inside those of another.
#[derive(Debug, Default)]
pub struct Frame {
    variables: RefCell<HashMap<Arc<str>, Value>>,
    parent: Option<Rc<Frame>>,
}

impl Frame {
    /// Without variables, inside `parent`.
    pub fn inside(parent: &Rc<Self>) -> Rc<Self> {
        Rc::new(Self { variables: RefCell::default(), parent: Some(parent.clone()) })
    }

    /// Sets a variable here.
    pub fn set(&self, name: &Arc<str>, value: Value) {
        self.variables.borrow_mut().insert(name.clone(), value);
    }

    /// The value of a variable here or around.
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
        // Taken out first: what is dropped may look here.
        let variables = std::mem::take(&mut *self.variables.borrow_mut());
        drop(variables);
    }
}

/// Calls an object that runs statements: a macro, or a recursive loop.
pub type Invoke<'b> = fn(&mut State<'b>, &Rc<dyn Object>, Args) -> Result<Value>;

/// Where an evaluation stands.
pub struct State<'b> {
    /// What is left to spend.
    pub budget: &'b Budget,
    /// The variables here.
    pub frame: Rc<Frame>,
    /// The texts that are being written, the innermost last.
    pub outputs: Vec<Writer<'b>>,
    /// How macros are called.
    pub invoke: Invoke<'b>,
}

impl<'b> State<'b> {
    /// What `run` does with variables of its own.
    pub fn scoped<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let inner = Frame::inside(&self.frame);
        self.within(inner, run)
    }

    /// What `run` does with the variables of `frame`.
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

    /// What `run` writes.
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
