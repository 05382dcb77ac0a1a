//! [`HubSettings`]: the address of the Hub, its cache, the token.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::Uri;

use crate::address;
use crate::error::{HubError, Result};

/// The Hub, unless `HF_ENDPOINT` names another.
const ENDPOINT: &str = "https://huggingface.co";

/// Settings for requests to the Hub. There is no `Debug`, so that the token is never printed.
#[derive(Clone)]
pub struct HubSettings {
    /// The address of the Hub.
    pub endpoint: Uri,
    /// The folder of the cache, which contains `models--org--name`.
    pub cache: PathBuf,
    /// The access token.
    pub token: Option<String>,
    /// Whether only the cache is used, and nothing is requested.
    pub offline: bool,
    /// Time limit for a connection, a response, or the next bytes of it.
    pub patience: Duration,
    /// How often in a row a download may fail without a new byte.
    pub retries: u32,
    /// Time before the first retry. It doubles with every further one.
    pub pause: Duration,
}

impl HubSettings {
    /// The settings that `huggingface_hub` reads from the same environment: `HF_ENDPOINT`,
    /// `HF_HOME`, `HF_HUB_CACHE`, `HF_HUB_OFFLINE`, `HF_HUB_DOWNLOAD_TIMEOUT`, and, unless
    /// `HF_HUB_DISABLE_IMPLICIT_TOKEN` is set, `HF_TOKEN` or the file that `hf auth login` writes
    /// (`HF_TOKEN_PATH`). Empty variables are ignored.
    ///
    /// # Errors
    ///
    /// If a variable has an invalid value, or there is no home directory for the cache.
    pub fn from_env() -> Result<Self> {
        Self::read(|name| std::env::var_os(name), std::env::home_dir())
    }

    fn read(var: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Result<Self> {
        let var = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| var(name));
            values.find(|value| !value.is_empty())
        };
        let text =
            |names: &[&str]| var(names).map(|value| value.to_string_lossy().trim().to_string());
        let path = |names: &[&str]| var(names).map(|path| expanded(path.into(), home.as_deref()));
        let flag = |names: &[&str]| {
            let yes = |value: String| matches!(&*value.to_lowercase(), "1" | "on" | "yes" | "true");
            text(names).is_some_and(yes)
        };
        let hugging_face = path(&["HF_HOME"]).or_else(|| {
            let caches =
                path(&["XDG_CACHE_HOME"]).or(home.as_ref().map(|home| home.join(".cache")));
            Some(caches?.join("huggingface"))
        });
        let inside = |name: &str| hugging_face.as_ref().map(|home| home.join(name));
        let cache = path(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]).or(inside("hub"));
        let stored = || {
            let file = path(&["HF_TOKEN_PATH"]).or(inside("token"))?;
            Some(std::fs::read_to_string(file).ok()?.trim().to_string())
        };
        let token = if flag(&["HF_HUB_DISABLE_IMPLICIT_TOKEN"]) {
            None
        } else {
            text(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]).or_else(stored)
        };
        let token = token.filter(|token| !token.is_empty());
        if token.iter().any(|token| !token.chars().all(|c| c.is_ascii_graphic())) {
            return Err(HubError::TokenIsNone);
        }
        let endpoint = text(&["HF_ENDPOINT"]).unwrap_or_else(|| ENDPOINT.into());
        let address = address::parse(&endpoint);
        let seconds = text(&["HF_HUB_DOWNLOAD_TIMEOUT"]).and_then(|value| value.parse().ok());
        Ok(Self {
            endpoint: address.ok_or(HubError::Endpoint(endpoint))?,
            cache: cache.ok_or(HubError::NoCache)?,
            token,
            offline: flag(&["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]),
            patience: Duration::from_secs(seconds.filter(|seconds| *seconds > 0).unwrap_or(10)),
            retries: 5,
            pause: Duration::from_millis(250),
        })
    }

    /// The address of the Hub, without a trailing slash.
    pub(crate) fn shown_endpoint(&self) -> String {
        self.endpoint.to_string().trim_end_matches('/').to_string()
    }
}

/// Expands `~` at the start of `path` to the home directory.
fn expanded(path: PathBuf, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<HubSettings> {
        let find = |name: &str| variables.iter().find(|(other, _)| *other == name);
        HubSettings::read(|name| find(name).map(|(_, value)| value.into()), Some("/home/me".into()))
    }

    #[test]
    fn the_cache_is_that_of_huggingface_hub() {
        let check = |variables: &[(&str, &str)], cache: &str| {
            assert_eq!(read(variables).unwrap().cache, Path::new(cache), "{variables:?}");
        };
        check(&[], "/home/me/.cache/huggingface/hub");
        check(&[("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub");
        check(&[("HF_HOME", "/hf"), ("XDG_CACHE_HOME", "/x")], "/hf/hub");
        check(&[("HF_HOME", "~/hf")], "/home/me/hf/hub");
        check(&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c")], "/c");
        check(&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "")], "/hf/hub");
        assert!(matches!(HubSettings::read(|_| None, None), Err(HubError::NoCache)));
    }

    #[test]
    fn the_token_comes_from_a_variable_or_a_file() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "hf_file\n").unwrap();
        let home = home.path().to_str().unwrap();
        let check = |variables: &[(&str, &str)], token: Option<&str>| {
            assert_eq!(read(variables).unwrap().token.as_deref(), token, "{variables:?}");
        };
        check(&[], None);
        check(&[("HF_HOME", home)], Some("hf_file"));
        check(&[("HF_HOME", home), ("HF_TOKEN", " hf_given ")], Some("hf_given"));
        check(&[("HF_HOME", home), ("HF_TOKEN", "")], Some("hf_file"));
        check(&[("HF_TOKEN_PATH", &format!("{home}/token"))], Some("hf_file"));
        check(&[("HF_TOKEN", "a"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")], None);
        assert!(matches!(read(&[("HF_TOKEN", "a b")]), Err(HubError::TokenIsNone)));
    }

    #[test]
    fn the_endpoint_is_an_address() {
        let check = |endpoint: &str, shown: &str| {
            let settings = read(&[("HF_ENDPOINT", endpoint)]).unwrap();
            assert_eq!(settings.shown_endpoint(), shown);
        };
        check("", ENDPOINT);
        check("http://mirror:8080/", "http://mirror:8080");
        check("https://mirror/hf/", "https://mirror/hf");
        for bad in ["mirror", "file:///tmp", "ftp://mirror"] {
            assert!(matches!(read(&[("HF_ENDPOINT", bad)]), Err(HubError::Endpoint(_))), "{bad}");
        }
        for (value, offline) in [("1", true), ("TRUE", true), ("0", false), ("", false)] {
            assert_eq!(read(&[("HF_HUB_OFFLINE", value)]).unwrap().offline, offline);
        }
    }
}
