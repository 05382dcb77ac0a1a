//! ARC: grade-school science questions, easy and challenging ones (arXiv 1803.05457).

use super::query;
use crate::{Document, Examples, Item, ItemForm, Metric, Result, Task};

pub const EASY: Task = Task {
    name: "arc_easy",
    version: "1.0",
    metrics: &[Metric::Acc, Metric::AccNorm],
    scored: &["test", "validation"],
    examples: Examples::Drawn,
    item: |document| item("arc_easy", document),
    subjects: None,
};

pub const CHALLENGE: Task =
    Task { name: "arc_challenge", item: |document| item("arc_challenge", document), ..EASY };

const FIELDS: &str = "`question`, `choices` with `text` and `label`, `answerKey`, or `query`, \
                      `choices`, `gold`,";

fn item(task: &'static str, document: &Document) -> Result<Item> {
    let (question, choices, gold) = if document.has(&["question"]) {
        let listed = document.object("choices")?;
        let (choices, labels) = (listed.texts("text")?, listed.texts("label")?);
        if labels.len() != choices.len() {
            let reason = format!("has {} texts and {} labels", choices.len(), labels.len());
            return Err(document.wrong("choices", reason));
        }
        let key = document.text("answerKey")?;
        let gold = labels.iter().position(|label| label == key);
        let gold = gold.ok_or_else(|| {
            document.wrong("answerKey", format!("is {key:?}, and the labels are {labels:?}"))
        })?;
        (document.text("question")?.to_string(), choices, gold)
    } else if query::is_formatted(document) {
        let (choices, gold) = query::choices(document)?;
        (query::question(document)?, choices, gold)
    } else {
        return Err(document.unlike(task, FIELDS));
    };
    let context = format!("Question: {question}\nAnswer:");
    Ok(Item { form: ItemForm::Choices { context, choices }, gold })
}
