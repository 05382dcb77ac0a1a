//! HellaSwag: the most plausible continuation of a description (arXiv 1905.07830).

use std::sync::LazyLock;

use regex::Regex;

use super::query;
use crate::{Document, Examples, Item, ItemForm, Metric, Result, Task, python};

pub const HELLASWAG: Task = Task {
    name: "hellaswag",
    version: "1.0",
    metrics: &[Metric::Acc, Metric::AccNorm],
    scored: &["validation"],
    examples: Examples::DrawnFromOthers,
    item,
    subjects: None,
};

const FIELDS: &str = "`activity_label`, `ctx_a`, `ctx_b`, `endings`, `label`, or `query`, \
                      `choices`, `gold`, or `question`, `choices`, `answer`,";

fn item(document: &Document) -> Result<Item> {
    let (context, choices, gold) = if document.has(&["endings"]) {
        let context = format!(
            "{}: {} {}",
            document.text("activity_label")?,
            document.text("ctx_a")?,
            python::capitalize(document.text("ctx_b")?)
        );
        let endings = document.texts("endings")?;
        let gold = document.index("label", 0, endings.len())?;
        (context, endings, gold)
    } else if query::is_formatted(document) {
        let (choices, gold) = query::choices(document)?;
        (document.text("query")?.to_string(), choices, gold)
    } else if document.has(&["question", "choices", "answer"]) {
        // This form of the data set lacks the activity.
        let listed = document.object("choices")?;
        let answer = document.text("answer")?;
        let gold = listed.fields().keys().position(|name| name == answer);
        let gold = gold.ok_or_else(|| {
            document.wrong("answer", format!("is {answer:?}, which is none of the choices"))
        })?;
        (document.text("question")?.to_string(), document.texts("choices")?, gold)
    } else {
        return Err(document.unlike("hellaswag", FIELDS));
    };
    let choices = choices.iter().map(|choice| without_markup(choice)).collect();
    Ok(Item { form: ItemForm::Choices { context: without_markup(&context), choices }, gold })
}

/// Removes the bracketed markup of WikiHow articles.
fn without_markup(text: &str) -> String {
    static MARKUP: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\[.*?\]").expect("a valid expression"));
    let text = python::strip(text).replace(" [title]", ". ");
    MARKUP.replace_all(&text, "").replace("  ", " ")
}
