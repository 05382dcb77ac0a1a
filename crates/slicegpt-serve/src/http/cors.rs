//! [`Origin`]: pages that may use the server from a browser; [`cors`]: the headers that allow it.

use std::str::FromStr;
use std::time::Duration;

use axum::http::{HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

/// How long a browser may cache the response to a preflight request.
const MAX_AGE: Duration = Duration::from_secs(600);

/// The origin of pages in a browser, or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "an origin is http:// or https:// and a host, such as http://localhost:3000; or *"
                .to_string()
        };
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        match host {
            Some(host) if !host.is_empty() && !host.contains(['/', ' ', '*', ',']) => {}
            _ if text == "*" => {}
            _ => return Err(wrong()),
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| wrong())
    }
}

/// The CORS headers, and responses to preflight requests, for pages of `origins`; none if there are
/// no origins.
pub fn cors(origins: &[Origin]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origin = if origins.iter().any(|origin| origin.0 == "*") {
        AllowOrigin::from(Any)
    } else {
        AllowOrigin::list(origins.iter().map(|origin| origin.0.clone()))
    };
    let layer = CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::POST])
        // `*` would not cover `Authorization`.
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(MAX_AGE);
    // Whoever sets origins wants their pages to reach a server in a private network, too.
    Some(layer.allow_private_network(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_no_path() {
        for good in ["*", "http://localhost:3000", "https://chat.example.org"] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        let bad = ["", "localhost", "http://", "http://a/", "http://a/b", "http://*.a", "ftp://a"];
        for bad in [&bad[..], &["http://a, http://b", "http://a\n"]].concat() {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
