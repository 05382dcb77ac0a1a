//! MODEL as it is given: a directory, or the id of a model on the Hugging Face Hub.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Result, bail};
use slicegpt_checkpoint::is_companion;
use slicegpt_hub::{HubError, ModelId, Need, Observer, Settings, Snapshot};
use tempfile::TempDir;

use crate::show::progress::{self, Bytes, Interrupted, warn};

/// To read the weights, and copy what lies beside them.
pub const WEIGHTS: Need = Need::Model(is_companion);

/// The models that were asked for, so that all of a command is about one commit of each.
static OPENED: Mutex<BTreeMap<ModelId, Snapshot>> = Mutex::new(BTreeMap::new());

/// The directory that `model` names, which holds what is needed. What exists here is not asked of
/// the Hub.
pub fn located(model: &Path, need: Need) -> Result<PathBuf> {
    let there = asked(model, |snapshot, watcher| snapshot.directory(need, watcher))?;
    Ok(there.unwrap_or_else(|| model.into()))
}

/// A directory that describes a model, until it is dropped.
pub struct Outline {
    /// Its files of weights may hold names, types and shapes only.
    pub directory: PathBuf,
    _temporary: Option<TempDir>,
}

/// What `model` names, without the weights if they are not here.
pub fn outlined(model: &Path) -> Result<Outline> {
    // Elsewhere a long file without contents may take room.
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

/// What the Hub says of `model`, unless it is here.
fn asked<T>(
    model: &Path,
    what: impl FnOnce(&Snapshot, &mut Watcher) -> Result<T, HubError>,
) -> Result<Option<T>> {
    if model.symlink_metadata().is_ok() {
        return Ok(None);
    }
    let Some(id) = model.to_str().and_then(ModelId::parse) else {
        bail!(
            "{}: no such directory; give a Hugging Face checkpoint directory, or a model of the Hub as \
             org/name or org/name@revision",
            model.display()
        );
    };
    let mut opened = OPENED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut watcher = Watcher(None);
    let ask = || {
        if !opened.contains_key(&id) {
            let snapshot = Snapshot::open(&id, &Settings::from_env()?, &mut watcher)?;
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

impl Observer for Watcher {
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
