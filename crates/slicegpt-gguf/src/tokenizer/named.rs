//! What llama.cpp does to a tokenizer by the name of the model.
//!
//! In a model called Phi-3 the special tokens swallow the blanks behind them, but for some that it
//! must have, or it does not load.

use crate::{Value, Vocabulary};

/// Anywhere in the name, in any case, and how it is written so that it is not that.
const NAMES: [(&str, &str); 2] = [("phi-3", "phi 3"), ("phi3", "phi 3")];

/// The tokens that such a model must have.
const NEEDED: [&str; 4] = ["</s>", "<unk>", "<s>", "<|endoftext|>"];

/// The name with which the model loads, and what else there is to say about it.
pub(crate) fn fitting(name: &str, vocabulary: &Vocabulary) -> (String, Option<String>) {
    let tokens = vocabulary.metadata.iter().find_map(|(key, value)| match value {
        Value::Texts(texts) if key == "tokenizer.ggml.tokens" => Some(texts),
        _ => None,
    });
    let Some(tokens) = tokens else { return (name.into(), None) };
    let lower = name.to_lowercase();
    let is_named = NAMES.iter().any(|(part, _)| lower.contains(part));
    let missing =
        NEEDED.iter().find(|needed| !tokens.iter().any(|token| token == needed.as_bytes()));
    match (is_named, missing) {
        (true, Some(missing)) => {
            let name = NAMES.iter().fold(lower, |name, (part, other)| name.replace(part, other));
            let note = format!(
                "called `{name}` in the file: llama.cpp does not load a model of the other name without a \
                 token {missing}"
            );
            (name, Some(note))
        }
        (false, None) if vocabulary.swallows_blanks => {
            let note = "some special tokens swallow the blanks behind them, which llama.cpp does by the name of \
                        the model only: pass --name with `phi-3` in it";
            (name.into(), Some(note.into()))
        }
        (false, Some(_)) if vocabulary.swallows_blanks => {
            let note =
                "some special tokens swallow the blanks behind them, and do not in llama.cpp";
            (name.into(), Some(note.into()))
        }
        _ => (name.into(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, tokens: &[&str], swallows_blanks: bool, fits: &str, is_noted: bool) {
        let metadata = vec![("tokenizer.ggml.tokens".into(), Value::texts(tokens))];
        let vocabulary = Vocabulary { metadata, notes: Vec::new(), swallows_blanks };
        let (name, note) = fitting(name, &vocabulary);
        assert_eq!((name.as_str(), note.is_some()), (fits, is_noted));
    }

    #[test]
    fn the_name_never_keeps_a_model_from_loading() {
        check("My-Phi3-25", &["<s>", "</s>"], false, "my-phi 3-25", true);
        check("My-Phi-3-25", &NEEDED, true, "My-Phi-3-25", false);
        check("mine", &NEEDED, true, "mine", true);
        check("mine", &NEEDED, false, "mine", false);
        check("mine", &["<s>"], true, "mine", true);
    }
}
