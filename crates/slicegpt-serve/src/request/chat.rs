//! Requests of `/v1/chat/completions`: the next turn of a conversation.

use serde_json::{Map, Value, json};
use slicegpt_generate::Message;

use crate::error::ApiError;
use crate::language::Language;
use crate::request::fields::{Fields, wrong_type};
use crate::request::params::{MAX_TOP_LOGPROBS, Params, ReasoningFormat};
use crate::request::prompt::PromptInput;

/// Parses the body of a request.
pub fn parse(body: &[u8], language: &Language) -> Result<(Params, PromptInput), ApiError> {
    let mut fields = Fields::parse(body)?;
    let mut params = Params::take(&mut fields, &language.name, &language.defaults)?;
    let messages = fields.take("messages").ok_or_else(|| {
        ApiError::invalid("messages", "missing_parameter", "you must provide messages")
    })?;
    let Value::Array(messages) = messages else {
        return Err(wrong_type("messages", "an array of messages", &messages));
    };
    if messages.is_empty() {
        return Err(ApiError::invalid("messages", "invalid_value", "'messages' is empty"));
    }
    let messages = messages.into_iter().enumerate().map(|(index, value)| message(index, value));
    let messages = messages.collect::<Result<_, _>>()?;
    let conversation = PromptInput::Conversation(messages, variables(&mut fields)?);
    let max_tokens = fields.count("max_tokens", 1, 1 << 30)?;
    params.max_tokens = fields.count("max_completion_tokens", 1, 1 << 30)?.or(max_tokens);
    let logprobs = fields.flag("logprobs")?;
    let top_logprobs = fields.count("top_logprobs", 0, MAX_TOP_LOGPROBS)?;
    if top_logprobs.is_some() && !logprobs {
        let message = "'top_logprobs' is only allowed when 'logprobs' is true";
        return Err(ApiError::invalid("top_logprobs", "invalid_value", message));
    }
    params.top_logprobs = logprobs.then_some(top_logprobs.unwrap_or(0));
    params.reasoning_format = reasoning_format(&mut fields)?;
    let tools = "this server calls no tools";
    fields.fixed("tools", &[json!([])], tools)?;
    fields.fixed("functions", &[json!([])], tools)?;
    fields.fixed("tool_choice", &[json!("none"), json!("auto")], tools)?;
    fields.fixed("function_call", &[json!("none"), json!("auto")], tools)?;
    let plain = "this server returns plain text";
    fields.fixed("response_format", &[json!({"type": "text"})], plain)?;
    fields.fixed("modalities", &[json!(["text"])], plain)?;
    fields.finish()?;
    Ok((params, conversation))
}

/// Fields of a message that a chat template may look at, besides role and content.
const TEMPLATE_FIELDS: &[&str] = &["name", "reasoning", "reasoning_content", "thinking"];

/// The variables that a request has for the chat template.
fn variables(fields: &mut Fields) -> Result<Map<String, Value>, ApiError> {
    let name = "chat_template_kwargs";
    let mut variables = match fields.take(name) {
        None => Map::new(),
        Some(Value::Object(variables)) => variables,
        Some(other) => return Err(wrong_type(name, "an object", &other)),
    };
    if let Some(prompted) = fields.boolean("add_generation_prompt")? {
        variables.insert("add_generation_prompt".into(), prompted.into());
    }
    if let Some(effort) = fields.string("reasoning_effort")? {
        variables.entry("reasoning_effort").or_insert(effort.into());
    }
    Ok(variables)
}

/// Where the request wants reasoning, if it says so, as in llama.cpp.
fn reasoning_format(fields: &mut Fields) -> Result<Option<ReasoningFormat>, ApiError> {
    let name = "reasoning_format";
    match fields.string(name)?.as_deref() {
        None | Some("auto") => Ok(None),
        Some("none") => Ok(Some(ReasoningFormat::None)),
        Some("deepseek") => Ok(Some(ReasoningFormat::DeepSeek)),
        Some(other) => {
            let message = format!("'{name}' must be none, deepseek or auto, not '{other}'");
            Err(ApiError::invalid(name, "invalid_value", message))
        }
    }
}

/// Message number `index` of a conversation. Errors name fields as `messages[index].field`.
fn message(index: usize, value: Value) -> Result<Message, ApiError> {
    let name = |field: &str| format!("messages[{index}]{field}");
    let Value::Object(fields) = value else {
        return Err(wrong_type(&name(""), "an object", &value));
    };
    let mut fields = Fields::new(fields);
    let with_path = |error: ApiError| {
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
    let role = fields.string("role").map_err(with_path)?.ok_or_else(|| missing("role"))?;
    let role = match role.as_str() {
        "system" | "user" | "assistant" => role.as_str(),
        // OpenAI's newer name of the system role.
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
    fields.fixed("tool_calls", &[json!([])], "this server calls no tools").map_err(with_path)?;
    let mut message = Message::new(role, content);
    // What else a client keeps in its messages (ids, options of its own) is not for the model.
    for name in TEMPLATE_FIELDS {
        if let Some(value) = fields.take(name) {
            message.more.insert((*name).into(), value);
        }
    }
    Ok(message)
}

/// The text of a content part, which must be of type `text`.
fn text_part(name: &str, part: Value) -> Result<String, ApiError> {
    match (&part["type"], &part["text"]) {
        (Value::String(kind), Value::String(text)) if kind == "text" => Ok(text.clone()),
        _ => {
            let message = "only content parts of type text are supported";
            Err(ApiError::invalid(name, "unsupported_content", message))
        }
    }
}
