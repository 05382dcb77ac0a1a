//! What an answer of the Hub means, where it is not what was asked for.

use serde_json::Value;

use crate::ModelId;
use crate::error::HubError;
use crate::http::Answer;
use crate::settings::Settings;

/// The error that `answer` is: the Hub says which in a header, and other servers in the status.
pub(crate) fn refusal(
    id: &ModelId,
    settings: &Settings,
    answer: &mut Answer,
    file: &str,
) -> HubError {
    let status = answer.status();
    let code = answer.first("x-error-code").unwrap_or_default().to_string();
    let reason = reason(answer);
    let (id, revision) = (id.name().to_string(), id.revision().to_string());
    let (endpoint, token) = (settings.shown_endpoint(), settings.token.is_some());
    let unknown_token = token && reason.contains("Invalid credentials");
    match (&*code, status) {
        ("GatedRepo", _) => HubError::Gated { id, endpoint, token },
        ("RevisionNotFound", _) => HubError::UnknownRevision { id, revision },
        ("EntryNotFound", _) => HubError::UnknownFile { id, endpoint, file: file.into() },
        ("", 404) if !file.is_empty() => HubError::UnknownFile { id, endpoint, file: file.into() },
        (_, 401) if unknown_token => HubError::Token { id, endpoint },
        // The Hub does not tell what is missing from what one may not see.
        ("RepoNotFound", _) | (_, 401 | 404) => HubError::UnknownModel { id, endpoint, token },
        (_, 403) => {
            let reason = if reason.is_empty() { "access is forbidden".into() } else { reason };
            HubError::Refused { id, endpoint, reason }
        }
        _ => HubError::Status { id, endpoint, status, reason },
    }
}

/// What the server says of it, in a header or as JSON.
fn reason(answer: &mut Answer) -> String {
    const LONGEST: usize = 300;
    let header = answer.first("x-error-message").map(ToString::to_string);
    let said = header.or_else(|| {
        let text = answer.response.body_mut().with_config().limit(1 << 16).read_to_string().ok()?;
        let json: Value = serde_json::from_str(&text).ok()?;
        Some(json.get("error")?.as_str()?.to_string())
    });
    said.unwrap_or_default().trim().chars().take(LONGEST).collect()
}
