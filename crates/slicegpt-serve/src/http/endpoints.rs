//! Handlers of `/v1/completions` and `/v1/chat/completions`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use crate::error::ApiError;
use crate::http::app::App;
use crate::request;
use crate::response::chat::ChatFormat;
use crate::response::completions::CompletionFormat;

/// `/v1/completions`: the text that follows one or several prompts.
pub async fn completions(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let arrival = app.arrival(&request);
    let body = app.bodies.read(request, arrival.deadline).await?;
    let turn = App::turn(&app.turns[0], &arrival).await?;
    let (params, prompts) = request::completions::parse(&body.bytes, &app.state.language)?;
    drop(body);
    let max_tokens = request::completions::DEFAULT_MAX_TOKENS;
    app.answer(params, prompts, max_tokens, CompletionFormat, turn, arrival).await
}

/// `/v1/chat/completions`: the next turn of a conversation.
pub async fn chat(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let arrival = app.arrival(&request);
    let body = app.bodies.read(request, arrival.deadline).await?;
    let turn = App::turn(&app.turns[1], &arrival).await?;
    let (mut params, conversation) = request::chat::parse(&body.bytes, &app.state.language)?;
    params.reasoning_format = params.reasoning_format.or(Some(app.reasoning_format));
    drop(body);
    // By default a turn may fill the context.
    app.answer(params, vec![conversation], usize::MAX, ChatFormat, turn, arrival).await
}
