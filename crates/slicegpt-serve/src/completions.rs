//! `/v1/completions`: the text that follows a prompt.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::answer::{Delta, Shape, finish_reason};
use crate::app::App;
use crate::asked::{Asked, MOST_ALTERNATIVES};
use crate::body;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::prompt::Prompt;
use crate::tokens::{Each, Named};

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

    fn whole(&self, delta: &Delta) -> impl Serialize {
        Choice {
            index: delta.index,
            text: &delta.text,
            logprobs: delta.tokens.as_deref().map(Logprobs),
            finish_reason: finish_reason(delta),
        }
    }

    fn part(&self, delta: &Delta) -> impl Serialize {
        self.whole(delta)
    }
}

#[derive(Serialize)]
struct Choice<'a> {
    index: usize,
    text: &'a str,
    logprobs: Option<Logprobs<'a>>,
    finish_reason: Option<&'static str>,
}

/// What is told of tokens.
struct Logprobs<'a>(&'a [Named]);

impl Serialize for Logprobs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("logprobs", 4)?;
        fields.serialize_field("text_offset", &Each(self.0, |token| token.offset))?;
        fields.serialize_field("token_logprobs", &Each(self.0, |token| token.log_probability))?;
        fields.serialize_field("tokens", &Each(self.0, |token| token.text.as_str()))?;
        fields.serialize_field("top_logprobs", &Each(self.0, top))?;
        fields.end()
    }
}

/// The most likely tokens, where they are known.
fn top(token: &Named) -> Option<Top<'_>> {
    Some(Top(token, token.log_probability?))
}

/// The most likely tokens, and the token itself.
struct Top<'a>(&'a Named, f32);

impl Serialize for Top<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(token, log_probability) = self;
        let mut fields = Vec::with_capacity(token.top.len() + 1);
        let alternatives = token.top.iter().map(|(text, x)| (text.as_str(), *x));
        // Two tokens may have one text: the more likely one came first.
        for (text, x) in alternatives.chain([(token.text.as_str(), *log_probability)]) {
            if fields.iter().all(|(other, _)| *other != text) {
                fields.push((text, x));
            }
        }
        serializer.collect_map(fields)
    }
}
