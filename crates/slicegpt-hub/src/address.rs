//! Addresses: parsing them, joining relative ones, comparing their servers.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::Uri;

/// Characters that are escaped in a file name as a part of a path.
const IN_NAMES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Reads an http or https address, without trailing slashes.
pub(crate) fn parse(text: &str) -> Option<Uri> {
    let uri: Uri = text.trim_end_matches('/').parse().ok()?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    (known && uri.query().is_none()).then_some(uri)
}

/// A file name as a part of a path, escaped.
pub(crate) fn part(name: &str) -> String {
    utf8_percent_encode(name, IN_NAMES).to_string()
}

/// The absolute address of `location`, relative to `base`.
pub(crate) fn join(base: &Uri, location: &str) -> Option<Uri> {
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let folder = base.path().rfind('/').map_or("/", |end| &base.path()[..=end]);
    let text = match location {
        whole if whole.contains("://") && !whole.starts_with('/') => whole.to_string(),
        host if host.starts_with("//") => format!("{scheme}:{host}"),
        path if path.starts_with('/') => format!("{scheme}://{authority}{path}"),
        query if query.starts_with('?') => format!("{scheme}://{authority}{}{query}", base.path()),
        relative => format!("{scheme}://{authority}{folder}{relative}"),
    };
    let uri: Uri = text.parse().ok()?;
    matches!(uri.scheme_str(), Some("http" | "https")).then_some(uri)
}

/// Whether both addresses have the same scheme, host and port.
pub(crate) fn same_origin(one: &Uri, other: &Uri) -> bool {
    let port = |uri: &Uri| {
        uri.port_u16().or((uri.scheme_str() == Some("https")).then_some(443)).unwrap_or(80)
    };
    let host = |uri: &Uri| uri.host().map(str::to_lowercase);
    one.scheme() == other.scheme() && host(one) == host(other) && port(one) == port(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_joined_as_a_browser_does() {
        let base: Uri = "https://hub:1/a/b?c=d".parse().unwrap();
        for (location, whole) in [
            ("/x/y?z=1", "https://hub:1/x/y?z=1"),
            ("//cdn/x", "https://cdn/x"),
            ("http://cdn/x?to=https://y", "http://cdn/x?to=https://y"),
            ("/login?to=https://y", "https://hub:1/login?to=https://y"),
            ("x", "https://hub:1/a/x"),
            ("?x", "https://hub:1/a/b?x"),
        ] {
            assert_eq!(join(&base, location), Some(whole.parse().unwrap()), "{location}");
        }
        assert_eq!(join(&base, "ftp://cdn/x"), None);
        assert_eq!(join(&base, "http://cdn/a b"), None);
    }

    #[test]
    fn origins_are_scheme_host_and_port() {
        let check =
            |other: &str| same_origin(&"https://hub/a".parse().unwrap(), &other.parse().unwrap());
        assert!(check("https://hub/b"));
        assert!(check("https://HUB:443/"));
        for other in
            ["http://hub/a", "https://hub:8443/a", "https://cdn.hub/a", "https://hub.evil/a"]
        {
            assert!(!check(other), "{other}");
        }
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(part("model-00001-of-00002.safetensors"), "model-00001-of-00002.safetensors");
        assert_eq!(part("a b#?/é"), "a%20b%23%3F%2F%C3%A9");
    }
}
