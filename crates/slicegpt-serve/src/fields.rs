//! [`Fields`]: the fields of a JSON body, taken out one by one and checked.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::error::ApiError;

type Result<T> = std::result::Result<T, ApiError>;

/// The fields of a JSON body that nobody has taken yet. Null is as good as absent.
pub struct Fields(Map<String, Value>);

impl Fields {
    /// The fields of `body`.
    pub fn parse(body: &[u8]) -> Result<Self> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self::new(fields)),
            Ok(other) => Err(ApiError::no_request(format!(
                "the body must be a JSON object, not {}",
                kind(&other)
            ))),
            Err(error) => Err(ApiError::no_request(format!("the body is not valid JSON: {error}"))),
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
    pub fn text(&mut self, name: &str) -> Result<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(name, "a string", &other)),
        }
    }

    /// True or false; false where it is absent.
    pub fn flag(&mut self, name: &str) -> Result<bool> {
        Ok(self.choice(name)?.unwrap_or(false))
    }

    /// True or false.
    pub fn choice(&mut self, name: &str) -> Result<Option<bool>> {
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
        // Written so that a number too large for a float32 is outside.
        match number as f32 {
            number if range.contains(&number) => Ok(Some(number)),
            _ => Err(outside(name, &value, range.start(), range.end())),
        }
    }

    /// A whole number in a range.
    pub fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        if !value.is_i64() && !value.is_u64() {
            return Err(wrong_type(name, "a whole number", &value));
        }
        match value.as_i64() {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(outside(name, &value, range.start(), range.end())),
        }
    }

    /// A count, `least` or more.
    pub fn count(&mut self, name: &str, least: usize, most: usize) -> Result<Option<usize>> {
        let number = self.integer(name, least as i64..=most as i64)?;
        Ok(number.map(|number| number as usize))
    }

    /// A string, or `most` of them at most.
    pub fn texts(&mut self, name: &str, most: usize) -> Result<Vec<String>> {
        let needed = "a string or an array of strings";
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(texts)) if texts.len() > most => Err(ApiError::invalid(
                name,
                "invalid_value",
                format!("'{name}' has {} strings; {most} at most", texts.len()),
            )),
            Some(Value::Array(texts)) => texts
                .into_iter()
                .map(|text| match text {
                    Value::String(text) => Ok(text),
                    other => Err(wrong_type(name, needed, &other)),
                })
                .collect(),
            Some(other) => Err(wrong_type(name, needed, &other)),
        }
    }

    /// What this server does in one way only: `allowed` are the values that ask for that.
    pub fn fixed(&mut self, name: &str, allowed: &[Value], why: &str) -> Result<()> {
        match self.take(name) {
            Some(value) if !allowed.contains(&value) => Err(ApiError::unsupported(name, why)),
            _ => Ok(()),
        }
    }

    /// Fields that change nothing of an answer.
    pub fn ignore(&mut self, names: &[&str]) {
        names.iter().for_each(|name| drop(self.take(name)));
    }

    /// Whatever nobody has taken would have been ignored.
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

/// A field of another type than `needed`.
pub fn wrong_type(name: &str, needed: &str, found: &Value) -> ApiError {
    let message = format!("'{name}' must be {needed}, not {}", kind(found));
    ApiError::invalid(name, "invalid_type", message)
}

fn outside(
    name: &str,
    found: &Value,
    least: &dyn std::fmt::Display,
    most: &dyn std::fmt::Display,
) -> ApiError {
    let message = format!("'{name}' must be from {least} to {most}, not {found}");
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
