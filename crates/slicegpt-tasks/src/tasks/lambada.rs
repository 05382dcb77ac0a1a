//! LAMBADA in OpenAI's version: the last word of a passage (arXiv 1606.06031).

use crate::{Document, Examples, Item, ItemForm, Metric, Result, Task};

pub const OPENAI: Task = Task {
    name: "lambada_openai",
    version: "1.0",
    metrics: &[Metric::Perplexity, Metric::Greedy],
    scored: &["test", "validation"],
    examples: Examples::DrawnFromScored,
    item,
    subjects: None,
};

const FIELDS: &str = "`text`, or `context`, `continuation`,";

fn item(document: &Document) -> Result<Item> {
    let (context, word) = if document.has(&["text"]) {
        let text = document.text("text")?;
        // A single word has an empty context.
        text.rsplit_once(' ').unwrap_or(("", text))
    } else if document.has(&["context", "continuation"]) {
        (document.text("context")?, document.text("continuation")?)
    } else {
        return Err(document.unlike("lambada_openai", FIELDS));
    };
    let (context, word) = (context.to_string(), format!(" {word}"));
    Ok(Item { form: ItemForm::LastWord { context, word }, gold: 0 })
}
