//! [`Document`]: one object of a file, whose fields are asked for by type.

use serde_json::{Map, Value};

use crate::{Result, TaskError};

/// One object of a file, and where it stands.
#[derive(Clone, Debug)]
pub struct Document {
    fields: Map<String, Value>,
    place: String,
}

impl Document {
    /// An object found at `place`, for instance `arc.jsonl: line 3`.
    pub fn new(fields: Map<String, Value>, place: String) -> Self {
        Self { fields, place }
    }

    /// Where it stands.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Its fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// Whether it has all of these fields.
    pub fn has(&self, fields: &[&str]) -> bool {
        fields.iter().all(|field| self.fields.contains_key(*field))
    }

    /// A field that is a text.
    ///
    /// # Errors
    ///
    /// If it is none, or missing.
    pub fn text(&self, field: &str) -> Result<&str> {
        let value = self.value(field)?;
        value.as_str().ok_or_else(|| self.wrong(field, format!("is {}, not a text", kind(value))))
    }

    /// A field that is a list of texts, none of them missing. In an object, the values are the list.
    ///
    /// # Errors
    ///
    /// If it is no such list, or empty.
    pub fn texts(&self, field: &str) -> Result<Vec<String>> {
        let wrong = |value: &Value| {
            self.wrong(field, format!("holds {} where a text is needed", kind(value)))
        };
        let text = |value: &Value| value.as_str().map(String::from).ok_or_else(|| wrong(value));
        let texts: Vec<String> = match self.value(field)? {
            Value::Array(values) => values.iter().map(text).collect::<Result<_>>()?,
            Value::Object(values) => values.values().map(text).collect::<Result<_>>()?,
            value => return Err(self.wrong(field, format!("is {}, not a list", kind(value)))),
        };
        match texts.is_empty() {
            true => Err(self.wrong(field, "is an empty list".into())),
            false => Ok(texts),
        }
    }

    /// An object within the document, as a document.
    ///
    /// # Errors
    ///
    /// If it is none, or missing.
    pub fn object(&self, field: &str) -> Result<Document> {
        match self.value(field)? {
            Value::Object(fields) => Ok(Self::new(fields.clone(), self.place.clone())),
            value => Err(self.wrong(field, format!("is {}, not an object", kind(value)))),
        }
    }

    /// A field that chooses one of `count` things: a number from `first`, as such or as a text.
    ///
    /// # Errors
    ///
    /// If it is none, out of range, or missing.
    pub fn index(&self, field: &str, first: i64, count: usize) -> Result<usize> {
        let value = self.value(field)?;
        let number = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let index = number.and_then(|number| usize::try_from(number - first).ok());
        index.filter(|index| *index < count).ok_or_else(|| {
            let last = first + count as i64 - 1;
            self.wrong(field, format!("is {value}, and a number from {first} to {last} is needed"))
        })
    }

    /// An error about a field.
    pub fn wrong(&self, field: &str, reason: String) -> TaskError {
        TaskError::Field { place: self.place.clone(), field: field.into(), reason }
    }

    /// An error of a document that is none of a task, whose documents have the fields `expected`.
    pub fn unlike(&self, task: &'static str, expected: &'static str) -> TaskError {
        let names: Vec<String> = self.fields.keys().map(|name| format!("`{name}`")).collect();
        let found = if names.is_empty() { "no fields".into() } else { names.join(", ") };
        TaskError::Form { place: self.place.clone(), task, found, expected }
    }

    fn value(&self, field: &str) -> Result<&Value> {
        self.fields.get(field).ok_or_else(|| self.wrong(field, "is missing".into()))
    }
}

/// Documents are equal that have the same fields, wherever they stand.
impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

/// What a value is, in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
