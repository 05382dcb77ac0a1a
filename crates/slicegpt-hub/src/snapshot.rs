//! [`Snapshot`]: one commit of a model.

use std::path::PathBuf;

use hf_hub::Repo;
use hf_hub::api::RepoInfo;

use crate::answer::refusal;
use crate::cache::{Cache, is_name};
use crate::download::{Download, unreachable};
use crate::error::{HubError, Result};
use crate::http::Http;
use crate::listing::{Need, Needed, instead, shards};
use crate::observer::Observer;
use crate::{ModelId, Settings};

/// The largest list of files that is read, in bytes.
const LARGEST_LIST: u64 = 64 << 20;

/// One commit of a model: that of its revision when it was opened.
pub struct Snapshot {
    id: ModelId,
    pub(crate) commit: String,
    pub(crate) cache: Cache,
    settings: Settings,
    pub(crate) origin: Origin,
}

/// Where files come from that are not in the cache.
pub(crate) enum Origin {
    /// The Hub, which lists these.
    Hub { http: Http, files: Vec<String> },
    /// Nowhere, and why.
    Nowhere(String),
}

impl Snapshot {
    /// Asks the Hub what `id` is at; if it cannot be asked, or does not say, the cache.
    ///
    /// # Errors
    ///
    /// If the Hub does not know the revision, or knows no such model, or cannot be reached, and there
    /// is nothing of it in the cache.
    pub fn open(id: &ModelId, settings: &Settings, observer: &mut dyn Observer) -> Result<Self> {
        let cache = Cache::of(&settings.cache, id);
        let http = Http::new(settings);
        let cached = cache.commit(id.revision());
        let snapshot = |commit, cache, origin| Self {
            id: id.clone(),
            commit,
            cache,
            settings: settings.clone(),
            origin,
        };
        if settings.offline {
            let Some(commit) = cached else {
                return Err(HubError::Offline { id: id.to_string(), cache: cache.folder().into() });
            };
            let why = "HF_HUB_OFFLINE is set: unset it to download it".into();
            return Ok(snapshot(commit, cache, Origin::Nowhere(why)));
        }
        match (info(id, settings, &http), cached) {
            (Ok(RepoInfo { siblings, sha }), _) => {
                let files = siblings.into_iter().map(|file| file.rfilename).collect();
                Ok(snapshot(sha, cache, Origin::Hub { http, files }))
            }
            (Err(HubError::Unreachable { id, endpoint, reason }), None) => {
                let cache = cache.folder().into();
                Err(HubError::Nowhere { id, endpoint, reason, cache })
            }
            (Err(error @ HubError::UnknownRevision { .. }), _) | (Err(error), None) => Err(error),
            (Err(error), Some(commit)) => {
                observer.warn(&format!("{error}; using the copy in the cache"));
                Ok(snapshot(commit, cache, Origin::Nowhere(error.to_string())))
            }
        }
    }

    /// Its directory, which then holds what is needed.
    ///
    /// # Errors
    ///
    /// If a file that is needed is nowhere, cannot be downloaded, or cannot be written.
    pub fn directory(&self, need: Need, observer: &mut dyn Observer) -> Result<PathBuf> {
        let directory = self.cache.snapshot(&self.commit);
        let (Origin::Hub { files, .. }, Some(download)) = (&self.origin, self.download()) else {
            self.check(need)?;
            return Ok(directory);
        };
        let needed = Needed::of(files, need).map_err(|missing| self.without(missing, files))?;
        for file in &needed.files {
            download.file(file, observer)?;
        }
        if let Some(index) = needed.index {
            for shard in shards(&directory.join(index))? {
                download.file(&shard, observer)?;
            }
        }
        self.cache.refer(self.id.revision(), &self.commit)?;
        Ok(directory)
    }

    /// What downloads files of it, unless there is no Hub to ask.
    pub(crate) fn download(&self) -> Option<Download<'_>> {
        let Origin::Hub { http, .. } = &self.origin else { return None };
        let Self { id, commit, cache, settings, .. } = self;
        Some(Download { http, settings, cache, id, commit })
    }

    /// Checks that the cache holds what is needed.
    fn check(&self, need: Need) -> Result<()> {
        let there = self.there()?;
        let needed = Needed::of(&there, need).map_err(|missing| self.without(missing, &there))?;
        let Some(index) = needed.index else { return Ok(()) };
        let mut missing = shards(&self.cache.snapshot(&self.commit).join(index))?;
        missing.retain(|shard| !there.contains(shard));
        if missing.is_empty() { Ok(()) } else { Err(self.without(missing, &there)) }
    }

    /// The files that are in the cache. Links to blobs that are gone are not there.
    pub(crate) fn there(&self) -> Result<Vec<String>> {
        let directory = self.cache.snapshot(&self.commit);
        let entries = std::fs::read_dir(&directory).map_err(HubError::io(&directory))?;
        let files = entries.flatten().filter(|entry| entry.path().is_file());
        Ok(files.filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    /// The error that it is, that `missing` is not among `listed`.
    pub(crate) fn without(&self, missing: Vec<String>, listed: &[String]) -> HubError {
        let id = self.id.to_string();
        match &self.origin {
            Origin::Hub { .. } => {
                HubError::NoModel { id, missing, instead: instead(listed).into() }
            }
            Origin::Nowhere(why) => {
                let snapshot = self.cache.snapshot(&self.commit);
                HubError::Incomplete { id, missing, snapshot, why: why.clone() }
            }
        }
    }
}

/// What the Hub says of `id`: its commit and its files.
fn info(id: &ModelId, settings: &Settings, http: &Http) -> Result<RepoInfo> {
    let repo = Repo::with_revision(id.name().into(), hf_hub::RepoType::Model, id.revision().into());
    let endpoint = settings.shown_endpoint();
    let wrong = |reason: String| HubError::Answer {
        id: id.to_string(),
        endpoint: endpoint.clone(),
        reason,
    };
    let url = format!("{endpoint}/api/{}", repo.api_url());
    let url = url.parse().map_err(|_| HubError::Endpoint(endpoint.clone()))?;
    let answer = http.get(&url, 0);
    let mut answer = answer.map_err(|error| unreachable(id, settings, &error))?;
    if answer.status() != 200 {
        return Err(refusal(id, settings, &mut answer, ""));
    }
    let body = answer.response.body_mut().with_config().limit(LARGEST_LIST).read_to_vec();
    let body = body.map_err(|error| unreachable(id, settings, &error))?;
    let info: RepoInfo =
        serde_json::from_slice(&body).map_err(|error| wrong(format!("not its JSON: {error}")))?;
    match is_name(&info.sha) {
        true => Ok(info),
        false => Err(wrong(format!("`{}` is no commit", info.sha))),
    }
}
