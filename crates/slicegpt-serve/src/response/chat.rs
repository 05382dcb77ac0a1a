//! Responses of `/v1/chat/completions`.

use serde::Serialize;
use serde_json::{Value, json};

use crate::response::logprobs::{LogprobEntry, Mapped};
use crate::response::output::{Delta, ResponseFormat};

/// The JSON of `/v1/chat/completions`.
pub struct ChatFormat;

impl ResponseFormat for ChatFormat {
    const ID_PREFIX: &'static str = "chatcmpl";
    const OBJECT: &'static str = "chat.completion";
    const CHUNK_OBJECT: &'static str = "chat.completion.chunk";

    fn opening_choice(&self, index: usize) -> Option<Value> {
        Some(json!({
            "index": index,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": null,
            "finish_reason": null,
        }))
    }

    fn choice(&self, output: &Delta) -> impl Serialize {
        ChatChoice {
            index: output.index,
            message: Some(ChatMessage {
                role: "assistant",
                content: &output.text,
                reasoning_content: some(&output.reasoning),
                refusal: (),
            }),
            delta: None,
            logprobs: output.logprobs.as_deref().map(chat_logprobs),
            finish_reason: output.finish_reason(),
        }
    }

    fn chunk_choice(&self, delta: &Delta) -> impl Serialize {
        ChatChoice {
            index: delta.index,
            message: None,
            delta: Some(ChatDelta {
                content: some(&delta.text),
                reasoning_content: some(&delta.reasoning),
            }),
            logprobs: delta.logprobs.as_deref().map(chat_logprobs),
            finish_reason: delta.finish_reason(),
        }
    }
}

/// A choice of a response has a message, one of a chunk has a delta.
#[derive(Serialize)]
struct ChatChoice<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<ChatMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<ChatDelta<'a>>,
    logprobs: Option<ChatLogprobs<'a>>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct ChatMessage<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    refusal: (),
}

#[derive(Serialize)]
struct ChatDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
}

#[derive(Serialize)]
struct ChatLogprobs<'a> {
    content: Mapped<'a, LogprobEntry, ChatToken<'a>>,
    refusal: (),
}

/// A token and its logprob.
#[derive(Serialize)]
struct ChatLogprob<'a> {
    token: &'a str,
    logprob: Option<f32>,
    /// Null where the token is only a part of a character.
    bytes: Option<&'a [u8]>,
}

#[derive(Serialize)]
struct ChatToken<'a> {
    #[serde(flatten)]
    logprob: ChatLogprob<'a>,
    top_logprobs: Mapped<'a, (String, f32), ChatLogprob<'a>>,
}

/// A text, unless it is empty.
fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn chat_logprobs(entries: &[LogprobEntry]) -> ChatLogprobs<'_> {
    ChatLogprobs { content: Mapped(entries, chat_token), refusal: () }
}

fn chat_token(entry: &LogprobEntry) -> ChatToken<'_> {
    ChatToken {
        logprob: chat_logprob(&entry.text, entry.logprob),
        top_logprobs: Mapped(&entry.top, |(text, logprob)| chat_logprob(text, Some(*logprob))),
    }
}

fn chat_logprob(token: &str, logprob: Option<f32>) -> ChatLogprob<'_> {
    let bytes = (!token.contains('\u{FFFD}')).then_some(token.as_bytes());
    ChatLogprob { token, logprob, bytes }
}
