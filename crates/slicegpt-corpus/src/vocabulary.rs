//! [`Vocabulary`]: the tokenizer of a checkpoint, text to token ids and back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tokenizers::{Encoding, Tokenizer};

use crate::error::{CorpusError, Result};
use crate::{merge_files, tokenizer_file};

/// The tokenizer of a checkpoint, from its `tokenizer.json`, or its `vocab.json` and `merges.txt`.
pub struct Vocabulary {
    tokenizer: Tokenizer,
    path: PathBuf,
}

impl Vocabulary {
    /// Reads `tokenizer.json` in `directory`, or `vocab.json` and `merges.txt`, which are those of
    /// GPT-2's tokenizer. Settings for truncation and padding are ignored.
    ///
    /// # Errors
    ///
    /// If the files are missing or invalid, or ask for more than any known tokenizer needs.
    pub fn open(directory: &Path) -> Result<Self> {
        let path = directory.join("tokenizer.json");
        let (path, bytes) = if path.exists() {
            let bytes = slicegpt_limits::read(&path, slicegpt_limits::MAX_TOKENIZER);
            (path.clone(), bytes.map_err(CorpusError::io(path))?)
        } else {
            match merge_files::tokenizer_json(directory)? {
                Some(json) => (directory.join("vocab.json"), json.to_string().into_bytes()),
                None if directory.join("tokenizer.model").exists() => {
                    return Err(CorpusError::OnlyTokenizerModel { directory: directory.into() });
                }
                None => return Err(CorpusError::NoTokenizer(directory.into())),
            }
        };
        // Checked first: the library trusts the file, and a truncated one gets a clearer message.
        let tokenizer = tokenizer_file::check(&bytes).and_then(|()| {
            guarded(|| {
                let mut tokenizer = Tokenizer::from_bytes(bytes)?;
                tokenizer.with_truncation(None)?.with_padding(None);
                Ok(tokenizer)
            })
        });
        match tokenizer {
            Ok(tokenizer) => Ok(Self { tokenizer, path }),
            Err(reason) => Err(CorpusError::Tokenizer { path, reason }),
        }
    }

    /// The ids of `text`, with the special tokens that the tokenizer puts before and after it.
    ///
    /// The text may have any length. Time and memory are proportional to it: a few seconds and a
    /// gigabyte for 5 MB.
    ///
    /// # Errors
    ///
    /// If the tokenizer fails, for instance on a character without a token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.run(text, true)?.get_ids().to_vec())
    }

    /// The ids of a text to be continued: with the special tokens that the tokenizer puts before a
    /// text, but without those it puts after one.
    ///
    /// # Errors
    ///
    /// As [`Vocabulary::encode`].
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>> {
        let (mut ids, inner) = self.encode_start(text)?;
        ids.extend(inner);
        Ok(ids)
    }

    /// The text of `ids`, without special tokens. Unknown ids have no text.
    ///
    /// # Errors
    ///
    /// If the tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        guarded(|| self.tokenizer.decode(ids, true)).map_err(|reason| self.failed(reason))
    }

    /// The name of a special token; `None` for any other token.
    pub fn special(&self, id: u32) -> Option<String> {
        let name = self.tokenizer.id_to_token(id)?;
        self.tokenizer.get_added_vocabulary().is_special_token(&name).then_some(name)
    }

    /// The ids of `text` alone: the only special tokens are those written out in it.
    ///
    /// # Errors
    ///
    /// As [`Vocabulary::encode`].
    pub fn encode_inner(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.run(text, false)?.get_ids().to_vec())
    }

    /// The id of a token, given as the tokenizer writes it.
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// The special tokens that the tokenizer puts before `text`, and the ids of `text`.
    pub(crate) fn encode_start(&self, text: &str) -> Result<(Vec<u32>, Vec<u32>)> {
        let encoding = self.run(text, true)?;
        // The mask marks tokens that the tokenizer added, not special tokens written in the text.
        let added = encoding.get_special_tokens_mask();
        let start = added.iter().take_while(|added| **added == 1).count();
        let end = added[start..].iter().rev().take_while(|added| **added == 1).count();
        let ids = encoding.get_ids();
        Ok((ids[..start].to_vec(), ids[start..ids.len() - end].to_vec()))
    }

    fn run(&self, text: &str, with_special_tokens: bool) -> Result<Encoding> {
        // The fast variant does not compute the offsets of tokens in the text.
        guarded(|| self.tokenizer.encode_fast(text, with_special_tokens))
            .map_err(|reason| self.failed(reason))
    }

    fn failed(&self, reason: String) -> CorpusError {
        CorpusError::Tokenizing { path: self.path.clone(), reason }
    }
}

/// Calls the library, which panics on some inconsistent tokenizer.json files.
fn guarded<T>(
    call: impl FnOnce() -> std::result::Result<T, tokenizers::Error>,
) -> std::result::Result<T, String> {
    // The only state of a tokenizer is its cache, which is consistent or poisoned.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("it is damaged or inconsistent".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{BOS, EOS, SEPARATOR, vocabulary};

    #[test]
    fn text_is_neither_truncated_nor_padded() {
        // The fixture's tokenizer.json truncates to 4 tokens and pads to 6.
        let vocabulary = vocabulary();
        assert_eq!(vocabulary.encode("w1").unwrap(), [BOS, 11, EOS]);
        let long = vocabulary.encode("w1 w2 w3\n\nw4").unwrap();
        assert_eq!(long, [BOS, 11, 12, 13, SEPARATOR, 14, EOS]);
        assert_eq!(vocabulary.decode(&long).unwrap(), "w1 w2 w3 \n\n w4");
    }

    #[test]
    fn added_tokens_are_distinguished_from_the_text() {
        let vocabulary = vocabulary();
        assert_eq!(vocabulary.encode_inner("w1 </s>").unwrap(), [11, EOS]);
        assert_eq!(vocabulary.special(EOS).as_deref(), Some("</s>"));
        assert_eq!((vocabulary.special(11), vocabulary.special(u32::MAX)), (None, None));
        for (text, ids) in
            [("w1 w2", vec![11, 12]), ("<s> w1 </s>", vec![BOS, 11, EOS]), ("", vec![])]
        {
            let (start, inner) = vocabulary.encode_start(text).unwrap();
            assert_eq!(inner, ids, "{text}");
            if !text.is_empty() {
                assert_eq!(start, [BOS], "{text}");
            }
        }
    }

    #[test]
    fn errors_name_file_and_cause() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Vocabulary::open(directory.path()).err().unwrap().to_string();
        assert!(open().contains("tokenizer.json is missing; give token ids in a .safetensors"));
        let cut_short = r#"{"version": "1.0", "decoder": {"type": "Sequence""#;
        for broken in ["", "{", "{}", "[]", r#"{"model": {"type": "Unknown"}}"#, cut_short] {
            std::fs::write(directory.path().join("tokenizer.json"), broken).unwrap();
            assert!(open().contains("tokenizer.json: "), "{broken}: {}", open());
        }
    }

    #[test]
    fn tokenizers_of_other_forms_are_refused_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("tokenizer.model"), [10]).unwrap();
        let error = Vocabulary::open(directory.path()).err().unwrap().to_string();
        let name = directory.path().display();
        let advice = format!("AutoTokenizer.from_pretrained('{name}').save_pretrained('{name}')");
        assert!(error.contains(&advice), "{error}");
        std::fs::create_dir(directory.path().join("tokenizer.json")).unwrap();
        let error = Vocabulary::open(directory.path()).err().unwrap().to_string();
        assert!(error.ends_with("tokenizer.json: is a directory, not a file"), "{error}");
    }
}
