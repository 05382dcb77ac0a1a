//! [`Part`]: documents of a task that are scored by themselves, and [`Group`]s of such.

use crate::{Document, Documents, Result, Task};

/// Documents that are scored by themselves: all of a task, or those of one of its subjects.
pub struct Part {
    /// The task, or the task and the subject, as the harness calls it.
    pub name: String,
    /// What stands before all else; empty for nothing.
    pub description: String,
    /// The documents that are scored.
    pub scored: Vec<Document>,
    /// The documents that examples are taken from.
    pub examples: Vec<Document>,
}

/// Parts that are scored together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The version of the group in the harness.
    pub version: &'static str,
    /// Its parts, as indices.
    pub parts: Vec<usize>,
}

/// Parts the documents of a task, each part in the order of its documents. Subjects come in the order of
/// the alphabet.
///
/// # Errors
///
/// If a document does not say to which part it belongs while another does.
pub fn parts(task: &Task, documents: Documents) -> Result<Vec<Part>> {
    let Documents { scored, examples, .. } = documents;
    let field = task.parted.as_ref().map(|parting| (parting.field, parting.description));
    let field = field.filter(|(field, _)| scored.iter().any(|document| document.has(&[field])));
    let Some((field, description)) = field else {
        let (name, description) = (task.name.into(), String::new());
        return Ok(vec![Part { name, description, scored, examples }]);
    };
    let mut by_subject = std::collections::BTreeMap::<String, [Vec<Document>; 2]>::new();
    for document in scored {
        let subject = document.text(field)?.replace(' ', "_");
        by_subject.entry(subject).or_default()[0].push(document);
    }
    for document in examples {
        let subject = document.text(field)?.replace(' ', "_");
        // Subjects that are not scored need no examples.
        if let Some(lists) = by_subject.get_mut(&subject) {
            lists[1].push(document);
        }
    }
    let parts = by_subject.into_iter().map(|(subject, [scored, examples])| {
        let name = format!("{}_{subject}", task.name);
        Part { name, description: description(&subject), scored, examples }
    });
    Ok(parts.collect())
}

/// The groups of the parts of a task: those it names, and all of it.
pub fn groups(task: &Task, parts: &[Part]) -> Vec<Group> {
    let Some(parting) = &task.parted else { return Vec::new() };
    if parts.iter().any(|part| part.name == task.name) {
        return Vec::new();
    }
    let of = |name: &str, belongs: &dyn Fn(&str) -> bool| {
        let subject = |part: &Part| part.name[task.name.len() + 1..].to_string();
        let parts = (0..parts.len()).filter(|i| belongs(&subject(&parts[*i])));
        Group { name: name.into(), version: parting.version, parts: parts.collect() }
    };
    let all = of(task.name, &|_| true);
    let named =
        parting.groups.iter().map(|(name, members)| of(name, &|part| members.contains(&part)));
    std::iter::once(all).chain(named).filter(|group| !group.parts.is_empty()).collect()
}
