//! [`Subtask`]: the documents of a task that get their own score; [`Group`]: subtasks scored
//! together.

use crate::{Document, Documents, Result, Task};

/// Documents that get their own score: all of a task, or those of one subject.
pub struct Subtask {
    /// The name in the harness: the task, or the task and the subject.
    pub name: String,
    /// The text before the examples and the question; may be empty.
    pub description: String,
    /// The documents that are scored.
    pub scored: Vec<Document>,
    /// The documents that few-shot examples come from.
    pub examples: Vec<Document>,
}

/// Subtasks with a common score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The name of the group.
    pub name: String,
    /// The version of the group in the harness.
    pub version: &'static str,
    /// Indices of its subtasks.
    pub subtasks: Vec<usize>,
}

/// Splits the documents of a task into subtasks by subject, in alphabetical order. The order of the
/// documents of a subject is kept. A task without subjects is one subtask.
///
/// # Errors
///
/// If some documents name a subject and others do not.
pub fn subtasks(task: &Task, documents: Documents) -> Result<Vec<Subtask>> {
    let Documents { scored, examples, .. } = documents;
    let field = task.subjects.as_ref().map(|subjects| (subjects.field, subjects.description));
    let field = field.filter(|(field, _)| scored.iter().any(|document| document.has(&[field])));
    let Some((field, description)) = field else {
        let (name, description) = (task.name.into(), String::new());
        return Ok(vec![Subtask { name, description, scored, examples }]);
    };
    let mut by_subject = std::collections::BTreeMap::<String, [Vec<Document>; 2]>::new();
    for document in scored {
        let subject = document.text(field)?.replace(' ', "_");
        by_subject.entry(subject).or_default()[0].push(document);
    }
    for document in examples {
        let subject = document.text(field)?.replace(' ', "_");
        // Examples of subjects that are not scored are dropped.
        if let Some(lists) = by_subject.get_mut(&subject) {
            lists[1].push(document);
        }
    }
    let subtasks = by_subject.into_iter().map(|(subject, [scored, examples])| {
        let name = format!("{}_{subject}", task.name);
        Subtask { name, description: description(&subject), scored, examples }
    });
    Ok(subtasks.collect())
}

/// The groups of a task's subtasks: one of all subtasks, and those that the task defines.
pub fn groups(task: &Task, subtasks: &[Subtask]) -> Vec<Group> {
    let Some(subjects) = &task.subjects else { return Vec::new() };
    if subtasks.iter().any(|subtask| subtask.name == task.name) {
        return Vec::new();
    }
    let group = |name: &str, is_member: &dyn Fn(&str) -> bool| {
        let subject = |subtask: &Subtask| subtask.name[task.name.len() + 1..].to_string();
        let members = (0..subtasks.len()).filter(|i| is_member(&subject(&subtasks[*i])));
        Group { name: name.into(), version: subjects.version, subtasks: members.collect() }
    };
    let all = group(task.name, &|_| true);
    let defined = subjects.groups.iter();
    let defined = defined.map(|(name, members)| group(name, &|subject| members.contains(&subject)));
    std::iter::once(all).chain(defined).filter(|group| !group.subtasks.is_empty()).collect()
}
