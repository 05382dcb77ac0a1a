//! MMLU: questions on 57 subjects, answered by a letter (arXiv 2009.03300).

use super::query;
use crate::task::Subjects;
use crate::{Document, Examples, Item, ItemForm, Metric, Result, Task, python};

pub const MMLU: Task = Task {
    name: "mmlu",
    version: "1.0",
    metrics: &[Metric::Acc],
    scored: &["test", "validation"],
    examples: Examples::First,
    item,
    subjects: Some(Subjects { field: "subject", description, groups: GROUPS, version: "2" }),
};

const FIELDS: &str = "`question`, `choices`, `answer`, or `query`, `choices`, `gold`,";

const LETTERS: [&str; 4] = ["A", "B", "C", "D"];

fn description(subject: &str) -> String {
    let subject = subject.replace('_', " ");
    format!("The following are multiple choice questions (with answers) about {subject}.\n\n")
}

fn item(document: &Document) -> Result<Item> {
    let letters = LETTERS.map(String::from).to_vec();
    if document.has(&["question"]) {
        let choices = document.texts("choices")?;
        let [a, b, c, d] = choices.as_slice() else {
            return Err(document.wrong("choices", format!("has {}, not 4", choices.len())));
        };
        let question = python::strip(document.text("question")?);
        let context = format!("{question}\nA. {a}\nB. {b}\nC. {c}\nD. {d}\nAnswer:");
        // Some copies of the data set give the letter instead of the index.
        let named = document
            .text("answer")
            .ok()
            .and_then(|name| LETTERS.iter().position(|letter| *letter == name));
        let gold = named.map_or_else(|| document.index("answer", 0, 4), Ok)?;
        Ok(Item { form: ItemForm::Choices { context, choices: letters }, gold })
    } else if query::is_formatted(document) {
        // The query contains the texts of the choices; the choices are letters.
        let (choices, gold) = query::choices(document)?;
        let context = format!("{}\nAnswer:", query::question(document)?);
        Ok(Item { form: ItemForm::Choices { context, choices }, gold })
    } else {
        Err(document.unlike("mmlu", FIELDS))
    }
}

/// Subjects, by group.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "mmlu_humanities",
        &[
            "formal_logic",
            "high_school_european_history",
            "high_school_us_history",
            "high_school_world_history",
            "international_law",
            "jurisprudence",
            "logical_fallacies",
            "moral_disputes",
            "moral_scenarios",
            "philosophy",
            "prehistory",
            "professional_law",
            "world_religions",
        ],
    ),
    (
        "mmlu_other",
        &[
            "business_ethics",
            "clinical_knowledge",
            "college_medicine",
            "global_facts",
            "human_aging",
            "management",
            "marketing",
            "medical_genetics",
            "miscellaneous",
            "nutrition",
            "professional_accounting",
            "professional_medicine",
            "virology",
        ],
    ),
    (
        "mmlu_social_sciences",
        &[
            "econometrics",
            "high_school_geography",
            "high_school_government_and_politics",
            "high_school_macroeconomics",
            "high_school_microeconomics",
            "high_school_psychology",
            "human_sexuality",
            "professional_psychology",
            "public_relations",
            "security_studies",
            "sociology",
            "us_foreign_policy",
        ],
    ),
    (
        "mmlu_stem",
        &[
            "abstract_algebra",
            "anatomy",
            "astronomy",
            "college_biology",
            "college_chemistry",
            "college_computer_science",
            "college_mathematics",
            "college_physics",
            "computer_security",
            "conceptual_physics",
            "electrical_engineering",
            "elementary_mathematics",
            "high_school_biology",
            "high_school_chemistry",
            "high_school_computer_science",
            "high_school_mathematics",
            "high_school_physics",
            "high_school_statistics",
            "machine_learning",
        ],
    ),
];
