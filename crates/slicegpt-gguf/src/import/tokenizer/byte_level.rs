//! Byte-level BPE (`gpt2`): tokens and merges as they are, and the rule that splits words by its
//! name.

use serde_json::{Value, json};

use super::parts::{Parts, wrong};
use super::tokens::Tokens;
use crate::error::{GgufError, Result};
use crate::file::GgufFile;
use crate::tokenizer::pre;

/// Rules whose tokenizers compose characters (NFC), which a file does not say.
const COMPOSES: [&str; 2] = ["qwen2", "qwen35"];

/// Rules with which texts begin with BOS unless the file says otherwise.
const BEGINS: [&str; 2] = ["llama-bpe", "tekken"];

pub(super) fn parts(file: &GgufFile, tokens: &Tokens<'_>, pre: Option<&str>) -> Result<Parts> {
    let name = pre.or(file.text("tokenizer.ggml.pre")?);
    let Some(rule) = name.and_then(pre::rule) else {
        return Err(GgufError::PreTokenizerName {
            path: file.path().into(),
            found: name.unwrap_or("(none is named)").into(),
            known: pre::names().join(", "),
        });
    };
    let Some(merges) = file.texts("tokenizer.ggml.merges")? else {
        return Err(wrong(file, "`tokenizer.ggml.merges` is missing"));
    };
    let mut pairs = Vec::with_capacity(merges.len());
    for merge in merges {
        // The first part may be a space, in tokenizers that are not quite byte-level.
        let space = merge.char_indices().skip(1).find(|(_, c)| *c == ' ').map(|(at, _)| at);
        let pair = space.map(|at| (&merge[..at], &merge[at + 1..]));
        let known = pair.filter(|(left, right)| {
            let merged = [*left, *right].concat();
            [*left, *right, &merged].iter().all(|part| tokens.id(part).is_some())
        });
        let Some((left, right)) = known else {
            return Err(wrong(file, &format!("merge {merge:?} is not of two tokens into one")));
        };
        pairs.push((left, right));
    }
    // Older readers know merges as one text only, in which a part cannot have a space.
    let has_space = pairs.iter().any(|(left, right)| left.contains(' ') || right.contains(' '));
    let merges: Vec<Value> = if has_space {
        pairs.iter().map(|(left, right)| json!([left, right])).collect()
    } else {
        pairs.iter().map(|(left, right)| format!("{left} {right}").into()).collect()
    };
    let composes = COMPOSES.contains(&rule.name);
    let byte_level = json!({
        "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true,
    });
    Ok(Parts {
        normalizer: if composes { json!({ "type": "NFC" }) } else { Value::Null },
        pre_tokenizer: json!({ "type": "Sequence", "pretokenizers": rule.steps() }),
        decoder: byte_level,
        model: json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": rule.ignores_merges,
            "vocab": tokens.vocab(),
            "merges": merges,
        }),
        begins: BEGINS.contains(&rule.name),
        strips_spaces: false,
    })
}
