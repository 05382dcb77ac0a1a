//! Responses of `/v1/completions`.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::response::logprobs::{LogprobEntry, Mapped};
use crate::response::output::{Delta, ResponseFormat};

/// The JSON of `/v1/completions`.
pub struct CompletionFormat;

impl ResponseFormat for CompletionFormat {
    const ID_PREFIX: &'static str = "cmpl";
    const OBJECT: &'static str = "text_completion";
    const CHUNK_OBJECT: &'static str = "text_completion";

    fn opening_choice(&self, _: usize) -> Option<Value> {
        None
    }

    fn choice(&self, output: &Delta) -> impl Serialize {
        CompletionChoice {
            index: output.index,
            text: &output.text,
            logprobs: output.logprobs.as_deref().map(CompletionLogprobs),
            finish_reason: output.finish_reason(),
        }
    }

    fn chunk_choice(&self, delta: &Delta) -> impl Serialize {
        self.choice(delta)
    }
}

#[derive(Serialize)]
struct CompletionChoice<'a> {
    index: usize,
    text: &'a str,
    logprobs: Option<CompletionLogprobs<'a>>,
    finish_reason: Option<&'static str>,
}

/// The `logprobs` of a choice: parallel lists.
struct CompletionLogprobs<'a>(&'a [LogprobEntry]);

impl Serialize for CompletionLogprobs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("logprobs", 4)?;
        fields.serialize_field("text_offset", &Mapped(self.0, |entry| entry.offset))?;
        fields.serialize_field("token_logprobs", &Mapped(self.0, |entry| entry.logprob))?;
        fields.serialize_field("tokens", &Mapped(self.0, |entry| entry.text.as_str()))?;
        fields.serialize_field("top_logprobs", &Mapped(self.0, top_logprobs))?;
        fields.end()
    }
}

/// `top_logprobs` of a token; null for the first token of a prompt, which has none.
fn top_logprobs(entry: &LogprobEntry) -> Option<TopLogprobs<'_>> {
    Some(TopLogprobs(entry, entry.logprob?))
}

/// The most likely tokens, and the token itself with its logprob.
struct TopLogprobs<'a>(&'a LogprobEntry, f32);

impl Serialize for TopLogprobs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(entry, logprob) = self;
        let mut fields = Vec::with_capacity(entry.top.len() + 1);
        let top = entry.top.iter().map(|(text, logprob)| (text.as_str(), *logprob));
        // Two tokens may have the same text: the first, more likely one is kept.
        for (text, logprob) in top.chain([(entry.text.as_str(), *logprob)]) {
            if fields.iter().all(|(other, _)| *other != text) {
                fields.push((text, logprob));
            }
        }
        serializer.collect_map(fields)
    }
}
