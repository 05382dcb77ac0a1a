//! [`Http`]: requests to the Hub, and to where it sends one on to.
//!
//! Redirects are followed here and not by the library, because the headers on the way say what a file
//! is, and because the token is for the Hub alone.

use ureq::http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use ureq::{Agent, Body};

use crate::address::{join, same_origin};
use crate::settings::Settings;

/// Redirects followed at most, as by browsers and `curl`.
const HOPS: usize = 20;

/// Who asks.
pub(crate) const AGENT: &str = concat!("slicegpt/", env!("CARGO_PKG_VERSION"));

pub(crate) struct Http {
    agent: Agent,
    endpoint: Uri,
    token: Option<String>,
}

/// The last answer, and what was said on the way.
pub(crate) struct Answer {
    pub response: Response<Body>,
    /// The headers of redirects, in order.
    way: Vec<HeaderMap>,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header of the last answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// A header of the first answer that has it.
    pub fn first(&self, name: &str) -> Option<&str> {
        let mut all = self.way.iter().chain([self.response.headers()]);
        all.find_map(|headers| headers.get(name)).and_then(|value| value.to_str().ok())
    }
}

impl Http {
    pub fn new(settings: &Settings) -> Self {
        let patience = Some(settings.patience);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(AGENT)
            // What is packed on the way has another length, and another digest.
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

    /// What a file is. Where its contents are is not followed, once it was said what they are.
    pub fn head(&self, url: &Uri) -> Result<Answer, ureq::Error> {
        let known = |headers: &HeaderMap| headers.contains_key("x-linked-etag");
        self.send(&Method::HEAD, url, 0, known)
    }

    /// The contents of a file from byte `from` on.
    pub fn get(&self, url: &Uri, from: u64) -> Result<Answer, ureq::Error> {
        self.send(&Method::GET, url, from, |_| false)
    }

    fn send(
        &self,
        method: &Method,
        url: &Uri,
        from: u64,
        enough: impl Fn(&HeaderMap) -> bool,
    ) -> Result<Answer, ureq::Error> {
        let mut url = url.clone();
        let mut way = Vec::new();
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
                Some(_) if way.len() == HOPS => return Err(ureq::Error::TooManyRedirects),
                Some(next) => {
                    way.push(response.headers().clone());
                    url = next;
                }
                None => return Ok(Answer { response, way }),
            }
        }
    }

    /// Whether `url` is the Hub itself: the token is for nobody else.
    fn is_hub(&self, url: &Uri) -> bool {
        same_origin(url, &self.endpoint)
    }
}

/// Where an answer sends one on to.
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
