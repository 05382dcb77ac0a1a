//! [`Http`]: requests to the Hub and to the servers that it redirects to.
//!
//! Redirects are followed here and not by the library, because the headers of redirects describe
//! the file, and because the token is sent to the Hub only.

use ureq::http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use ureq::{Agent, Body};

use crate::address::{join, same_origin};
use crate::settings::HubSettings;

/// Largest number of redirects that are followed, as in browsers and `curl`.
const HOPS: usize = 20;

/// The user agent.
pub(crate) const AGENT: &str = concat!("slicegpt/", env!("CARGO_PKG_VERSION"));

pub(crate) struct Http {
    agent: Agent,
    endpoint: Uri,
    token: Option<String>,
}

/// The last response, and the headers of the redirects before it.
pub(crate) struct Reply {
    pub response: Response<Body>,
    /// The headers of redirects, in order.
    redirects: Vec<HeaderMap>,
}

impl Reply {
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header of the last response.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// A header of the first response that has it, redirects included.
    pub fn first(&self, name: &str) -> Option<&str> {
        let mut all = self.redirects.iter().chain([self.response.headers()]);
        all.find_map(|headers| headers.get(name)).and_then(|value| value.to_str().ok())
    }
}

impl Http {
    pub fn new(settings: &HubSettings) -> Self {
        let patience = Some(settings.patience);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(AGENT)
            // A compressed body has another length and another digest.
            .accept_encoding("identity")
            .timeout_resolve(patience)
            .timeout_connect(patience)
            .timeout_recv_response(patience)
            .timeout_per_read(patience);
        Self {
            agent: config.build().into(),
            endpoint: settings.endpoint.clone(),
            token: settings.token.clone(),
        }
    }

    /// The headers that describe a file. A redirect that has them already is not followed.
    pub fn head(&self, url: &Uri) -> Result<Reply, ureq::Error> {
        let known = |headers: &HeaderMap| headers.contains_key("x-linked-etag");
        self.send(&Method::HEAD, url, 0, known)
    }

    /// The contents of a file from byte `from` on.
    pub fn get(&self, url: &Uri, from: u64) -> Result<Reply, ureq::Error> {
        self.send(&Method::GET, url, from, |_| false)
    }

    fn send(
        &self,
        method: &Method,
        url: &Uri,
        from: u64,
        enough: impl Fn(&HeaderMap) -> bool,
    ) -> Result<Reply, ureq::Error> {
        let mut url = url.clone();
        let mut redirects = Vec::new();
        loop {
            let mut request = Request::builder().method(method).uri(&url);
            if let Some(token) = self.token.as_ref().filter(|_| self.is_hub(&url)) {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            if from > 0 {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            let response = self.agent.run(request.body(())?)?;
            let next = next(&response, &url);
            match next.filter(|_| !enough(response.headers())) {
                Some(_) if redirects.len() == HOPS => return Err(ureq::Error::TooManyRedirects),
                Some(next) => {
                    redirects.push(response.headers().clone());
                    url = next;
                }
                None => return Ok(Reply { response, redirects }),
            }
        }
    }

    /// Whether `url` is at the Hub itself, the only server that gets the token.
    fn is_hub(&self, url: &Uri) -> bool {
        same_origin(url, &self.endpoint)
    }
}

/// The target of a redirect.
fn next(response: &Response<Body>, url: &Uri) -> Option<Uri> {
    const REDIRECTS: [StatusCode; 5] = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    REDIRECTS.contains(&response.status()).then(|| join(url, location))?
}
