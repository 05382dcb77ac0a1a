//! [`Conversations`]: what becomes of a conversation in a file of texts.

use std::cell::{Cell, RefCell};

use serde_json::Value;
use slicegpt_limits::Budget;

/// Turns a conversation, a list of objects with `role` and `content`, into text; or says why not.
pub type Render<'a> = dyn Fn(&Value) -> Result<String, String> + 'a;

/// What a list in a column is that is no conversation.
pub(crate) const OTHER_LIST: &str =
    "a list that is not a conversation (of objects with `role` and a text as `content`)";

/// What is wrong with the value of a column.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is something else than text.
    Kind(String),
    /// It is a conversation that does not become text.
    Conversation(String),
}

/// The conversations of a file.
pub(crate) struct Conversations<'a> {
    render: Option<&'a Render<'a>>,
    budget: RefCell<Budget>,
    found: Cell<bool>,
}

impl<'a> Conversations<'a> {
    /// Conversations that `render` turns into text, within a budget.
    pub fn new(render: Option<&'a Render<'a>>, budget: Budget) -> Self {
        Self { render, budget: RefCell::new(budget), found: Cell::new(false) }
    }

    /// Whether there were any.
    pub fn found(&self) -> bool {
        self.found.get()
    }

    /// The text of a conversation.
    pub fn text(&self, turns: &Value) -> Result<String, Wrong> {
        self.found.set(true);
        let Some(render) = self.render else {
            return Err(Wrong::Kind("conversations, which only a chat template makes text".into()));
        };
        let text = render(turns).map_err(Wrong::Conversation)?;
        let spent = self.budget.borrow_mut().spend(text.len() as u64);
        match spent {
            Ok(()) => Ok(text),
            Err(error) => Err(Wrong::Conversation(error.to_string())),
        }
    }
}

/// Whether a value is a conversation: a list of turns.
pub(crate) fn is_conversation(value: &Value) -> bool {
    let Value::Array(turns) = value else { return false };
    !turns.is_empty() && turns.iter().all(|turn| turn.get("role").is_some_and(Value::is_string))
}
