//! MODEL as it is given: a directory, or the id of a model on the Hugging Face Hub.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Result, bail};
use slicegpt_checkpoint::is_companion;
use slicegpt_hub::{HubError, ModelId, Need, Observer, Settings, Snapshot};

use crate::progress::{self, Bytes, Interrupted, warn};

/// To read the weights, and copy what lies beside them.
pub const WEIGHTS: Need = Need::Model(is_companion);

/// The models that were asked for, so that all of a command is about one commit of each.
static OPENED: Mutex<BTreeMap<ModelId, Snapshot>> = Mutex::new(BTreeMap::new());

/// The directory that `model` names, which holds what is needed. What exists here is not asked of
/// the Hub.
pub fn located(model: &Path, need: Need) -> Result<PathBuf> {
    if model.symlink_metadata().is_ok() {
        return Ok(model.into());
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
    let mut locate = || {
        if !opened.contains_key(&id) {
            let snapshot = Snapshot::open(&id, &Settings::from_env()?, &mut watcher)?;
            opened.insert(id.clone(), snapshot);
        }
        opened[&id].directory(need, &mut watcher)
    };
    locate().map_err(|error| match error {
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
