//! The state of a training in a file beside its output, from which it goes on after an
//! interruption.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use slicegpt_train::{Settings, State};

use super::arguments::{Args, Weights};
use super::data::Data;
use crate::services::files::write_whole;
use crate::services::model::Opened;

/// The version of the file. Others are refused.
const FORMAT: u32 = 1;

/// The key of the metadata.
const KEY: &str = "slicegpt-training";

/// Everything about a training but its tensors.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    format: u32,
    /// What must be equal for the training to go on: model, sequences, settings.
    origin: String,
    step: usize,
    since_best: usize,
    best: Option<f64>,
    /// What each step gave.
    pub curve: Vec<Value>,
    /// The perplexities of each evaluation.
    pub evaluations: Vec<Value>,
    /// Seconds of training before.
    pub seconds: f64,
}

/// The file of a training.
pub struct Saved {
    path: PathBuf,
    origin: String,
}

impl Saved {
    /// The file beside the output `out`, of the training that `origin` describes.
    pub fn beside(out: &Path, origin: String) -> Self {
        // Without a separator at the end.
        let mut name = out.components().as_path().as_os_str().to_owned();
        name.push(".training");
        Self { path: name.into(), origin }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses to overwrite an interrupted training.
    pub fn check_new(&self) -> Result<()> {
        if self.path.exists() {
            bail!(
                "{}: holds an interrupted training; give --resume to go on with it, or remove it",
                self.path.display()
            );
        }
        Ok(())
    }

    /// Reads the state; `new` is that before the first step.
    pub fn read(&self, new: State) -> Result<(State, Progress)> {
        let at = || self.path.display().to_string();
        let bytes = slicegpt_limits::read(&self.path, u64::MAX)
            .with_context(|| format!("--resume: {}: no training was interrupted there", at()))?;
        let foreign = || anyhow!("{}: this is no state of a training; remove it", at());
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|_| foreign())?;
        let text =
            header.metadata().as_ref().and_then(|notes| notes.get(KEY)).ok_or_else(foreign)?;
        let progress: Progress = serde_json::from_str(text).map_err(|_| foreign())?;
        if progress.format != FORMAT {
            bail!("{}: is of another version of slicegpt; remove it", at());
        }
        if progress.origin != self.origin {
            bail!(
                "{}: is the state of a training of another model, text, or with other options; \
                 give the same, or remove it",
                at()
            );
        }
        let tensors = SafeTensors::deserialize(&bytes).map_err(|_| foreign())?;
        let find = |name: &str| {
            let view = tensors.tensor(name).ok().filter(|view| view.dtype() == Dtype::F32)?;
            let (values, _) = view.data().as_chunks::<4>();
            let values = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            Some((view.shape().to_vec(), values))
        };
        let numbers = [progress.step, progress.since_best];
        let state = new.restore(numbers, progress.best, find).ok_or_else(foreign)?;
        Ok((state, progress))
    }

    /// Writes the state, by rename.
    pub fn write(&self, state: &State, progress: &Progress) -> Result<()> {
        let tensors = state.tensors().into_iter().map(|(name, shape, values)| {
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            (name, shape.to_vec(), bytes)
        });
        let values: Vec<_> = tensors.collect();
        let views: Vec<(&str, TensorView<'_>)> = values
            .iter()
            .map(|(name, shape, bytes)| {
                Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?))
            })
            .collect::<Result<_>>()?;
        let progress = Progress {
            format: FORMAT,
            origin: self.origin.clone(),
            step: state.step,
            since_best: state.since_best,
            best: state.best.as_ref().map(|(loss, _)| *loss),
            ..progress.clone()
        };
        let notes = [(KEY.to_string(), serde_json::to_string(&progress)?)].into_iter().collect();
        write_whole(&self.path, &serialize(views, Some(notes))?)
    }

    /// Removes the file of a training that is complete.
    pub fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What must be equal for an interrupted training to go on: a digest.
pub fn origin(args: &Args, model: &Opened, data: &Data, settings: &Settings) -> Result<String> {
    let mut hash = Sha256::new();
    let Weights { full, targets, rank, .. } = &args.weights;
    let weights = format!("{full} {targets:?} {rank} {}", args.scale());
    let teacher = (&args.distill, args.temperature, args.mix);
    hash.update(format!("{} {weights} {teacher:?} {settings:?}", model.digest()?));
    for example in &data.examples {
        example.ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
    }
    for (_, samples) in &data.evaluations {
        hash.update(samples.digest());
    }
    Ok(format!("{:x}", hash.finalize()))
}
