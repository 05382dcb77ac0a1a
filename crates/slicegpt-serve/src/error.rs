//! [`ApiError`]: what is wrong, in the form that OpenAI's clients read.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What is wrong with a request, or with the server.
#[derive(Clone, Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub message: String,
    pub param: Option<String>,
    pub code: Option<&'static str>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None, code: Some(code) }
    }

    /// The request is wrong, and `param` is what of it.
    pub fn invalid(param: &str, code: &'static str, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, code, message);
        Self { param: Some(param.into()), ..error }
    }

    /// The body is no request at all.
    pub fn no_request(message: impl Into<String>) -> Self {
        Self { code: None, ..Self::new(StatusCode::BAD_REQUEST, "", message) }
    }

    /// It asks for what this server does not do.
    pub fn unsupported(param: &str, why: &str) -> Self {
        Self::invalid(param, "unsupported_parameter", format!("'{param}' is not supported: {why}"))
    }

    pub fn too_large(most: usize) -> Self {
        let message = format!("the body is larger than the {most} bytes this server takes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    }

    pub fn too_slow() -> Self {
        let message = "the body did not come in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
    }

    pub fn took_too_long() -> Self {
        let message = "the answer was not ready in the time this server gives a request";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
    }

    pub fn no_model(name: &str) -> Self {
        let message = format!("The model `{name}` does not exist; see /v1/models");
        let error = Self::new(StatusCode::NOT_FOUND, "model_not_found", message);
        Self { param: Some("model".into()), ..error }
    }

    pub fn full() -> Self {
        let message = "too many requests wait already; try again later";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message)
    }

    pub fn closing() -> Self {
        let message = "the server is shutting down";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", message)
    }

    pub fn no_key() -> Self {
        let message = "no valid API key: give it as `Authorization: Bearer KEY`";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    /// Something failed here.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    pub fn no_route(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_url", message)
    }

    pub fn no_method(message: String) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    /// As it stands in a body.
    pub fn json(&self) -> Value {
        let kind = match self.status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        json!({"error": {
            "message": self.message, "type": kind, "param": self.param, "code": self.code,
        }})
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = json_response(&self.json());
        *response.status_mut() = self.status;
        match self.status {
            StatusCode::UNAUTHORIZED => {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// A body of JSON.
pub fn json_response(value: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
