//! [`Download`]: one file after another, each whole or not there.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use ureq::http::Uri;

use crate::ModelId;
use crate::address;
use crate::answer::refusal;
use crate::cache::{Cache, is_name, pause};
use crate::error::{HubError, Result};
use crate::http::{Answer, Http};
use crate::observer::Observer;
use crate::outline::beginning;
use crate::settings::Settings;

/// Bytes read at a time.
const CHUNK: usize = 1 << 16;

/// From where files come, and where to.
pub(crate) struct Download<'a> {
    pub http: &'a Http,
    pub settings: &'a Settings,
    pub cache: &'a Cache,
    pub id: &'a ModelId,
    pub commit: &'a str,
}

/// What the Hub says of a file.
struct Promise {
    /// What names its contents: their SHA-256 where they are large, else one of git.
    digest: String,
    size: Option<u64>,
}

impl Download<'_> {
    /// Makes `name` appear in the snapshot, unless it is there.
    pub fn file(&self, name: &str, observer: &mut dyn Observer) -> Result<()> {
        if self.cache.snapshot(self.commit).join(name).is_file() {
            return Ok(());
        }
        let url = self.url(name)?;
        let promise = self.persist(observer, || 0, |_| self.promise(name, &url))?;
        let blob = self.cache.blob(&promise.digest);
        let _lock = self.cache.lock(&promise.digest, observer)?;
        if !blob.is_file() {
            self.contents(name, &url, &promise, observer)?;
            observer.end();
        }
        self.cache.link(&promise.digest, self.commit, name)
    }

    /// How long the file of weights `name` is, and its header.
    pub fn header(&self, name: &str, observer: &mut dyn Observer) -> Result<(u64, Vec<u8>)> {
        let url = self.url(name)?;
        let promise = self.persist(observer, || 0, |_| self.promise(name, &url))?;
        let answer = |reason| HubError::Answer {
            id: self.id.name().into(),
            endpoint: self.settings.shown_endpoint(),
            reason,
        };
        let size = promise.size;
        let size = size.ok_or_else(|| answer(format!("it does not say how long {name} is")))?;
        let header = self.persist(
            observer,
            || 0,
            |_| {
                let mut answer = self.http.get(&url, 0).map_err(|error| self.unreachable(error))?;
                if answer.status() != 200 {
                    return Err(refusal(self.id, self.settings, &mut answer, name));
                }
                // What follows is not read: the connection ends with the answer.
                beginning(answer.response.into_body().into_reader()).map_err(|error| {
                    HubError::Cut {
                        id: self.id.name().into(),
                        file: name.into(),
                        reason: error.to_string(),
                        at: 0,
                    }
                })
            },
        )?;
        Ok((size, header))
    }

    fn url(&self, name: &str) -> Result<Uri> {
        let (endpoint, part) = (self.settings.shown_endpoint(), address::part(name));
        let url = format!("{endpoint}/{}/resolve/{}/{part}", self.id.name(), self.commit);
        url.parse().map_err(|_| HubError::Endpoint(endpoint))
    }

    /// Asks what `name` is.
    fn promise(&self, name: &str, url: &Uri) -> Result<Promise> {
        let mut answer = self.http.head(url).map_err(|error| self.unreachable(error))?;
        let sent_on = answer.response.status().is_redirection();
        if !answer.response.status().is_success() && !sent_on {
            return Err(refusal(self.id, self.settings, &mut answer, name));
        }
        let digest = answer.first("x-linked-etag").or(answer.header("etag"));
        let digest = digest.map(|etag| etag.trim_start_matches("W/").replace('"', ""));
        let digest = digest.filter(|digest| is_name(digest)).ok_or_else(|| HubError::Answer {
            id: self.id.name().into(),
            endpoint: self.settings.shown_endpoint(),
            reason: format!("it names no contents of {name}"),
        })?;
        let linked = answer.first("x-linked-size");
        let size = linked.or(answer.header("content-length").filter(|_| !sent_on));
        Ok(Promise { digest, size: size.and_then(|size| size.parse().ok()) })
    }

    /// Downloads the contents of `name`, going on where an earlier download was cut.
    fn contents(
        &self,
        name: &str,
        url: &Uri,
        promise: &Promise,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let path = self.cache.incomplete(&promise.digest);
        let folder = path.parent().unwrap_or(&path);
        fs::create_dir_all(folder).map_err(HubError::io(folder))?;
        let length = || path.metadata().map_or(0, |metadata| metadata.len());
        let resumed = length() > 0;
        let fetch = |observer: &mut dyn Observer| self.rest(name, url, promise, &path, observer);
        self.persist(observer, length, fetch)?;
        let mut found = check(&path, promise)?;
        if found.is_some() {
            // What an earlier download left may be of another kind: once more, from the beginning.
            fs::remove_file(&path).map_err(HubError::io(&path))?;
            if resumed {
                self.persist(observer, length, fetch)?;
                found = check(&path, promise)?;
            }
        }
        if let Some(reason) = found {
            let _ = fs::remove_file(&path);
            let (id, endpoint) = (self.id.name().into(), self.settings.shown_endpoint());
            return Err(HubError::Damaged { id, endpoint, file: name.into(), reason });
        }
        let blob = self.cache.blob(&promise.digest);
        fs::rename(&path, &blob).map_err(HubError::io(&blob))
    }

    /// Appends to `path` what is not there yet.
    fn rest(
        &self,
        name: &str,
        url: &Uri,
        promise: &Promise,
        path: &Path,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let file = File::options().create(true).append(true).open(path);
        let mut file = file.map_err(HubError::io(path))?;
        let io = |error| HubError::io(path)(error);
        let mut at = file.metadata().map_err(io)?.len();
        if promise.size.is_some_and(|size| at > size) {
            file.set_len(0).map_err(io)?;
            at = 0;
        }
        if at > 0 && promise.size == Some(at) {
            return Ok(());
        }
        let mut answer = self.http.get(url, at).map_err(|error| self.unreachable(error))?;
        match answer.status() {
            206 if begins_at(&answer, at) => {}
            200 if at == 0 => {}
            // The server sends the whole, another part, or says there is no such part.
            200 | 206 | 416 if at > 0 => {
                file.set_len(0).map_err(io)?;
                at = 0;
                answer = self.http.get(url, 0).map_err(|error| self.unreachable(error))?;
            }
            _ => {}
        }
        if answer.status() != 200 && !(answer.status() == 206 && at > 0) {
            return Err(refusal(self.id, self.settings, &mut answer, name));
        }
        let cut = |reason: String, at: u64| HubError::Cut {
            id: self.id.name().into(),
            file: name.into(),
            reason,
            at,
        };
        observer.begin(name, promise.size, at);
        let mut body = answer.response.into_body().into_reader();
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = body.read(&mut buffer).map_err(|error| cut(error.to_string(), at))?;
            if observer.advance(count as u64).is_break() {
                return Err(HubError::Interrupted);
            }
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count]).map_err(io)?;
            at += count as u64;
        }
        match promise.size {
            Some(size) if at < size => Err(cut(format!("{at} of {size} bytes came"), at)),
            _ => file.sync_all().map_err(io),
        }
    }

    /// Tries `what` until it succeeds, or fails for good, or fails so often in a row that `length`
    /// does not grow any more.
    fn persist<T>(
        &self,
        observer: &mut dyn Observer,
        length: impl Fn() -> u64,
        what: impl Fn(&mut dyn Observer) -> Result<T>,
    ) -> Result<T> {
        let (mut failures, mut longest) = (0, length());
        loop {
            let error = match what(observer) {
                Err(error) if error.is_passing() && failures < self.settings.retries => error,
                done => return done,
            };
            let now = length();
            failures = if now > longest { 1 } else { failures + 1 };
            longest = longest.max(now);
            drop(error);
            pause(self.settings.pause * 2_u32.pow(failures.min(6) - 1), observer)?;
        }
    }

    fn unreachable(&self, error: ureq::Error) -> HubError {
        unreachable(self.id, self.settings, &error)
    }
}

/// The error that no answer is.
pub(crate) fn unreachable(id: &ModelId, settings: &Settings, error: &ureq::Error) -> HubError {
    HubError::Unreachable {
        id: id.name().into(),
        endpoint: settings.shown_endpoint(),
        reason: error.to_string(),
    }
}

/// Whether a part of a file is the one from byte `at` on.
fn begins_at(answer: &Answer, at: u64) -> bool {
    let range = answer.header("content-range").and_then(|range| range.strip_prefix("bytes "));
    let start = range.and_then(|range| range.split_once('-')).map(|(start, _)| start.trim());
    start.and_then(|start| start.parse().ok()) == Some(at)
}

/// What is wrong with the file at `path`, if it is not what was promised.
fn check(path: &Path, promise: &Promise) -> Result<Option<String>> {
    let io = |error| HubError::io(path)(error);
    let size = path.metadata().map_err(io)?.len();
    if let Some(promised) = promise.size.filter(|promised| *promised != size) {
        return Ok(Some(format!("{size} bytes instead of {promised}")));
    }
    let is_sha256 =
        promise.digest.len() == 64 && promise.digest.chars().all(|c| c.is_ascii_hexdigit());
    if !is_sha256 {
        return Ok(None);
    }
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(path).map_err(io)?, &mut hash).map_err(io)?;
    let found = format!("{:x}", hash.finalize());
    let differs = !found.eq_ignore_ascii_case(&promise.digest);
    Ok(differs.then(|| format!("SHA-256 {found} instead of {}", promise.digest)))
}
