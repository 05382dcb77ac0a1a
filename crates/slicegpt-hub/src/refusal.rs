//! Errors made of a reply of the Hub that is not the requested file, or of no reply at all.

use serde_json::Value;

use crate::ModelId;
use crate::error::HubError;
use crate::http::Reply;
use crate::settings::HubSettings;

/// The error of a `reply`: the Hub gives it in a header, other servers in the status.
pub(crate) fn refusal(
    id: &ModelId,
    settings: &HubSettings,
    reply: &mut Reply,
    file: &str,
) -> HubError {
    let status = reply.status();
    let code = reply.first("x-error-code").unwrap_or_default().to_string();
    let reason = reason(reply);
    let (id, revision) = (id.name().to_string(), id.revision().to_string());
    let (endpoint, token) = (settings.shown_endpoint(), settings.token.is_some());
    let unknown_token = token && reason.contains("Invalid credentials");
    match (&*code, status) {
        ("GatedRepo", _) => HubError::Gated { id, endpoint, token },
        ("RevisionNotFound", _) => HubError::UnknownRevision { id, revision },
        ("EntryNotFound", _) => HubError::UnknownFile { id, endpoint, file: file.into() },
        ("", 404) if !file.is_empty() => HubError::UnknownFile { id, endpoint, file: file.into() },
        (_, 401) if unknown_token => HubError::Token { id, endpoint },
        // The Hub does not distinguish missing models from private ones.
        ("RepoNotFound", _) | (_, 401 | 404) => HubError::UnknownModel { id, endpoint, token },
        (_, 403) => {
            let reason = if reason.is_empty() { "access is forbidden".into() } else { reason };
            HubError::Refused { id, endpoint, reason }
        }
        _ => HubError::Status { id, endpoint, status, reason },
    }
}

/// The error of a request without a reply.
pub(crate) fn unreachable(id: &ModelId, settings: &HubSettings, error: &ureq::Error) -> HubError {
    HubError::Unreachable {
        id: id.name().into(),
        endpoint: settings.shown_endpoint(),
        reason: error.to_string(),
    }
}

/// The reason that the server gives, in a header or as JSON.
fn reason(reply: &mut Reply) -> String {
    const LONGEST: usize = 300;
    let header = reply.first("x-error-message").map(ToString::to_string);
    let reason = header.or_else(|| {
        let text = reply.response.body_mut().with_config().limit(1 << 16).read_to_string().ok()?;
        let json: Value = serde_json::from_str(&text).ok()?;
        Some(json.get("error")?.as_str()?.to_string())
    });
    reason.unwrap_or_default().trim().chars().take(LONGEST).collect()
}
