//! Reads templates with their variables, one JSON object a line, and writes what they give.
//!
//! `cargo xtask interop` compares the results with those of Jinja in Python.

use std::io::{BufRead, Write};

use serde_json::{Value, json};
use slicegpt_chat::Jinja;

fn main() -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let case: Value = serde_json::from_str(&line?)?;
        let source = case["template"].as_str().unwrap_or_default();
        let empty = serde_json::Map::new();
        let variables = case["variables"].as_object().unwrap_or(&empty);
        let variables: Vec<_> = variables.iter().map(|(name, value)| (&**name, value)).collect();
        let result = match Jinja::new(source).and_then(|template| template.render(&variables)) {
            Ok(text) => json!({ "text": text }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        writeln!(output, "{result}")?;
    }
    Ok(())
}
