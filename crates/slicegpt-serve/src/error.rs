//! [`ApiError`]: what is wrong with a request, in the JSON form that OpenAI's clients read.

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

/// Characters of a message, or of the name of a parameter, that are sent. A request may have a name
/// of any length.
const LONGEST: usize = 1000;

fn shortened(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, message: shortened(message.into()), param: None, code: Some(code) }
    }

    /// 400: parameter `param` is invalid.
    pub fn invalid(param: &str, code: &'static str, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, code, message);
        Self { param: Some(shortened(param.into())), ..error }
    }

    /// 400: the body is not a JSON object.
    pub fn malformed_body(message: impl Into<String>) -> Self {
        Self { code: None, ..Self::new(StatusCode::BAD_REQUEST, "", message) }
    }

    /// 400: a parameter asks for something this server does not do.
    pub fn unsupported(param: &str, why: &str) -> Self {
        Self::invalid(param, "unsupported_parameter", format!("'{param}' is not supported: {why}"))
    }

    /// 413: the body exceeds `max` bytes.
    pub fn body_too_large(max: usize) -> Self {
        let message = format!("the body is larger than the {max} bytes this server accepts");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    }

    /// 408: the body did not arrive before the deadline.
    pub fn body_timeout() -> Self {
        let message = "the body did not arrive in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
    }

    /// 504: the response was not ready before the deadline.
    pub fn response_timeout() -> Self {
        let message = "the response was not ready within this server's request timeout";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
    }

    /// 404: there is no model of this name.
    pub fn model_not_found(name: &str) -> Self {
        let message = format!("The model `{name}` does not exist; see /v1/models");
        let error = Self::new(StatusCode::NOT_FOUND, "model_not_found", message);
        Self { param: Some("model".into()), ..error }
    }

    /// 429: the queue or the memory of responses is full.
    pub fn queue_full() -> Self {
        let message = "too many requests are waiting already; try again later";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message)
    }

    /// 429: the memory of bodies that are being received is full.
    pub fn bodies_full() -> Self {
        let message = "too many large requests are being received; try again later";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message)
    }

    /// 503: the server finishes the requests it has and accepts no new ones.
    pub fn shutting_down() -> Self {
        let message = "the server is shutting down";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", message)
    }

    /// 401: the API key is missing or wrong.
    pub fn invalid_api_key() -> Self {
        let message = "no valid API key: give it as `Authorization: Bearer KEY`";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    /// 500: something failed in the server.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    /// 404: the path does not exist.
    pub fn unknown_url(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_url", message)
    }

    /// 405: the path exists, but not for this method.
    pub fn method_not_allowed(message: String) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    /// The error as a JSON object.
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

/// A response whose body is `value`.
pub fn json_response(value: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
