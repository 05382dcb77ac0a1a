//! The name of the model in the file, because llama.cpp changes the tokenizer by it.
//!
//! In a model with Phi-3 in its name, special tokens consume the spaces after them. llama.cpp
//! expects certain tokens in such a model, and does not load it without them.

use crate::{Value, Vocabulary};

/// Names that llama.cpp looks for, anywhere and in any case, and what is written to avoid them.
const NAMES: [(&str, &str); 2] = [("phi-3", "phi 3"), ("phi3", "phi 3")];

/// Tokens without which such a model does not load.
const NEEDED: [&str; 4] = ["</s>", "<unk>", "<s>", "<|endoftext|>"];

/// A name with which the model loads, and a note about it.
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
                "named `{name}` in the file: llama.cpp does not load a model of the other name \
                 without a token {missing}"
            );
            (name, Some(note))
        }
        (false, None) if vocabulary.strips_spaces => {
            let note = "some special tokens consume the spaces after them; llama.cpp does that \
                        only for models with `phi-3` in their name: give the model such a name";
            (name.into(), Some(note.into()))
        }
        (false, Some(_)) if vocabulary.strips_spaces => {
            let note = "some special tokens consume the spaces after them, and do not in llama.cpp";
            (name.into(), Some(note.into()))
        }
        _ => (name.into(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, tokens: &[&str], strips_spaces: bool, fits: &str, is_noted: bool) {
        let metadata = vec![("tokenizer.ggml.tokens".into(), Value::texts(tokens))];
        let vocabulary = Vocabulary { metadata, notes: Vec::new(), strips_spaces };
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
