//! [`tojson`]: JSON as Python writes it, for templates.

use std::fmt::Write;

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};
use serde_json::Value as Json;

/// The filter `tojson` with the arguments that transformers gives it: those of Python's `json.dumps`,
/// where other characters than ASCII are written as they are. Nothing is escaped for HTML.
pub fn tojson(value: &Value, options: Kwargs) -> Result<String, Error> {
    let ascii = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    let indent = options.get::<Option<Value>>("indent")?.map(indent).transpose()?;
    let separators = options.get::<Option<Vec<String>>>("separators")?;
    let sorted = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    options.assert_all_used()?;
    let failed = |error| Error::new(ErrorKind::BadSerialization, format!("tojson: {error}"));
    let mut json = serde_json::to_value(value).map_err(failed)?;
    if sorted {
        json.sort_all_objects();
    }
    // No space stands at the end of a line.
    let between = if indent.is_some() { "," } else { ", " };
    let [between, behind_key] = match separators {
        None => [between.into(), ": ".into()],
        Some(two) => two.try_into().map_err(|_| {
            Error::new(ErrorKind::InvalidOperation, "tojson: separators are two strings")
        })?,
    };
    let mut writer = Writer { text: String::new(), depth: 0, indent, between, behind_key, ascii };
    writer.value(&json);
    Ok(writer.text)
}

/// What a line is indented with: a text, or so many spaces.
fn indent(value: Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.into()),
        None => Ok(" ".repeat(u8::try_from(value)?.into())),
    }
}

struct Writer {
    text: String,
    depth: usize,
    indent: Option<String>,
    between: String,
    behind_key: String,
    ascii: bool,
}

impl Writer {
    fn value(&mut self, json: &Json) {
        match json {
            Json::String(text) => self.string(text),
            Json::Array(values) => {
                self.list('[', values, ']', |writer, value| writer.value(value));
            }
            Json::Object(fields) => self.list('{', fields, '}', |writer, (key, value)| {
                writer.string(key);
                writer.text.push_str(&writer.behind_key);
                writer.value(value);
            }),
            plain => self.text.push_str(&plain.to_string()),
        }
    }

    fn list<T>(
        &mut self,
        open: char,
        items: impl IntoIterator<Item = T>,
        close: char,
        one: impl Fn(&mut Self, T),
    ) {
        self.text.push(open);
        self.depth += 1;
        let mut first = true;
        for item in items {
            if !std::mem::take(&mut first) {
                self.text.push_str(&self.between);
            }
            self.line();
            one(self, item);
        }
        self.depth -= 1;
        if !first {
            self.line();
        }
        self.text.push(close);
    }

    fn line(&mut self) {
        if let Some(indent) = &self.indent {
            self.text.push('\n');
            self.text.push_str(&indent.repeat(self.depth));
        }
    }

    fn string(&mut self, text: &str) {
        let written = Json::from(text).to_string();
        if !self.ascii {
            return self.text.push_str(&written);
        }
        for character in written.chars() {
            match character.is_ascii() {
                true => self.text.push(character),
                false => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                    // A string takes everything.
                    let _ = write!(self.text, "\\u{unit:04x}");
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use minijinja::value::Serde;
    use minijinja::{Environment, context};

    use super::*;

    fn render(source: &str) -> Result<String, Error> {
        let mut environment = Environment::new();
        environment.add_filter("tojson", tojson);
        let values: Json = serde_json::from_str(
            r#"{"x": {"b": "<é&'😀\n\">", "a": [1, 2.5, null, true, {}, []]}}"#,
        )
        .unwrap();
        environment.render_str(source, context! { x => Serde(&values["x"]) })
    }

    /// What Python's `json.dumps` says with these arguments.
    #[test]
    fn it_is_what_python_writes() {
        for (source, want) in [
            ("{{ x | tojson }}", r#"{"b": "<é&'😀\n\">", "a": [1, 2.5, null, true, {}, []]}"#),
            (
                "{{ x | tojson(ensure_ascii=true, sort_keys=true) }}",
                r#"{"a": [1, 2.5, null, true, {}, []], "b": "<\u00e9&'\ud83d\ude00\n\">"}"#,
            ),
            ("{{ x.a | tojson(separators=(',', ':')) }}", "[1,2.5,null,true,{},[]]"),
            (
                "{{ [1, {'k': [2]}] | tojson(indent=2) }}",
                "[\n  1,\n  {\n    \"k\": [\n      2\n    ]\n  }\n]",
            ),
            ("{{ [1] | tojson(indent='\t') }}", "[\n\t1\n]"),
            ("{{ '</b>' | tojson }}", "\"</b>\""),
        ] {
            assert_eq!(render(source).unwrap(), want, "{source}");
        }
        assert!(render("{{ x | tojson(depth=2) }}").is_err());
        assert!(render("{{ x | tojson(indent=-1) }}").is_err());
    }
}
