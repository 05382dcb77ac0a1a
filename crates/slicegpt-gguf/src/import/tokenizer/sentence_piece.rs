//! SentencePiece's BPE (`llama`). It merges the two neighbours whose union has the highest score;
//! the merges of `tokenizer.json` are all such pairs, the highest score first.

use serde_json::{Value, json};

use super::parts::{Parts, wrong};
use super::tokens::{Kind, Tokens};
use crate::error::Result;
use crate::file::GgufFile;

/// The longest token that is a result of merges, in bytes. SentencePiece makes none of more than 16
/// characters unless it is told to; the time to find merges grows with the square of this.
const LONGEST: usize = 256;

pub(super) fn parts(file: &GgufFile, tokens: &Tokens<'_>) -> Result<Parts> {
    let scores = file.numbers("tokenizer.ggml.scores")?;
    let Some(scores) = scores.filter(|scores| scores.len() == tokens.len()) else {
        return Err(wrong(file, "`tokenizer.ggml.scores` does not have a score for each token"));
    };
    let unknown = tokens.first(Kind::Unknown);
    let prefix = file.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let space = json!({
        "type": "Replace", "pattern": { "String": " " }, "content": "\u{2581}",
    });
    let prepend = json!({ "type": "Prepend", "prepend": "\u{2581}" });
    let normalizers: Vec<Value> = if prefix { vec![prepend, space] } else { vec![space] };
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": "\u{2581}" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if prefix {
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    // llama.cpp strips spaces in models of this name.
    let name = file.text("general.name")?.unwrap_or_default().to_lowercase();
    Ok(Parts {
        normalizer: json!({ "type": "Sequence", "normalizers": normalizers }),
        pre_tokenizer: Value::Null,
        decoder: json!({ "type": "Sequence", "decoders": decoders }),
        model: json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": unknown,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": tokens.first(Kind::Byte).is_some(),
            "ignore_merges": false,
            "vocab": tokens.vocab(),
            "merges": merges(tokens, &scores),
        }),
        begins: true,
        strips_spaces: name.contains("phi-3") || name.contains("phi3"),
    })
}

/// All pairs of tokens whose union is a token: the highest score of the union first, then the
/// longest first part, then the longest second part.
fn merges(tokens: &Tokens<'_>, scores: &[f32]) -> Vec<Value> {
    let mut pairs: Vec<(f32, &str, &str)> = Vec::new();
    let is_part =
        |text: &str| tokens.id(text).is_some_and(|id| matches!(tokens.kind(id), Kind::Normal));
    let results = tokens.used().filter(|(id, text)| {
        tokens.kind(*id) == Kind::Normal && text.len() <= LONGEST && !scores[*id].is_nan()
    });
    for (id, text) in results {
        for (at, _) in text.char_indices().skip(1) {
            let (left, right) = text.split_at(at);
            if is_part(left) && is_part(right) {
                pairs.push((scores[id], left, right));
            }
        }
    }
    let length = |text: &str| text.chars().count();
    pairs.sort_by(|a, b| {
        let by_length = || length(b.1).cmp(&length(a.1)).then(length(b.2).cmp(&length(a.2)));
        b.0.total_cmp(&a.0).then_with(by_length)
    });
    let has_space = pairs.iter().any(|(_, left, right)| left.contains(' ') || right.contains(' '));
    let merge = |(_, left, right): &(f32, &str, &str)| {
        if has_space { json!([left, right]) } else { format!("{left} {right}").into() }
    };
    pairs.iter().map(merge).collect()
}
