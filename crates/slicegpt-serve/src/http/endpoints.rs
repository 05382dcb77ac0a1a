//! Handlers of `/v1/completions` and `/v1/chat/completions`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use crate::error::ApiError;
use crate::http::app::App;
use crate::http::body;
use crate::request;
use crate::response::chat::ChatFormat;
use crate::response::completions::CompletionFormat;

/// `/v1/completions`: the text that follows one or several prompts.
pub async fn completions(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let deadline = app.deadline();
    let body = body::read(request, app.state.limits.body_bytes, deadline).await?;
    let (params, prompts) = request::completions::parse(&body, &app.state.language)?;
    let max_tokens = request::completions::DEFAULT_MAX_TOKENS;
    app.answer(params, prompts, max_tokens, CompletionFormat, deadline).await
}

/// `/v1/chat/completions`: the next turn of a conversation.
pub async fn chat(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let deadline = app.deadline();
    let body = body::read(request, app.state.limits.body_bytes, deadline).await?;
    let (params, conversation) = request::chat::parse(&body, &app.state.language)?;
    // By default a turn may fill the context.
    app.answer(params, vec![conversation], usize::MAX, ChatFormat, deadline).await
}
