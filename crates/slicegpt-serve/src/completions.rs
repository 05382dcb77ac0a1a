//! `/v1/completions`: the text that follows a prompt.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::answer::{Delta, Shape, finish_reason};
use crate::app::App;
use crate::asked::{Asked, MOST_ALTERNATIVES};
use crate::body;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::prompt::Prompt;
use crate::tokens::Named;

/// Tokens, where nothing is said: OpenAI's.
const MOST: usize = 16;

/// Answers a request.
pub async fn completions(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let deadline = app.deadline();
    let body = body::read(request, app.limits.body_bytes, deadline).await?;
    let (asked, prompts) = parse(&body, &app)?;
    app.answer(asked, prompts, MOST, Completion, deadline).await
}

fn parse(body: &[u8], app: &App) -> Result<(Asked, Vec<Prompt>), ApiError> {
    let mut fields = Fields::parse(body)?;
    let mut asked = Asked::take(&mut fields, &app.language.name, &app.language.defaults)?;
    let special = fields.choice("add_special_tokens")?.unwrap_or(true);
    let prompt = fields.take("prompt").ok_or_else(|| {
        ApiError::invalid("prompt", "missing_parameter", "you must provide a prompt")
    })?;
    let prompts = Prompt::parse(prompt, special)?;
    asked.most = fields.count("max_tokens", 0, 1 << 30)?;
    asked.echo = fields.flag("echo")?;
    asked.alternatives = fields.count("logprobs", 0, MOST_ALTERNATIVES)?;
    let best = "all texts are given, and none is chosen among more";
    fields.fixed("best_of", &[json!(asked.n)], best)?;
    fields.fixed("suffix", &[json!("")], "texts are continued, not filled in")?;
    fields.finish()?;
    Ok((asked, prompts))
}

/// What answers look like.
pub struct Completion;

impl Shape for Completion {
    const PREFIX: &'static str = "cmpl";
    const WHOLE: &'static str = "text_completion";
    const PART: &'static str = "text_completion";

    fn opening(&self, _: usize) -> Option<Value> {
        None
    }

    fn whole(&self, delta: &Delta) -> Value {
        json!({
            "index": delta.index,
            "text": delta.text,
            "logprobs": delta.tokens.as_deref().map(logprobs),
            "finish_reason": finish_reason(delta),
        })
    }

    fn part(&self, delta: &Delta) -> Value {
        self.whole(delta)
    }
}

fn logprobs(tokens: &[Named]) -> Value {
    let top = |token: &Named| {
        token.log_probability?;
        let mut alternatives = Map::new();
        for (text, log_probability) in &token.top {
            // Two tokens may have one text: the more likely one came first.
            alternatives.entry(text).or_insert_with(|| json!(log_probability));
        }
        // The token itself is always among them.
        alternatives.entry(&token.text).or_insert_with(|| json!(token.log_probability));
        Some(alternatives)
    };
    json!({
        "text_offset": tokens.iter().map(|token| token.offset).collect::<Vec<_>>(),
        "token_logprobs": tokens.iter().map(|token| token.log_probability).collect::<Vec<_>>(),
        "tokens": tokens.iter().map(|token| &token.text).collect::<Vec<_>>(),
        "top_logprobs": tokens.iter().map(top).collect::<Vec<_>>(),
    })
}
