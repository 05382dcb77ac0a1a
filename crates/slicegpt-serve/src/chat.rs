//! `/v1/chat/completions`: the next turn of a conversation.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use slicegpt_generate::Message;

use crate::answer::{Delta, Shape, finish_reason};
use crate::app::App;
use crate::asked::{Asked, MOST_ALTERNATIVES};
use crate::body;
use crate::error::ApiError;
use crate::fields::{Fields, wrong_type};
use crate::prompt::Prompt;
use crate::tokens::{Each, Named};

/// Answers a request.
pub async fn chat(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let deadline = app.deadline();
    let body = body::read(request, app.limits.body_bytes, deadline).await?;
    let (asked, conversation) = parse(&body, &app)?;
    // Where nothing is said an answer may fill the context.
    app.answer(asked, vec![conversation], usize::MAX, Chat, deadline).await
}

fn parse(body: &[u8], app: &App) -> Result<(Asked, Prompt), ApiError> {
    let mut fields = Fields::parse(body)?;
    let mut asked = Asked::take(&mut fields, &app.language.name, &app.language.defaults)?;
    let messages = fields.take("messages").ok_or_else(|| {
        ApiError::invalid("messages", "missing_parameter", "you must provide messages")
    })?;
    let Value::Array(messages) = messages else {
        return Err(wrong_type("messages", "an array of messages", &messages));
    };
    if messages.is_empty() {
        return Err(ApiError::invalid("messages", "invalid_value", "'messages' is empty"));
    }
    let messages = messages.into_iter().enumerate().map(|(at, value)| message(at, value));
    let conversation = Prompt::Conversation(messages.collect::<Result<_, _>>()?);
    let most = fields.count("max_tokens", 1, 1 << 30)?;
    asked.most = fields.count("max_completion_tokens", 1, 1 << 30)?.or(most);
    let told = fields.flag("logprobs")?;
    let alternatives = fields.count("top_logprobs", 0, MOST_ALTERNATIVES)?;
    if alternatives.is_some() && !told {
        let message = "'top_logprobs' is only allowed when 'logprobs' is true";
        return Err(ApiError::invalid("top_logprobs", "invalid_value", message));
    }
    asked.alternatives = told.then_some(alternatives.unwrap_or(0));
    let tools = "this server calls no tools";
    fields.fixed("tools", &[json!([])], tools)?;
    fields.fixed("functions", &[json!([])], tools)?;
    fields.fixed("tool_choice", &[json!("none"), json!("auto")], tools)?;
    fields.fixed("function_call", &[json!("none"), json!("auto")], tools)?;
    let plain = "answers are plain text";
    fields.fixed("response_format", &[json!({"type": "text"})], plain)?;
    fields.fixed("modalities", &[json!(["text"])], plain)?;
    fields.finish()?;
    Ok((asked, conversation))
}

fn message(at: usize, value: Value) -> Result<Message, ApiError> {
    let name = |field: &str| format!("messages[{at}]{field}");
    let Value::Object(fields) = value else {
        return Err(wrong_type(&name(""), "an object", &value));
    };
    let mut fields = Fields::new(fields);
    let named = |error: ApiError| {
        let field = error.param.as_deref().unwrap_or_default();
        let param = name(&format!(".{field}"));
        let message = error.message.replacen(&format!("'{field}'"), &format!("'{param}'"), 1);
        ApiError { param: Some(param), message, ..error }
    };
    let missing = |field: &str| {
        let param = name(&format!(".{field}"));
        let message = format!("'{param}' is missing");
        ApiError::invalid(&param, "missing_parameter", message)
    };
    let role = fields.text("role").map_err(named)?.ok_or_else(|| missing("role"))?;
    let role = match role.as_str() {
        "system" | "user" | "assistant" => role.as_str(),
        // OpenAI's newer word for the same.
        "developer" => "system",
        _ => {
            let param = name(".role");
            let message =
                format!("'{param}' must be system, developer, user or assistant, not '{role}'");
            return Err(ApiError::invalid(&param, "invalid_value", message));
        }
    };
    let content = match fields.take("content") {
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => {
            let texts = parts.into_iter().map(|part| text_part(&name(".content"), part));
            texts.collect::<Result<Vec<_>, _>>()?.join("\n")
        }
        Some(other) => {
            return Err(wrong_type(&name(".content"), "a string or an array of parts", &other));
        }
        None => return Err(missing("content")),
    };
    fields.ignore(&["name", "refusal", "annotations"]);
    fields.fixed("tool_calls", &[json!([])], "this server calls no tools").map_err(named)?;
    fields.finish().map_err(named)?;
    Ok(Message::new(role, content))
}

fn text_part(name: &str, part: Value) -> Result<String, ApiError> {
    match (&part["type"], &part["text"]) {
        (Value::String(kind), Value::String(text)) if kind == "text" => Ok(text.clone()),
        _ => Err(ApiError::invalid(name, "unsupported_content", "only parts of text are read")),
    }
}

/// What answers look like.
pub struct Chat;

impl Shape for Chat {
    const PREFIX: &'static str = "chatcmpl";
    const WHOLE: &'static str = "chat.completion";
    const PART: &'static str = "chat.completion.chunk";

    fn opening(&self, index: usize) -> Option<Value> {
        Some(json!({
            "index": index,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": null,
            "finish_reason": null,
        }))
    }

    fn whole(&self, delta: &Delta) -> impl Serialize {
        Choice {
            index: delta.index,
            message: Some(Said { role: "assistant", content: &delta.text, refusal: () }),
            delta: None,
            logprobs: delta.tokens.as_deref().map(logprobs),
            finish_reason: finish_reason(delta),
        }
    }

    fn part(&self, delta: &Delta) -> impl Serialize {
        let content = (!delta.text.is_empty()).then_some(delta.text.as_str());
        Choice {
            index: delta.index,
            message: None,
            delta: Some(More { content }),
            logprobs: delta.tokens.as_deref().map(logprobs),
            finish_reason: finish_reason(delta),
        }
    }
}

/// A choice of an answer has a message, one of a part a delta.
#[derive(Serialize)]
struct Choice<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Said<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<More<'a>>,
    logprobs: Option<Logprobs<'a>>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Said<'a> {
    role: &'static str,
    content: &'a str,
    refusal: (),
}

#[derive(Serialize)]
struct More<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

#[derive(Serialize)]
struct Logprobs<'a> {
    content: Each<'a, Named, Token<'a>>,
    refusal: (),
}

/// A token, and how likely it was.
#[derive(Serialize)]
struct One<'a> {
    token: &'a str,
    logprob: Option<f32>,
    /// Bytes that are no character by themselves have no text, and so none that are known.
    bytes: Option<&'a [u8]>,
}

#[derive(Serialize)]
struct Token<'a> {
    #[serde(flatten)]
    one: One<'a>,
    top_logprobs: Each<'a, (String, f32), One<'a>>,
}

fn logprobs(tokens: &[Named]) -> Logprobs<'_> {
    Logprobs { content: Each(tokens, token), refusal: () }
}

fn token(token: &Named) -> Token<'_> {
    Token {
        one: one(&token.text, token.log_probability),
        top_logprobs: Each(&token.top, |(text, x)| one(text, Some(*x))),
    }
}

fn one(token: &str, logprob: Option<f32>) -> One<'_> {
    One { token, logprob, bytes: (!token.contains('\u{FFFD}')).then_some(token.as_bytes()) }
}
