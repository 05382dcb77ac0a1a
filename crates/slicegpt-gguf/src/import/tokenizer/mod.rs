//! The tokenizer of a file as the files of a checkpoint: `tokenizer.json`, `tokenizer_config.json`
//! and `generation_config.json`.
//!
//! Two kinds are read, those that this crate writes: byte-level BPE (`gpt2`), whose words are split
//! by a rule that the file names, and SentencePiece's BPE (`llama`), whose merges follow from the
//! scores of its tokens.

mod byte_level;
mod parts;
mod sentence_piece;
mod tokens;

use serde_json::{Map, Value, json};

use super::config::ROLES;
use crate::error::{GgufError, Result};
use crate::file::GgufFile;
use tokens::Tokens;

/// A tokenizer as files.
#[derive(Clone, Debug, Default)]
pub struct TokenizerFiles {
    /// Names and contents.
    pub files: Vec<(&'static str, Value)>,
    /// What the files cannot say.
    pub notes: Vec<String>,
}

/// The tokenizer of `file`, for a model of `vocab_size` ids and a context of `context` tokens.
pub(super) fn files(
    file: &GgufFile,
    vocab_size: usize,
    context: usize,
    pre: Option<&str>,
) -> Result<TokenizerFiles> {
    let mut out = TokenizerFiles { files: vec![generation(file, vocab_size)?], notes: Vec::new() };
    let kind = file.text("tokenizer.ggml.model")?.unwrap_or("none");
    if kind == "none" {
        out.notes.push("the file has no tokenizer: the model takes token ids only".into());
        return Ok(out);
    }
    if !["gpt2", "llama"].contains(&kind) {
        let reason = format!(
            "its tokenizer is of kind `{kind}`; gpt2 (byte-level BPE) and llama (SentencePiece \
             BPE) are read"
        );
        return Err(GgufError::tokenizer(file.path(), reason));
    }
    let tokens = Tokens::read(file, vocab_size)?;
    let parts = match kind {
        "gpt2" => byte_level::parts(file, &tokens, pre)?,
        _ => sentence_piece::parts(file, &tokens)?,
    };
    let added: Vec<Value> = tokens.added(parts.strips_spaces);
    let json = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": around(file, &tokens, parts.begins)?,
        "decoder": parts.decoder,
        "model": parts.model,
    });
    out.files.push(("tokenizer.json", json));
    out.files.push(("tokenizer_config.json", config(file, &tokens, context)?));
    Ok(out)
}

/// The tokens that are put before and after a text.
fn around(file: &GgufFile, tokens: &Tokens<'_>, begins: bool) -> Result<Value> {
    let begins = file.flag("tokenizer.ggml.add_bos_token")?.unwrap_or(begins);
    let ends = file.flag("tokenizer.ggml.add_eos_token")?.unwrap_or(false);
    let token = |put: bool, key: &str| -> Result<Option<(String, usize)>> {
        let id = if put { file.count(key)? } else { None };
        // -1 in 32 bits is no token.
        let Some(id) = id.filter(|id| *id != u64::from(u32::MAX)) else { return Ok(None) };
        let id = usize::try_from(id).unwrap_or(usize::MAX);
        match tokens.text(id) {
            Some(text) => Ok(Some((text.to_string(), id))),
            None => Err(parts::wrong(file, &format!("`{key}` is {id}, which is no token"))),
        }
    };
    let first = token(begins, "tokenizer.ggml.bos_token_id")?;
    let last = token(ends, "tokenizer.ggml.eos_token_id")?;
    if first.is_none() && last.is_none() {
        return Ok(Value::Null);
    }
    let special = |token: &Option<(String, usize)>, sequence: usize| {
        token
            .as_ref()
            .map(|(text, _)| json!({ "SpecialToken": { "id": text, "type_id": sequence } }))
    };
    let one = |name: &str, sequence: usize| {
        let text = json!({ "Sequence": { "id": name, "type_id": sequence } });
        [special(&first, sequence), Some(text), special(&last, sequence)].into_iter().flatten()
    };
    let named = [&first, &last]
        .into_iter()
        .flatten()
        .map(|(text, id)| (text.clone(), json!({ "id": text, "ids": [id], "tokens": [text] })));
    Ok(json!({
        "type": "TemplateProcessing",
        "single": one("A", 0).collect::<Vec<_>>(),
        "pair": one("A", 0).chain(one("B", 1)).collect::<Vec<_>>(),
        "special_tokens": named.collect::<Map<String, Value>>(),
    }))
}

/// `tokenizer_config.json`: roles of tokens, and chat templates.
fn config(file: &GgufFile, tokens: &Tokens<'_>, context: usize) -> Result<Value> {
    let mut config = Map::new();
    config.insert("tokenizer_class".into(), "PreTrainedTokenizerFast".into());
    config.insert("clean_up_tokenization_spaces".into(), false.into());
    config.insert("model_max_length".into(), context.into());
    let unknown = [("unk", "tokenizer.ggml.unknown_token_id")];
    for (role, key) in ROLES.iter().chain(&unknown) {
        let id = file.count(key)?.and_then(|id| usize::try_from(id).ok());
        if let Some(text) = id.and_then(|id| tokens.text(id)) {
            config.insert(format!("{role}_token"), text.into());
        }
    }
    let default = file.text("tokenizer.chat_template")?;
    let named = file.texts("tokenizer.chat_templates")?.unwrap_or_default();
    let template = |name: &str| file.text(&format!("tokenizer.chat_template.{name}"));
    let mut list = Vec::new();
    for name in named {
        if let Some(template) = template(name)? {
            list.push(json!({ "name": name, "template": template }));
        }
    }
    let template = match default {
        Some(template) if list.is_empty() => Some(template.into()),
        Some(template) => {
            list.insert(0, json!({ "name": "default", "template": template }));
            Some(Value::Array(list))
        }
        None if list.is_empty() => None,
        None => Some(Value::Array(list)),
    };
    config.extend(template.map(|template| ("chat_template".to_string(), template)));
    Ok(Value::Object(config))
}

/// `generation_config.json`: where a text begins, and the tokens that end one.
fn generation(file: &GgufFile, vocab_size: usize) -> Result<(&'static str, Value)> {
    let id = |key: &str| -> Result<Option<u64>> {
        Ok(file.count(key)?.filter(|id| *id < vocab_size as u64))
    };
    let mut config = Map::new();
    for (role, key) in ROLES {
        if let Some(id) = id(key)? {
            config.insert(format!("{role}_token_id"), id.into());
        }
    }
    // The ends of a turn and of a message end an answer too.
    let mut ends: Vec<u64> = Vec::new();
    for key in ["eos_token_id", "eot_token_id", "eom_token_id"] {
        let end = id(&format!("tokenizer.ggml.{key}"))?;
        ends.extend(end.filter(|end| !ends.contains(end)));
    }
    if ends.len() > 1 {
        config.insert("eos_token_id".into(), ends.into());
    }
    Ok(("generation_config.json", Value::Object(config)))
}
