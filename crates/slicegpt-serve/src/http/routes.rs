//! [`router`]: the paths of the server, and their authentication.

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

use crate::error::{ApiError, json_response};
use crate::http::access_log::access_log;
use crate::http::app::App;
use crate::http::body::discard;
use crate::http::cors::cors;
use crate::http::endpoints::{chat, completions};

/// The paths of the server. Only those under `/v1` need the API key.
pub fn router(app: Arc<App>) -> Router {
    let guarded = Router::new()
        .route("/v1/models", get(models))
        .route("/v1/models/{*id}", get(model))
        .route("/v1/completions", post(completions))
        .route("/v1/chat/completions", post(chat))
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(from_fn_with_state(app.clone(), authorise));
    let open = Router::new().route("/health", get(health)).route("/metrics", get(metrics));
    let mut routes =
        open.method_not_allowed_fallback(method_not_allowed).merge(guarded).fallback(unknown_url);
    // Preflight requests carry no API key, so this layer comes before authentication.
    if let Some(cors) = cors(&app.origins) {
        routes = routes.layer(cors);
    }
    routes.layer(from_fn_with_state(app.clone(), access_log)).with_state(app)
}

/// Refuses requests without the API key, if there is one, and all requests during shutdown.
async fn authorise(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let error = match &app.api_key {
        Some(key) if !has_key(request.headers(), key) => ApiError::invalid_api_key(),
        _ if app.closing.load(Ordering::SeqCst) => ApiError::shutting_down(),
        _ => return Ok(next.run(request).await),
    };
    discard(request).await;
    Err(error)
}

fn has_key(headers: &HeaderMap, key: &str) -> bool {
    let given = headers.get(AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
    let Some((scheme, given)) = given.split_at_checked("Bearer ".len()) else { return false };
    // Constant time: every byte is compared, so that timing reveals nothing about the key.
    let differs = given.iter().zip(key.as_bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    scheme.eq_ignore_ascii_case(b"Bearer ") && given.len() == key.len() && differs == 0
}

async fn models(State(app): State<Arc<App>>) -> Response {
    json_response(&json!({"object": "list", "data": [description(&app)]}))
}

async fn model(
    State(app): State<Arc<App>>,
    uri: Uri,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    match id {
        Ok(Path(id)) if id == app.state.language.name => Ok(json_response(&description(&app))),
        Ok(Path(id)) => Err(ApiError::model_not_found(&id)),
        // A path that is not UTF-8 names no model.
        Err(_) => Err(ApiError::model_not_found(uri.path().trim_start_matches("/v1/models/"))),
    }
}

fn description(app: &App) -> Value {
    json!({
        "id": app.state.language.name,
        "object": "model",
        "created": app.state.started,
        "owned_by": "slicegpt",
        "max_model_len": app.state.context,
    })
}

async fn unknown_url(request: Request) -> ApiError {
    let message = format!("Invalid URL ({} {})", request.method(), request.uri().path());
    discard(request).await;
    ApiError::unknown_url(message)
}

async fn method_not_allowed(request: Request) -> ApiError {
    let message = format!("{} does not take {}", request.uri().path(), request.method());
    discard(request).await;
    ApiError::method_not_allowed(message)
}

async fn health(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    if app.closing.load(Ordering::SeqCst) {
        return Err(ApiError::shutting_down());
    }
    Ok(json_response(&json!({"status": "ok"})))
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.state.metrics.text())
        .into_response()
}
