//! [`Jinja`]: a template, and what it writes.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::budget::{Budget, Stop};
use crate::error::{Error, Result};
use crate::run::{invoke, run};
use crate::state::{Frame, State};
use crate::syntax::{self, ast::Body};
use crate::value::Value;
use crate::value::writer::Writer;
use crate::{budget, globals};

/// The stack of an evaluation: levels of nesting are counted, and this holds them all.
const STACK: usize = 32 << 20;

/// A template.
#[derive(Debug)]
pub struct Jinja {
    body: Body,
}

impl Jinja {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// If its syntax is invalid, it is larger than any text may be, or it is nested too deeply.
    pub fn new(source: &str) -> Result<Self> {
        if source.len() > budget::MAX_BYTES {
            let message = format!("text too long: more than {} bytes", budget::MAX_BYTES);
            return Err(Error::new(message));
        }
        Ok(Self { body: on_own_stack(|| syntax::parse(source))? })
    }

    /// What the template writes with `variables`.
    ///
    /// # Errors
    ///
    /// If the template refuses them, uses them wrongly, or uses up its budget.
    pub fn render(&self, variables: &[(&str, &Json)]) -> Result<String> {
        self.render_until(variables, None)
    }

    /// As [`Self::render`], unless `stop` says before the end that it should stop.
    ///
    /// # Errors
    ///
    /// As [`Self::render`], and if it was stopped.
    pub fn render_until(&self, variables: &[(&str, &Json)], stop: Option<Stop>) -> Result<String> {
        on_own_stack(|| {
            let budget = Budget::new(stop);
            render(&self.body, variables, &budget)
        })
    }
}

fn render(body: &Body, variables: &[(&str, &Json)], budget: &Budget) -> Result<String> {
    let context = Rc::new(Frame::default());
    for (name, value) in globals::all() {
        context.set(&Arc::from(name), value);
    }
    for (name, value) in variables {
        context.set(&Arc::from(*name), Value::from_json(value, budget)?);
    }
    let frame = Frame::inside(&context);
    let outputs = vec![Writer::of("prompt", budget)];
    let mut state = State { budget, frame, outputs, invoke };
    run(&mut state, body)?;
    Ok(state.outputs.pop().map(Writer::finish).unwrap_or_default())
}

/// What `run` gives, on a thread with room for all levels of nesting that are allowed.
fn on_own_stack<T: Send>(run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("template".into()).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, run);
        let thread = thread.map_err(|error| Error::new(format!("no thread: {error}")))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
