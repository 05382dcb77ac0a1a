//! [`Fields`]: the fields of a JSON object, taken out one by one and checked.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::error::ApiError;

type Result<T> = std::result::Result<T, ApiError>;

/// The fields of a JSON object that have not been taken yet. A null field counts as absent.
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Parses the body of a request.
    pub fn parse(body: &[u8]) -> Result<Self> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self::new(fields)),
            Ok(other) => Err(ApiError::malformed_body(format!(
                "the body must be a JSON object, not {}",
                kind(&other)
            ))),
            Err(error) => {
                Err(ApiError::malformed_body(format!("the body is not valid JSON: {error}")))
            }
        }
    }

    /// The fields of an object.
    pub fn new(mut fields: Map<String, Value>) -> Self {
        fields.retain(|_, value| !value.is_null());
        Self(fields)
    }

    /// The value of a field.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// A string.
    pub fn string(&mut self, name: &str) -> Result<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(name, "a string", &other)),
        }
    }

    /// A boolean; false if absent.
    pub fn flag(&mut self, name: &str) -> Result<bool> {
        Ok(self.boolean(name)?.unwrap_or(false))
    }

    /// A boolean.
    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong_type(name, "true or false", &other)),
        }
    }

    /// A number in a range.
    pub fn number(&mut self, name: &str, range: RangeInclusive<f32>) -> Result<Option<f32>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_f64().ok_or_else(|| wrong_type(name, "a number", &value))?;
        // A number too large for a float32 becomes infinite, and so is out of range.
        match number as f32 {
            number if range.contains(&number) => Ok(Some(number)),
            _ => Err(out_of_range(name, &value, range.start(), range.end())),
        }
    }

    /// An integer in a range.
    pub fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        if !value.is_i64() && !value.is_u64() {
            return Err(wrong_type(name, "a whole number", &value));
        }
        match value.as_i64() {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(out_of_range(name, &value, range.start(), range.end())),
        }
    }

    /// A count from `min` to `max`.
    pub fn count(&mut self, name: &str, min: usize, max: usize) -> Result<Option<usize>> {
        let number = self.integer(name, min as i64..=max as i64)?;
        Ok(number.map(|number| number as usize))
    }

    /// A string, or a list of at most `max` strings.
    pub fn strings(&mut self, name: &str, max: usize) -> Result<Vec<String>> {
        let expected = "a string or an array of strings";
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(texts)) if texts.len() > max => Err(ApiError::invalid(
                name,
                "invalid_value",
                format!("'{name}' has {} strings; {max} at most", texts.len()),
            )),
            Some(Value::Array(texts)) => texts
                .into_iter()
                .map(|text| match text {
                    Value::String(text) => Ok(text),
                    other => Err(wrong_type(name, expected, &other)),
                })
                .collect(),
            Some(other) => Err(wrong_type(name, expected, &other)),
        }
    }

    /// Takes a field that this server supports only with one of the values `allowed`. `why` is the
    /// reason, for the error.
    pub fn fixed(&mut self, name: &str, allowed: &[Value], why: &str) -> Result<()> {
        match self.take(name) {
            Some(value) if !allowed.contains(&value) => Err(ApiError::unsupported(name, why)),
            _ => Ok(()),
        }
    }

    /// Drops fields that do not affect the response.
    pub fn ignore(&mut self, names: &[&str]) {
        names.iter().for_each(|name| drop(self.take(name)));
    }

    /// Drops the fields for which `is` holds.
    pub fn leave_out(&mut self, is: impl Fn(&str, &Value) -> bool) {
        self.0.retain(|name, value| !is(name, value));
    }

    /// Refuses a field that has not been taken: it would otherwise be ignored silently.
    ///
    /// # Errors
    ///
    /// If any field is left.
    pub fn finish(self) -> Result<()> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(ApiError::invalid(
                name,
                "unknown_parameter",
                format!("Unrecognized request argument supplied: {name}"),
            )),
        }
    }
}

/// An error about a field whose type is not the `expected` one.
pub fn wrong_type(name: &str, expected: &str, found: &Value) -> ApiError {
    let message = format!("'{name}' must be {expected}, not {}", kind(found));
    ApiError::invalid(name, "invalid_type", message)
}

fn out_of_range(
    name: &str,
    found: &Value,
    min: &dyn std::fmt::Display,
    max: &dyn std::fmt::Display,
) -> ApiError {
    let message = format!("'{name}' must be from {min} to {max}, not {found}");
    ApiError::invalid(name, "invalid_value", message)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
