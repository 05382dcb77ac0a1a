//! Special tokens and the chat template, from `tokenizer_config.json`, `tokenizer.json` and
//! `config.json` in that order, as llama.cpp's converter reads them.

use std::path::Path;

use serde_json::{Map, Value as Json};
use slicegpt_chat::{ChatFiles, TemplateError};

use super::json::{TokenizerJson, kind, read_json, text};
use super::pieces::Piece;
use super::vocabulary::Vocabulary;
use crate::Value;
use crate::error::{GgufError, Result};

/// Roles of tokens: the name in configs, and llama.cpp's key for the id.
const ROLES: &[(&str, &str)] = &[
    ("bos", "bos_token_id"),
    ("eos", "eos_token_id"),
    ("unk", "unknown_token_id"),
    ("sep", "seperator_token_id"),
    ("pad", "padding_token_id"),
    ("mask", "mask_token_id"),
];

/// Adds the roles of tokens and the chat template to `vocabulary`, whose tokens are those of `json`
/// or `pieces`.
pub(super) fn complete(
    directory: &Path,
    mut vocabulary: Vocabulary,
    json: Option<&TokenizerJson>,
    pieces: &[Piece],
) -> Result<Vocabulary> {
    let optional = |name: &str| {
        let path = directory.join(name);
        if !path.is_file() {
            return Ok(Map::new());
        }
        read_json(&path).map(|json| json.as_object().cloned().unwrap_or_default())
    };
    let (tokenizer_config, config) = (optional("tokenizer_config.json")?, optional("config.json")?);
    let id = |token: &str| match json {
        Some(json) => json.id(token),
        None => pieces.iter().position(|piece| piece.text == token),
    };
    let template = json.map(Template::of).unwrap_or_default();
    let mut put = |key: &str, value: Value| {
        vocabulary.metadata.push((format!("tokenizer.ggml.{key}"), value));
    };
    let mut known = Vec::new();
    for (role, key) in ROLES {
        let named = tokenizer_config.get(&format!("{role}_token")).and_then(content);
        let named = named.or(match *role {
            "bos" => template.first.as_deref(),
            "eos" => template.last.as_deref(),
            _ => None,
        });
        let by_name = named.and_then(id);
        let by_number = || config.get(&format!("{role}_token_id"))?.as_u64().map(|id| id as usize);
        if let Some(id) = by_name.or_else(by_number) {
            put(key, Value::U32(id as u32));
            known.push((*role, id));
        }
    }
    let flag = |name: &str| tokenizer_config.get(name).and_then(Json::as_bool);
    let added = |role: &str, token: &Option<String>| {
        let own = known.iter().find(|(other, _)| *other == role).map(|(_, id)| *id);
        token.as_ref().map(|token| own.is_some() && id(token) == own)
    };
    let begins = added("bos", &template.first).or(template.silent.then_some(false));
    let begins = begins.or(flag("add_bos_token")).unwrap_or(json.is_none());
    let ends = added("eos", &template.last).or(template.silent.then_some(false));
    let ends = ends.or(flag("add_eos_token")).unwrap_or(false);
    put("add_bos_token", Value::Bool(begins));
    put("add_eos_token", Value::Bool(ends));
    for (token, is_added, position) in
        [(&template.first, begins, "before"), (&template.last, ends, "after")]
    {
        if let (Some(token), false) = (token, is_added) {
            vocabulary.notes.push(format!(
                "tokenizer.json puts {token:?} {position} a text, and llama.cpp does not"
            ));
        }
    }
    vocabulary.metadata.extend(chat_templates(directory)?);
    Ok(vocabulary)
}

/// The text of a token, which is a string or an object that holds one.
fn content(token: &Json) -> Option<&str> {
    token.as_str().or_else(|| text(token, "content"))
}

/// The tokens that a `tokenizer.json` puts around a text.
#[derive(Debug, Default, PartialEq)]
struct Template {
    first: Option<String>,
    last: Option<String>,
    /// Whether there is a post-processor that adds nothing.
    silent: bool,
}

impl Template {
    fn of(json: &TokenizerJson) -> Self {
        let mut template = Self { silent: !json.post_processors.is_empty(), ..Self::default() };
        for step in json.post_processors.iter().filter(|step| kind(step) == "TemplateProcessing") {
            let single = step.get("single").and_then(Json::as_array);
            let single = single.map_or(&[][..], Vec::as_slice);
            let token = |item: Option<&Json>| {
                item.and_then(|item| text(item.get("SpecialToken")?, "id")).map(str::to_string)
            };
            if single.len() > 1 {
                (template.first, template.last) = (token(single.first()), token(single.last()));
            }
        }
        template
    }
}

/// The chat template, or several named ones.
fn chat_templates(directory: &Path) -> Result<Vec<(String, Value)>> {
    let unreadable = |error: TemplateError| GgufError::Unsupported { reason: error.to_string() };
    let templates = ChatFiles::read(directory).map_err(unreadable)?.templates;
    let names: Vec<String> = templates.iter().map(|(name, _)| name.clone()).collect();
    let names: Vec<String> = names.into_iter().filter(|name| name != "default").collect();
    let mut metadata: Vec<(String, Value)> = templates
        .into_iter()
        .map(|(name, template)| match name.as_str() {
            "default" => ("tokenizer.chat_template".to_string(), Value::Text(template)),
            _ => (format!("tokenizer.chat_template.{name}"), Value::Text(template)),
        })
        .collect();
    if !names.is_empty() {
        metadata.push(("tokenizer.chat_templates".into(), Value::texts(names)));
    }
    Ok(metadata)
}
