//! [`Document`]: one JSON object of a data file, with typed access to its fields.

use serde_json::{Map, Value};

use crate::{Result, TaskError};

/// One JSON object of a data file, and its place in the file.
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

    /// Its place: file and line, or file and record.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Its fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// Whether it has all of `fields`.
    pub fn has(&self, fields: &[&str]) -> bool {
        fields.iter().all(|field| self.fields.contains_key(*field))
    }

    /// A field that is a string.
    ///
    /// # Errors
    ///
    /// If it is not a string, or missing.
    pub fn text(&self, field: &str) -> Result<&str> {
        let value = self.value(field)?;
        value.as_str().ok_or_else(|| self.wrong(field, format!("is {}, not a string", kind(value))))
    }

    /// A field that is a list of strings, or an object whose values are strings.
    ///
    /// # Errors
    ///
    /// If it is anything else, or empty.
    pub fn texts(&self, field: &str) -> Result<Vec<String>> {
        let wrong = |value: &Value| {
            self.wrong(field, format!("holds {} where a string is needed", kind(value)))
        };
        let text = |value: &Value| value.as_str().map(String::from).ok_or_else(|| wrong(value));
        let texts: Vec<String> = match self.value(field)? {
            Value::Array(values) => values.iter().map(text).collect::<Result<_>>()?,
            Value::Object(values) => values.values().map(text).collect::<Result<_>>()?,
            value => return Err(self.wrong(field, format!("is {}, not a list", kind(value)))),
        };
        if texts.is_empty() {
            return Err(self.wrong(field, "is an empty list".into()));
        }
        Ok(texts)
    }

    /// A field that is an object, as a document.
    ///
    /// # Errors
    ///
    /// If it is not an object, or missing.
    pub fn object(&self, field: &str) -> Result<Document> {
        match self.value(field)? {
            Value::Object(fields) => Ok(Self::new(fields.clone(), self.place.clone())),
            value => Err(self.wrong(field, format!("is {}, not an object", kind(value)))),
        }
    }

    /// A field that is the index of one of `count` choices: a number, or a string that holds one,
    /// counted from `first`. The result counts from 0.
    ///
    /// # Errors
    ///
    /// If it is not a number, out of range, or missing.
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

    /// An error about a document that does not have the fields `expected` by `task`.
    pub fn unlike(&self, task: &'static str, expected: &'static str) -> TaskError {
        let names: Vec<String> = self.fields.keys().map(|name| format!("`{name}`")).collect();
        let found = if names.is_empty() { "no fields".into() } else { names.join(", ") };
        TaskError::Form { place: self.place.clone(), task, found, expected }
    }

    fn value(&self, field: &str) -> Result<&Value> {
        self.fields.get(field).ok_or_else(|| self.wrong(field, "is missing".into()))
    }
}

/// Documents are equal if their fields are, wherever they come from.
impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

/// The type of a value, in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
