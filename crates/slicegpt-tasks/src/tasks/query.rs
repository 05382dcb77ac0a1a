//! Documents with `query`, `choices` and `gold`: formatted already, without what asks for an answer.

use crate::{Document, Result, python};

/// Whether a document is one.
pub fn is_formatted(document: &Document) -> bool {
    document.has(&["query", "choices", "gold"])
}

/// The question alone, without the words that frame it.
pub fn question(document: &Document) -> Result<String> {
    let query = python::rstrip(document.text("query")?);
    let query = python::rstrip(query.strip_suffix("Answer:").unwrap_or(query));
    Ok(query.strip_prefix("Question: ").unwrap_or(query).to_string())
}

/// The choices, and which is right.
pub fn choices(document: &Document) -> Result<(Vec<String>, usize)> {
    let choices = document.texts("choices")?;
    let gold = document.index("gold", 0, choices.len())?;
    Ok((choices, gold))
}
