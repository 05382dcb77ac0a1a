//! [`router`]: which path is what, and who may come in.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::app::App;
use crate::body::discard;
use crate::chat::chat;
use crate::completions::completions;
use crate::error::{ApiError, json_response};
use crate::watch::watch;

/// All paths.
pub fn router(app: Arc<App>) -> Router {
    let guarded = Router::new()
        .route("/v1/models", get(models))
        .route("/v1/models/{*id}", get(model))
        .route("/v1/completions", post(completions))
        .route("/v1/chat/completions", post(chat))
        .method_not_allowed_fallback(no_method)
        .route_layer(from_fn_with_state(app.clone(), let_in));
    let open = Router::new().route("/health", get(health)).route("/metrics", get(metrics));
    open.method_not_allowed_fallback(no_method)
        .merge(guarded)
        .fallback(no_route)
        .layer(from_fn_with_state(app.clone(), watch))
        .with_state(app)
}

/// Lets in who has the key, where there is one, unless the server is closing.
async fn let_in(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let error = match &app.api_key {
        Some(key) if !has_key(request.headers(), key) => ApiError::no_key(),
        _ if app.closing.load(Ordering::SeqCst) => ApiError::closing(),
        _ => return Ok(next.run(request).await),
    };
    discard(request).await;
    Err(error)
}

fn has_key(headers: &HeaderMap, key: &str) -> bool {
    let given = headers.get(AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
    let Some((scheme, given)) = given.split_at_checked("Bearer ".len()) else { return false };
    // Every byte is compared: how long it takes says nothing about the key.
    let differs = given.iter().zip(key.as_bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    scheme.eq_ignore_ascii_case(b"Bearer ") && given.len() == key.len() && differs == 0
}

async fn models(State(app): State<Arc<App>>) -> Response {
    json_response(&json!({"object": "list", "data": [described(&app)]}))
}

async fn model(
    State(app): State<Arc<App>>,
    uri: Uri,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    match id {
        Ok(Path(id)) if id == app.language.name => Ok(json_response(&described(&app))),
        Ok(Path(id)) => Err(ApiError::no_model(&id)),
        // Bytes that are no text name no model.
        Err(_) => Err(ApiError::no_model(uri.path().trim_start_matches("/v1/models/"))),
    }
}

fn described(app: &App) -> Value {
    json!({
        "id": app.language.name,
        "object": "model",
        "created": app.started,
        "owned_by": "slicegpt",
        "max_model_len": app.context,
    })
}

async fn no_route(request: Request) -> ApiError {
    let message = format!("Invalid URL ({} {})", request.method(), request.uri().path());
    discard(request).await;
    ApiError::no_route(message)
}

async fn no_method(request: Request) -> ApiError {
    let message = format!("{} does not take {}", request.uri().path(), request.method());
    discard(request).await;
    ApiError::no_method(message)
}

async fn health(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    match app.closing.load(Ordering::SeqCst) {
        true => Err(ApiError::closing()),
        false => Ok(json_response(&json!({"status": "ok"}))),
    }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.text())
        .into_response()
}
