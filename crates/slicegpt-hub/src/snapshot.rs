//! [`Snapshot`]: one commit of a model in the cache.

use std::path::PathBuf;

use hf_hub::Repo;
use hf_hub::api::RepoInfo;

use crate::cache::{Cache, is_name};
use crate::download::Download;
use crate::error::{HubError, Result};
use crate::http::Http;
use crate::listing::{Need, Needed, instead, shards};
use crate::observer::DownloadObserver;
use crate::refusal::{refusal, unreachable};
use crate::{HubSettings, ModelId};

/// Largest list of files that is read, in bytes.
const LARGEST_LIST: u64 = 64 << 20;

/// One commit of a model, the one that its revision had when the snapshot was opened.
pub struct Snapshot {
    id: ModelId,
    pub(crate) commit: String,
    pub(crate) cache: Cache,
    settings: HubSettings,
    pub(crate) origin: Origin,
}

/// The source of files that are not in the cache.
pub(crate) enum Origin {
    /// The Hub, which has these files.
    Hub { http: Http, files: Vec<String> },
    /// There is none, for this reason.
    Nowhere(String),
}

impl Snapshot {
    /// Asks the Hub for the commit of `id`. If the Hub cannot be reached or fails, takes the commit
    /// in the cache.
    ///
    /// # Errors
    ///
    /// If the Hub does not know the revision; or if it does not know the model or cannot be
    /// reached, and the cache does not have it.
    pub fn open(
        id: &ModelId,
        settings: &HubSettings,
        observer: &mut dyn DownloadObserver,
    ) -> Result<Self> {
        let cache = Cache::new(&settings.cache, id);
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

    /// Downloads the needed files that are missing, and returns the directory.
    ///
    /// # Errors
    ///
    /// If a needed file does not exist, cannot be downloaded, or cannot be written.
    pub fn directory(&self, need: Need, observer: &mut dyn DownloadObserver) -> Result<PathBuf> {
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

    /// The downloads of this snapshot, if the Hub can be reached.
    pub(crate) fn download(&self) -> Option<Download<'_>> {
        let Origin::Hub { http, .. } = &self.origin else { return None };
        let Self { id, commit, cache, settings, .. } = self;
        Some(Download { http, settings, cache, id, commit })
    }

    /// Checks that the cache has the needed files.
    fn check(&self, need: Need) -> Result<()> {
        let cached = self.cached()?;
        let needed = Needed::of(&cached, need).map_err(|missing| self.without(missing, &cached))?;
        let Some(index) = needed.index else { return Ok(()) };
        let mut missing = shards(&self.cache.snapshot(&self.commit).join(index))?;
        missing.retain(|shard| !cached.contains(shard));
        if missing.is_empty() { Ok(()) } else { Err(self.without(missing, &cached)) }
    }

    /// The files in the cache, without links to deleted blobs.
    pub(crate) fn cached(&self) -> Result<Vec<String>> {
        let directory = self.cache.snapshot(&self.commit);
        let entries = std::fs::read_dir(&directory).map_err(HubError::io(&directory))?;
        let files = entries.flatten().filter(|entry| entry.path().is_file());
        Ok(files.filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    /// The error that the files `missing` are not among `listed`.
    pub(crate) fn without(&self, missing: Vec<String>, listed: &[String]) -> HubError {
        let id = self.id.to_string();
        match &self.origin {
            Origin::Hub { .. } => {
                let instead = instead(&missing, listed).into();
                HubError::NoModel { id, missing, instead }
            }
            Origin::Nowhere(why) => {
                let snapshot = self.cache.snapshot(&self.commit);
                HubError::Incomplete { id, missing, snapshot, why: why.clone() }
            }
        }
    }
}

/// Asks the Hub for the commit and the files of `id`.
fn info(id: &ModelId, settings: &HubSettings, http: &Http) -> Result<RepoInfo> {
    let repo = Repo::with_revision(id.name().into(), hf_hub::RepoType::Model, id.revision().into());
    let endpoint = settings.shown_endpoint();
    let wrong = |reason: String| HubError::UnexpectedReply {
        id: id.to_string(),
        endpoint: endpoint.clone(),
        reason,
    };
    let url = format!("{endpoint}/api/{}", repo.api_url());
    let url = url.parse().map_err(|_| HubError::Endpoint(endpoint.clone()))?;
    let reply = http.get(&url, 0);
    let mut reply = reply.map_err(|error| unreachable(id, settings, &error))?;
    if reply.status() != 200 {
        return Err(refusal(id, settings, &mut reply, ""));
    }
    let body = reply.response.body_mut().with_config().limit(LARGEST_LIST).read_to_vec();
    let body = body.map_err(|error| unreachable(id, settings, &error))?;
    let info: RepoInfo =
        serde_json::from_slice(&body).map_err(|error| wrong(format!("not its JSON: {error}")))?;
    if is_name(&info.sha) {
        Ok(info)
    } else {
        Err(wrong(format!("`{}` is not a commit", info.sha)))
    }
}
