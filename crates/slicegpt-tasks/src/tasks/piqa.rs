//! PIQA: which of two solutions reaches a goal (arXiv 1911.11641).

use super::query;
use crate::{Document, Examples, Item, ItemForm, Metric, Result, Task};

pub const PIQA: Task = Task {
    name: "piqa",
    version: "1.0",
    metrics: &[Metric::Acc, Metric::AccNorm],
    scored: &["validation"],
    examples: Examples::DrawnFromOthers,
    item,
    subjects: None,
};

const FIELDS: &str = "`goal`, `sol1`, `sol2`, `label`, or `query`, `choices`, `gold`,";

fn item(document: &Document) -> Result<Item> {
    let (goal, choices, gold) = if document.has(&["goal"]) {
        let solution = |field| document.text(field).map(String::from);
        let choices = vec![solution("sol1")?, solution("sol2")?];
        (document.text("goal")?.to_string(), choices, document.index("label", 0, 2)?)
    } else if query::is_formatted(document) {
        let (choices, gold) = query::choices(document)?;
        (query::question(document)?, choices, gold)
    } else {
        return Err(document.unlike("piqa", FIELDS));
    };
    let context = format!("Question: {goal}\nAnswer:");
    Ok(Item { form: ItemForm::Choices { context, choices }, gold })
}
