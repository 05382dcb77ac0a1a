//! Requests of `/v1/completions`: text that follows prompts.

use serde_json::json;

use crate::error::ApiError;
use crate::language::Language;
use crate::request::fields::Fields;
use crate::request::params::{MAX_TOP_LOGPROBS, Params};
use crate::request::prompt::PromptInput;

/// OpenAI's default of `max_tokens`.
pub const DEFAULT_MAX_TOKENS: usize = 16;

/// Parses the body of a request.
pub fn parse(body: &[u8], language: &Language) -> Result<(Params, Vec<PromptInput>), ApiError> {
    let mut fields = Fields::parse(body)?;
    let mut params = Params::take(&mut fields, &language.name, &language.defaults)?;
    let special = fields.boolean("add_special_tokens")?.unwrap_or(true);
    let prompt = fields.take("prompt").ok_or_else(|| {
        ApiError::invalid("prompt", "missing_parameter", "you must provide a prompt")
    })?;
    let prompts = PromptInput::parse(prompt, special)?;
    params.max_tokens = fields.count("max_tokens", 0, 1 << 30)?;
    params.echo = fields.flag("echo")?;
    params.top_logprobs = fields.count("logprobs", 0, MAX_TOP_LOGPROBS)?;
    let best_of = "this server returns all completions and selects none";
    fields.fixed("best_of", &[json!(params.n)], best_of)?;
    fields.fixed("suffix", &[json!("")], "this server continues texts and does not fill in")?;
    fields.finish()?;
    Ok((params, prompts))
}
