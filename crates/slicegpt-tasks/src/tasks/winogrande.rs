//! WinoGrande: which noun a pronoun refers to (arXiv 1907.10641).

use crate::{Document, Examples, Item, ItemForm, Metric, Result, Task, python};

pub const WINOGRANDE: Task = Task {
    name: "winogrande",
    version: "1.0",
    metrics: &[Metric::Acc],
    scored: &["validation"],
    examples: Examples::DrawnFromOthers,
    item,
    subjects: None,
};

const FIELDS: &str = "`sentence`, `option1`, `option2`, `answer`, or `context_options`, \
                      `continuation`, `gold`,";

/// The options are in the contexts; the rest of the sentence is scored (partial evaluation).
fn item(document: &Document) -> Result<Item> {
    let (contexts, continuation, gold) = if document.has(&["sentence"]) {
        let (before, after) = document
            .text("sentence")?
            .split_once('_')
            .ok_or_else(|| document.wrong("sentence", "has no `_` where an option goes".into()))?;
        let context = |field| document.text(field).map(|option| format!("{before}{option}"));
        let contexts = vec![context("option1")?, context("option2")?];
        let gold = document.index("answer", 1, 2)?;
        (contexts, python::strip(after).to_string(), gold)
    } else if document.has(&["context_options", "continuation", "gold"]) {
        let contexts = document.texts("context_options")?;
        let gold = document.index("gold", 0, contexts.len())?;
        (contexts, document.text("continuation")?.to_string(), gold)
    } else {
        return Err(document.unlike("winogrande", FIELDS));
    };
    Ok(Item { form: ItemForm::Contexts { contexts, continuation }, gold })
}
