//! [`Values`]: texts and conversations from the columns that a table keeps them in.

use std::borrow::Cow;

use serde_json::json;

use crate::chat::Conversations;
use crate::columns::Cell;
use crate::table::column::Entry;
use crate::table::fault::{Result, damaged};
use crate::table::schema::{Column, Leaf};

/// The values of a column in a group of rows.
pub(super) enum Values {
    Texts(Vec<Entry>),
    /// Each a list of turns, or null.
    Conversations(Vec<Option<Vec<Turn>>>),
}

/// A turn of a conversation.
pub(super) struct Turn {
    role: String,
    content: Option<String>,
}

impl Values {
    /// The values of `column`, from those of its `leaves`: one of texts, or role and content.
    pub fn new(parts: Vec<Vec<Entry>>, leaves: &[&Leaf], column: &Column) -> Result<Self> {
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), leaves) {
            (Some(texts), None, _) => Ok(Self::Texts(texts)),
            (Some(roles), Some(contents), [leaf, ..]) => {
                conversations(roles, contents, leaf, column)
            }
            _ => damaged(format!("column `{}` has no values", column.name)),
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Texts(entries) => entries.len(),
            Self::Conversations(rows) => rows.len(),
        }
    }

    /// The value of a row.
    pub fn cell(&self, row: usize, conversations: &Conversations<'_>) -> Cell<'_> {
        match self {
            Self::Texts(entries) => Ok(entries[row].text.as_deref().map(Cow::Borrowed)),
            Self::Conversations(rows) => match rows[row].as_deref() {
                None | Some([]) => Ok(None),
                Some(turns) => {
                    let turn = |turn: &Turn| json!({"role": turn.role, "content": turn.content});
                    let turns = turns.iter().map(turn).collect();
                    conversations.text(&turns).map(|text| Some(Cow::Owned(text)))
                }
            },
        }
    }
}

/// Puts roles and contents together. `leaf` is that of the roles.
fn conversations(
    roles: Vec<Entry>,
    contents: Vec<Entry>,
    leaf: &Leaf,
    column: &Column,
) -> Result<Values> {
    let unequal = || damaged(format!("the turns of column `{}` lack a role", column.name));
    if roles.len() != contents.len() {
        return unequal();
    }
    let mut rows: Vec<Option<Vec<Turn>>> = Vec::new();
    for (role, content) in roles.into_iter().zip(contents) {
        if role.repetition != content.repetition {
            return unequal();
        }
        if role.repetition == 0 {
            rows.push((role.definition >= column.definition).then(Vec::new));
        }
        // Below the level of an element the list is empty, or null.
        if role.definition < leaf.element {
            continue;
        }
        match (role.text, rows.last_mut()) {
            (Some(role), Some(Some(turns))) => turns.push(Turn { role, content: content.text }),
            _ => return unequal(),
        }
    }
    Ok(Values::Conversations(rows))
}
