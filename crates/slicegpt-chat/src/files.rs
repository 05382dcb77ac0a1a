//! [`ChatFiles`]: the chat templates and special tokens that a checkpoint directory has.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::budget::MAX_BYTES;
use crate::error::TemplateError;

/// The folder of the templates that are not the default one.
const MORE_TEMPLATES: &str = "additional_chat_templates";

/// The chat templates and special tokens of a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct ChatFiles {
    /// The sources of the templates by name.
    ///
    /// As in transformers, `chat_template.jinja` and the files of `additional_chat_templates` go
    /// before what `tokenizer_config.json` says.
    pub templates: Vec<(String, String)>,
    /// The variables that special tokens are in: `bos_token` and its like, each a text, and
    /// `additional_special_tokens`, a list.
    pub special_tokens: Map<String, Value>,
}

impl ChatFiles {
    /// Reads the files of checkpoint `directory`.
    ///
    /// # Errors
    ///
    /// If a file that is there cannot be read.
    pub fn read(directory: &Path) -> Result<Self, TemplateError> {
        let config = read_json(&directory.join("tokenizer_config.json"))?;
        let mut templates = Vec::new();
        if let Some(source) = read_text(&directory.join("chat_template.jinja"), MAX_BYTES as u64)? {
            templates.push(("default".to_string(), source));
        }
        for path in more_templates(&directory.join(MORE_TEMPLATES))? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(source) = read_text(&path, MAX_BYTES as u64)? {
                templates.push((name, source));
            }
        }
        let mut add = |stored: Vec<(String, String)>| {
            for (name, source) in stored {
                if templates.iter().all(|(other, _)| *other != name) {
                    templates.push((name, source));
                }
            }
        };
        add(named(config.get("chat_template")));
        if templates.is_empty() {
            let processor = read_json(&directory.join("chat_template.json"))?;
            templates = named(processor.get("chat_template"));
        }
        let map = if config.contains_key("added_tokens_decoder") {
            // Then transformers does not read the older file.
            Map::new()
        } else {
            read_json(&directory.join("special_tokens_map.json"))?
        };
        let special_tokens = special_tokens(config.into_iter().chain(map));
        Ok(Self { templates, special_tokens })
    }

    /// The source of the template that a conversation goes through.
    ///
    /// # Errors
    ///
    /// If there are several and none is the default one.
    pub fn default_template(&self) -> Result<Option<&str>, TemplateError> {
        let default = self.templates.iter().find(|(name, _)| name == "default");
        match (default, &self.templates[..]) {
            (Some((_, source)), _) => Ok(Some(source)),
            (None, []) => Ok(None),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|(name, _)| &**name).collect();
                Err(TemplateError::NoDefault(names.join(", ")))
            }
        }
    }
}

/// A template, or several by name.
fn named(value: Option<&Value>) -> Vec<(String, String)> {
    match value {
        Some(Value::String(source)) => vec![("default".into(), source.clone())],
        Some(Value::Array(list)) => {
            let text = |entry: &Value, key: &str| Some(entry.get(key)?.as_str()?.to_string());
            let one = |entry: &Value| Some((text(entry, "name")?, text(entry, "template")?));
            list.iter().filter_map(one).collect()
        }
        _ => Vec::new(),
    }
}

/// The special tokens among the fields of configs; a later field replaces an earlier one.
fn special_tokens(fields: impl Iterator<Item = (String, Value)>) -> Map<String, Value> {
    let mut tokens = Map::new();
    for (name, value) in fields {
        if name == "additional_special_tokens" {
            let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
            let list: Vec<Value> = list.iter().filter_map(content).map(Value::from).collect();
            if !list.is_empty() {
                tokens.insert(name, list.into());
            }
        } else if name.ends_with("_token")
            && let Some(text) = content(&value)
        {
            tokens.insert(name, text.into());
        }
    }
    tokens
}

/// The text of a token: a string, or an object that holds one.
fn content(token: &Value) -> Option<&str> {
    match token {
        Value::String(text) => Some(text),
        Value::Object(fields) => fields.get("content")?.as_str(),
        _ => None,
    }
}

fn more_templates(folder: &Path) -> Result<Vec<PathBuf>, TemplateError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(folder, error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| failed(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "jinja") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read_json(path: &Path) -> Result<Map<String, Value>, TemplateError> {
    let Some(text) = read_text(path, slicegpt_limits::MAX_DESCRIPTION)? else {
        return Ok(Map::new());
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(failed(path, "not a JSON object")),
        Err(error) => Err(failed(path, error)),
    }
}

/// The text of a file of at most `most` bytes, if it is there.
pub fn read_text(path: &Path, most: u64) -> Result<Option<String>, TemplateError> {
    match slicegpt_limits::read_text(path, most) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, error)),
    }
}

fn failed(path: &Path, reason: impl ToString) -> TemplateError {
    TemplateError::File(path.display().to_string(), reason.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn files(files: &[(&str, &str)]) -> Result<ChatFiles, TemplateError> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        ChatFiles::read(directory.path())
    }

    fn default(given: &[(&str, &str)]) -> Option<String> {
        files(given).unwrap().default_template().unwrap().map(str::to_string)
    }

    #[test]
    fn one_template_is_chosen_as_in_transformers() {
        let config = ("tokenizer_config.json", r#"{"chat_template": "config"}"#);
        let file = ("chat_template.jinja", "file");
        let older = ("chat_template.json", r#"{"chat_template": "older"}"#);
        assert_eq!(default(&[]), None);
        assert_eq!(default(&[older]).as_deref(), Some("older"));
        assert_eq!(default(&[config, older]).as_deref(), Some("config"));
        assert_eq!(default(&[config, file, older]).as_deref(), Some("file"));
        let more = ("additional_chat_templates/tool_use.jinja", "tools");
        let both = files(&[file, more]).unwrap().templates;
        let named = |name: &str, source: &str| (name.to_string(), source.to_string());
        assert_eq!(both, [named("default", "file"), named("tool_use", "tools")]);
    }

    #[test]
    fn of_several_templates_one_must_be_the_default() {
        let several = |names: [&str; 2]| {
            let entry = |name: &str| json!({"name": name, "template": format!("as {name}")});
            json!({"chat_template": names.map(entry)}).to_string()
        };
        let chosen = several(["tool_use", "default"]);
        let chosen = default(&[("tokenizer_config.json", &chosen)]);
        assert_eq!(chosen.as_deref(), Some("as default"));
        let none = several(["tool_use", "rag"]);
        let none = files(&[("tokenizer_config.json", &none)]).unwrap();
        assert!(none.default_template().unwrap_err().to_string().contains("tool_use, rag"));
    }

    #[test]
    fn special_tokens_are_texts_or_objects() {
        let config = r#"{"bos_token": "<b>", "eos_token": {"content": "<e>", "special": true},
            "pad_token": null, "unk_token": "<u>", "image_token": "<i>", "add_bos_token": true,
            "additional_special_tokens": ["<x>", {"content": "<y>"}]}"#;
        let map = r#"{"unk_token": {"content": "<unk>"}, "pad_token": "<p>"}"#;
        let given = [("tokenizer_config.json", config), ("special_tokens_map.json", map)];
        let want = json!({"bos_token": "<b>", "eos_token": "<e>", "unk_token": "<unk>",
            "image_token": "<i>", "additional_special_tokens": ["<x>", "<y>"], "pad_token": "<p>"});
        assert_eq!(Value::from(files(&given).unwrap().special_tokens), want);
        // With this field, transformers takes nothing from the older file.
        let newer = config.replacen('{', r#"{"added_tokens_decoder": {}, "#, 1);
        let given = [("tokenizer_config.json", &*newer), ("special_tokens_map.json", map)];
        let tokens = files(&given).unwrap().special_tokens;
        assert_eq!((tokens.get("pad_token"), &tokens["unk_token"]), (None, &json!("<u>")));
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        for (name, text) in [
            ("tokenizer_config.json", "{"),
            ("tokenizer_config.json", "[]"),
            ("special_tokens_map.json", "nope"),
            ("chat_template.json", "{"),
            ("chat_template.jinja/x", ""),
        ] {
            let error = files(&[(name, text)]).unwrap_err().to_string();
            let name = name.trim_end_matches("/x");
            assert!(error.contains(&format!("{name}: ")), "{error}");
        }
    }
}
