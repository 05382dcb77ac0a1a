//! Documents that are formatted already: `query`, `choices` and `gold`.

use crate::{Document, Result, python};

/// Whether a document has this form.
pub fn is_formatted(document: &Document) -> bool {
    document.has(&["query", "choices", "gold"])
}

/// The question without `Question: ` before it and `Answer:` after it.
pub fn question(document: &Document) -> Result<String> {
    let query = python::rstrip(document.text("query")?);
    let query = python::rstrip(query.strip_suffix("Answer:").unwrap_or(query));
    Ok(query.strip_prefix("Question: ").unwrap_or(query).to_string())
}

/// The choices, and the index of the right one.
pub fn choices(document: &Document) -> Result<(Vec<String>, usize)> {
    let choices = document.texts("choices")?;
    let gold = document.index("gold", 0, choices.len())?;
    Ok((choices, gold))
}
