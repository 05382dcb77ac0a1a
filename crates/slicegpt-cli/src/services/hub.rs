//! MODEL on the command line: a directory, a GGUF file, or the id of a model on the Hugging Face
//! Hub.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Result, bail};
use slicegpt_checkpoint::is_companion;
use slicegpt_hub::{DownloadObserver, HubError, HubSettings, ModelId, Need, Snapshot};
use tempfile::TempDir;

use crate::services::gguf;
use crate::show::progress::{self, Bytes, Interrupted, warn};

/// The weights, and the files that are copied along with them.
pub const WEIGHTS: Need = Need::Model(is_companion);

/// The models of this command, so that all of it uses one commit of each.
static OPENED: Mutex<BTreeMap<ModelId, Snapshot>> = Mutex::new(BTreeMap::new());

/// The directory that `model` names, with the files that are needed; the one that stands for it, if
/// it is a GGUF file. The Hub is not asked for a path that exists.
pub fn located(model: &Path, need: Need) -> Result<PathBuf> {
    if let Some(directory) = gguf::directory(model)? {
        return Ok(directory);
    }
    let there = asked(model, |snapshot, watcher| snapshot.directory(need, watcher))?;
    Ok(there.unwrap_or_else(|| model.into()))
}

/// The directory of the adapter that `adapter` names. The Hub is not asked for a path that exists.
pub fn located_adapter(adapter: &Path) -> Result<PathBuf> {
    let is_id = adapter.to_str().and_then(ModelId::parse).is_some();
    if adapter.symlink_metadata().is_ok() || !is_id {
        return Ok(adapter.into());
    }
    let need = Need::Adapter(is_companion);
    let there = asked(adapter, |snapshot, watcher| snapshot.directory(need, watcher))?;
    Ok(there.unwrap_or_else(|| adapter.into()))
}

/// A directory that describes a model; a temporary one is removed on drop.
pub struct Outline {
    /// Its weight files may hold names, types and shapes only.
    pub directory: PathBuf,
    _temporary: Option<TempDir>,
}

/// The model that `model` names, without its weights if they are not on this machine.
pub fn outlined(model: &Path) -> Result<Outline> {
    // Sparse files may take space on other systems.
    if cfg!(unix) && model.symlink_metadata().is_err() {
        let temporary = tempfile::Builder::new().prefix("slicegpt-").tempdir()?;
        let outline = |snapshot: &Snapshot, watcher: &mut Watcher| {
            snapshot.outline(temporary.path(), watcher)
        };
        if asked(model, outline)? == Some(true) {
            let directory = temporary.path().to_path_buf();
            return Ok(Outline { directory, _temporary: Some(temporary) });
        }
    }
    Ok(Outline { directory: located(model, WEIGHTS)?, _temporary: None })
}

/// Asks the Hub about `model`, unless it is a path that exists.
fn asked<T>(
    model: &Path,
    what: impl FnOnce(&Snapshot, &mut Watcher) -> Result<T, HubError>,
) -> Result<Option<T>> {
    if model.is_file() && model.extension().is_none_or(|extension| extension != "gguf") {
        bail!("{}: is a file; give the directory of the model that it is part of", model.display());
    }
    if model.symlink_metadata().is_ok() {
        return Ok(None);
    }
    if let Some((_, rest)) = model.to_str().and_then(|text| text.split_once("://")) {
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let (owner, name) = (parts.next().unwrap_or("org"), parts.next().unwrap_or("name"));
        bail!("{}: is a URL; a model of the Hub is named as {owner}/{name}", model.display());
    }
    if gguf::is_named(model) {
        bail!("{}: no such file", model.display());
    }
    let Some(id) = model.to_str().and_then(ModelId::parse) else {
        bail!(
            "{}: no such directory; give a Hugging Face checkpoint directory, a GGUF file, or a \
             model of the Hub as org/name or org/name@revision",
            model.display()
        );
    };
    let mut opened = OPENED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut watcher = Watcher(None);
    let ask = || {
        if !opened.contains_key(&id) {
            let snapshot = Snapshot::open(&id, &HubSettings::from_env()?, &mut watcher)?;
            opened.insert(id.clone(), snapshot);
        }
        what(&opened[&id], &mut watcher)
    };
    ask().map(Some).map_err(|error| match error {
        HubError::Interrupted => Interrupted.into(),
        error => error.into(),
    })
}

/// Shows downloads.
struct Watcher(Option<Bytes>);

impl DownloadObserver for Watcher {
    fn begin(&mut self, file: &str, size: Option<u64>, from: u64) {
        self.end();
        self.0 = Some(Bytes::start(file, size, from));
    }

    fn advance(&mut self, bytes: u64) -> ControlFlow<()> {
        self.0.as_ref().map_or_else(progress::going_on, |bar| bar.advance(bytes))
    }

    fn end(&mut self) {
        self.0.take().into_iter().for_each(Bytes::finish);
    }

    fn warn(&mut self, message: &str) {
        warn(message);
    }
}
