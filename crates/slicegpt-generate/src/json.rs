//! [`tojson`]: the Jinja filter that writes JSON as Python does.

use std::fmt::Write;

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};
use serde_json::Value as Json;

/// The filter `tojson` as in transformers: the arguments of Python's `json.dumps`, with
/// `ensure_ascii` false by default. Nothing is escaped for HTML.
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
    // With an indent, a space would be left at the end of each line.
    let separator = if indent.is_some() { "," } else { ", " };
    let [item_separator, key_separator] = match separators {
        None => [separator.into(), ": ".into()],
        Some(two) => two.try_into().map_err(|_| {
            Error::new(ErrorKind::InvalidOperation, "tojson: separators are two strings")
        })?,
    };
    let text = String::new();
    let mut writer = JsonWriter { text, depth: 0, indent, item_separator, key_separator, ascii };
    writer.value(&json);
    Ok(writer.text)
}

/// The indent of a level: a string, or a number of spaces.
fn indent(value: Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.into()),
        None => Ok(" ".repeat(u8::try_from(value)?.into())),
    }
}

struct JsonWriter {
    text: String,
    depth: usize,
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    ascii: bool,
}

impl JsonWriter {
    fn value(&mut self, json: &Json) {
        match json {
            Json::String(text) => self.string(text),
            Json::Array(values) => {
                self.list('[', values, ']', |writer, value| writer.value(value));
            }
            Json::Object(fields) => self.list('{', fields, '}', |writer, (key, value)| {
                writer.string(key);
                writer.text.push_str(&writer.key_separator);
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
                self.text.push_str(&self.item_separator);
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
            if character.is_ascii() {
                self.text.push(character);
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(self.text, "\\u{unit:04x}");
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

    /// The expected values are those of Python's `json.dumps` with these arguments.
    #[test]
    fn the_json_equals_that_of_python() {
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
