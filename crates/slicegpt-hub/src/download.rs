//! [`Download`]: downloads files, each of which appears whole or not at all.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use ureq::http::Uri;

use crate::ModelId;
use crate::address;
use crate::cache::{Cache, is_name, pause};
use crate::error::{HubError, Result};
use crate::header::read_header;
use crate::http::{Http, Reply};
use crate::observer::DownloadObserver;
use crate::refusal::{refusal, unreachable};
use crate::settings::HubSettings;

/// Number of bytes read at a time.
const CHUNK: usize = 1 << 16;

/// The source and the destination of downloads.
pub(crate) struct Download<'a> {
    pub http: &'a Http,
    pub settings: &'a HubSettings,
    pub cache: &'a Cache,
    pub id: &'a ModelId,
    pub commit: &'a str,
}

/// What the Hub announces about a file.
struct Announced {
    /// Digest of its contents: SHA-256 for large files, that of git for small ones.
    digest: String,
    size: Option<u64>,
}

impl Download<'_> {
    /// Downloads `name` into the snapshot, unless it is there.
    pub fn file(&self, name: &str, observer: &mut dyn DownloadObserver) -> Result<()> {
        if self.cache.snapshot(self.commit).join(name).is_file() {
            return Ok(());
        }
        let url = self.url(name)?;
        let announced = self.persist(observer, || 0, |_| self.announced(name, &url))?;
        let blob = self.cache.blob(&announced.digest);
        let _lock = self.cache.lock(&announced.digest, observer)?;
        if !blob.is_file() {
            self.contents(name, &url, &announced, observer)?;
            observer.end();
        }
        self.cache.link(&announced.digest, self.commit, name)
    }

    /// The length of the file of weights `name`, and its header.
    pub fn header(
        &self,
        name: &str,
        observer: &mut dyn DownloadObserver,
    ) -> Result<(u64, Vec<u8>)> {
        let url = self.url(name)?;
        let announced = self.persist(observer, || 0, |_| self.announced(name, &url))?;
        let invalid = |reason| HubError::UnexpectedReply {
            id: self.id.name().into(),
            endpoint: self.settings.shown_endpoint(),
            reason,
        };
        let size = announced.size;
        let size = size.ok_or_else(|| invalid(format!("it does not say how long {name} is")))?;
        let header = self.persist(
            observer,
            || 0,
            |_| {
                let mut reply = self.http.get(&url, 0).map_err(|error| self.unreachable(error))?;
                if reply.status() != 200 {
                    return Err(refusal(self.id, self.settings, &mut reply, name));
                }
                // The values are not read: the connection is closed with the reply.
                read_header(reply.response.into_body().into_reader()).map_err(|error| {
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

    /// Asks the Hub for the digest and the size of `name`.
    fn announced(&self, name: &str, url: &Uri) -> Result<Announced> {
        let mut reply = self.http.head(url).map_err(|error| self.unreachable(error))?;
        let sent_on = reply.response.status().is_redirection();
        if !reply.response.status().is_success() && !sent_on {
            return Err(refusal(self.id, self.settings, &mut reply, name));
        }
        let digest = reply.first("x-linked-etag").or(reply.header("etag"));
        let digest = digest.map(|etag| etag.trim_start_matches("W/").replace('"', ""));
        let digest =
            digest.filter(|digest| is_name(digest)).ok_or_else(|| HubError::UnexpectedReply {
                id: self.id.name().into(),
                endpoint: self.settings.shown_endpoint(),
                reason: format!("it names no contents of {name}"),
            })?;
        let linked = reply.first("x-linked-size");
        let size = linked.or(reply.header("content-length").filter(|_| !sent_on));
        Ok(Announced { digest, size: size.and_then(|size| size.parse().ok()) })
    }

    /// Downloads the contents of `name`, resuming a download that was interrupted.
    fn contents(
        &self,
        name: &str,
        url: &Uri,
        announced: &Announced,
        observer: &mut dyn DownloadObserver,
    ) -> Result<()> {
        let path = self.cache.incomplete(&announced.digest);
        let folder = path.parent().unwrap_or(&path);
        fs::create_dir_all(folder).map_err(HubError::io(folder))?;
        let length = || path.metadata().map_or(0, |metadata| metadata.len());
        let resumed = length() > 0;
        let fetch =
            |observer: &mut dyn DownloadObserver| self.rest(name, url, announced, &path, observer);
        self.persist(observer, length, fetch)?;
        let mut found = check(&path, announced)?;
        if found.is_some() {
            // An earlier download may have left other contents: download again, from the beginning.
            fs::remove_file(&path).map_err(HubError::io(&path))?;
            if resumed {
                self.persist(observer, length, fetch)?;
                found = check(&path, announced)?;
            }
        }
        if let Some(reason) = found {
            let _ = fs::remove_file(&path);
            let (id, endpoint) = (self.id.name().into(), self.settings.shown_endpoint());
            return Err(HubError::Damaged { id, endpoint, file: name.into(), reason });
        }
        let blob = self.cache.blob(&announced.digest);
        fs::rename(&path, &blob).map_err(HubError::io(&blob))
    }

    /// Appends the missing bytes to `path`.
    fn rest(
        &self,
        name: &str,
        url: &Uri,
        announced: &Announced,
        path: &Path,
        observer: &mut dyn DownloadObserver,
    ) -> Result<()> {
        let file = File::options().create(true).append(true).open(path);
        let mut file = file.map_err(HubError::io(path))?;
        let io = |error| HubError::io(path)(error);
        let mut at = file.metadata().map_err(io)?.len();
        if announced.size.is_some_and(|size| at > size) {
            file.set_len(0).map_err(io)?;
            at = 0;
        }
        if at > 0 && announced.size == Some(at) {
            return Ok(());
        }
        let mut reply = self.http.get(url, at).map_err(|error| self.unreachable(error))?;
        match reply.status() {
            206 if begins_at(&reply, at) => {}
            200 if at == 0 => {}
            // The server sends the whole file, another part, or says that there is no such part.
            200 | 206 | 416 if at > 0 => {
                file.set_len(0).map_err(io)?;
                at = 0;
                reply = self.http.get(url, 0).map_err(|error| self.unreachable(error))?;
            }
            _ => {}
        }
        if reply.status() != 200 && !(reply.status() == 206 && at > 0) {
            return Err(refusal(self.id, self.settings, &mut reply, name));
        }
        let cut = |reason: String, at: u64| HubError::Cut {
            id: self.id.name().into(),
            file: name.into(),
            reason,
            at,
        };
        observer.begin(name, announced.size, at);
        let mut body = reply.response.into_body().into_reader();
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
        match announced.size {
            Some(size) if at < size => Err(cut(format!("{at} of {size} bytes came"), at)),
            _ => file.sync_all().map_err(io),
        }
    }

    /// Repeats `what` until it succeeds, fails permanently, or fails too often in a row without an
    /// increase of `length`.
    fn persist<T>(
        &self,
        observer: &mut dyn DownloadObserver,
        length: impl Fn() -> u64,
        what: impl Fn(&mut dyn DownloadObserver) -> Result<T>,
    ) -> Result<T> {
        let (mut failures, mut longest) = (0, length());
        loop {
            let error = match what(observer) {
                Err(error) if error.is_transient() && failures < self.settings.retries => error,
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

/// Whether a partial reply begins at byte `at`.
fn begins_at(reply: &Reply, at: u64) -> bool {
    let range = reply.header("content-range").and_then(|range| range.strip_prefix("bytes "));
    let start = range.and_then(|range| range.split_once('-')).map(|(start, _)| start.trim());
    start.and_then(|start| start.parse().ok()) == Some(at)
}

/// How the file at `path` differs from what was announced, if it does.
fn check(path: &Path, announced: &Announced) -> Result<Option<String>> {
    let io = |error| HubError::io(path)(error);
    let size = path.metadata().map_err(io)?.len();
    if let Some(expected) = announced.size.filter(|announced| *announced != size) {
        return Ok(Some(format!("{size} bytes instead of {expected}")));
    }
    let is_sha256 =
        announced.digest.len() == 64 && announced.digest.chars().all(|c| c.is_ascii_hexdigit());
    if !is_sha256 {
        return Ok(None);
    }
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(path).map_err(io)?, &mut hash).map_err(io)?;
    let found = format!("{:x}", hash.finalize());
    let differs = !found.eq_ignore_ascii_case(&announced.digest);
    Ok(differs.then(|| format!("SHA-256 {found} instead of {}", announced.digest)))
}
