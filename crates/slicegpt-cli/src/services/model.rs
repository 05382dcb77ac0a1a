//! A checkpoint directory as a model: [`Described`] by its config, [`Opened`] with its weights.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use serde_json::Value;
use sha2::{Digest, Sha256};
use slicegpt_checkpoint::{Checkpoint, Dtype};
use slicegpt_core::{TensorSource, Widths};
use slicegpt_hub::Need;
use slicegpt_models::{DecoderSpec, Model, Slicing};
use slicegpt_provenance::{Manifest, Method};

use crate::services::gguf;
use crate::services::hub::{WEIGHTS, located};
use crate::services::own_head::with_own_head;
use crate::show::progress::warn;

/// Tensors of old checkpoints that no model needs, because the architecture determines them.
const CONSTANTS: &[&str] = &["rotary_emb.inv_freq", "masked_bias", "attn.bias"];

/// A model as `config.json` describes it.
pub struct Described {
    /// The checkpoint directory.
    pub directory: PathBuf,
    /// The decoder, dense or sliced.
    pub spec: DecoderSpec,
    /// `config.json`.
    pub config: Value,
    /// Its provenance, if slicegpt wrote it.
    manifest: Option<Manifest>,
}

impl Described {
    /// Reads `config.json` of `model`, a directory or a model of the Hub.
    pub fn read(model: &Path) -> Result<Self> {
        let directory = located(model, Need::Config)?;
        let (config, manifest) = Checkpoint::describe(&directory)?;
        let at = || directory.join("config.json").display().to_string();
        let mut spec = slicegpt_models::parse(&config).with_context(at)?;
        if manifest.as_ref().is_none_or(|manifest| manifest.stock)
            && spec.tied
            && let Ok(checkpoint) =
                Checkpoint::open_described(&directory, config.clone(), manifest.clone())
        {
            spec = with_own_head(spec, &checkpoint)?;
        }
        if let Some(missing) = missing_length(&config) {
            warn(format!("{}: {missing}; taking {} tokens", at(), spec.context_length));
        }
        if let Some(manifest) = manifest.as_ref().filter(|manifest| !manifest.stock) {
            let shortcuts = match &manifest.method {
                Method::PerLayer => true,
                Method::Shared => false,
                Method::Other(method) => {
                    let known = "this version knows shared and per-layer; update slicegpt";
                    bail!("{}: slicing method `{method}` is not known; {known}", at());
                }
            };
            let widths = Widths::new(manifest.widths.clone(), spec.cuts(), spec.hidden_size);
            let widths = widths.with_context(|| format!("{}: slicegpt.widths", at()))?;
            let last_norm_weight = spec.tied && !shortcuts;
            let intermediate_sizes = manifest.intermediate_sizes.clone();
            if let Some(sizes) = &intermediate_sizes {
                let most = spec.mlp.intermediate_size;
                if sizes.len() != spec.layers || sizes.iter().any(|size| !(1..=most).contains(size))
                {
                    bail!(
                        "{}: slicegpt.intermediate_sizes: a width from 1 to {most} is needed for \
                         each of {} blocks",
                        at(),
                        spec.layers
                    );
                }
            }
            spec = spec.with_slicing(Slicing {
                widths,
                shortcuts,
                last_norm_weight,
                intermediate_sizes,
            });
        }
        Ok(Self { directory, spec, config, manifest })
    }

    /// Opens the weights of `model`, which this describes, without reading `config.json` again.
    pub fn open(&self, model: &Path) -> Result<Opened> {
        let directory = located(model, WEIGHTS)?;
        let checkpoint = gguf::checkpoint(&directory, self.config.clone(), self.manifest.clone())?;
        Opened::of(self.spec.clone(), checkpoint)
    }

    /// The type of the weights according to `config.json`; float32 if it does not say.
    pub fn dtype(&self) -> Dtype {
        let name = self.config.get("dtype").or(self.config.get("torch_dtype"));
        match name.and_then(Value::as_str) {
            Some("float16") => Dtype::F16,
            Some("bfloat16") => Dtype::Bf16,
            _ => Dtype::F32,
        }
    }
}

/// What a config says in place of its context length, if it does not say that.
fn missing_length(config: &Value) -> Option<&'static str> {
    match (&config["max_position_embeddings"], &config["max_sequence_length"]) {
        (Value::Null, Value::Null) => Some("field `max_position_embeddings` is missing"),
        (Value::Null, _) => Some("`max_sequence_length` stands for `max_position_embeddings`"),
        _ => None,
    }
}

/// A checkpoint that was checked to hold every tensor of its config.
pub struct Opened {
    /// The decoder.
    pub spec: DecoderSpec,
    /// The files.
    pub checkpoint: Checkpoint,
    /// Bytes of the tensors of the model.
    pub bytes: u64,
    /// The type of most of its weights.
    pub dtype: Dtype,
}

impl Opened {
    /// Opens `model`, a directory or a model of the Hub. Every tensor is looked up, none is read.
    pub fn open(model: &Path) -> Result<Self> {
        Described::read(&located(model, WEIGHTS)?)?.open(model)
    }

    /// The model that `spec` describes, with its tensors in `checkpoint`. Every tensor is looked
    /// up, none is read.
    pub fn of(spec: DecoderSpec, checkpoint: Checkpoint) -> Result<Self> {
        let directory = checkpoint.directory().to_path_buf();
        let model =
            Model::new(spec.clone(), &checkpoint, slicegpt_device::OpenDevice::cpu().device);
        let mut used: Vec<String> = Vec::new();
        let mut bytes = 0;
        let mut by_type = [(Dtype::F32, 0), (Dtype::F16, 0), (Dtype::Bf16, 0)];
        for entry in spec.entries() {
            let name = model.stored_name(&entry.name);
            let dtype = checkpoint.check(&name, &entry.shape)?;
            let size = (entry.numel() * dtype.size()) as u64;
            bytes += size;
            by_type.iter_mut().filter(|(t, _)| *t == dtype).for_each(|(_, sum)| *sum += size);
            used.push(name);
        }
        if spec.tied {
            used.push(format!("{}.weight", spec.names.head));
        }
        used.sort_unstable();
        let unused: Vec<&str> = checkpoint
            .names()
            .filter(|name| used.binary_search_by(|other| other.as_str().cmp(name)).is_err())
            .filter(|name| !CONSTANTS.iter().any(|constant| name.ends_with(constant)))
            .collect();
        let inside = |name: &&&str| {
            let head = format!("{}.bias", spec.names.head);
            let blocks = model.stored_name(spec.names.blocks);
            name.starts_with(&blocks) || **name == head
        };
        if let Some(first) = unused.iter().find(inside) {
            bail!(
                "{}: tensor `{first}` is part of no {} as config.json describes it; the model is \
                 another one than it says",
                directory.display(),
                spec.model_type
            );
        }
        if let Some(first) = unused.first() {
            let at = directory.display();
            let count = unused.len();
            warn(format!(
                "{at}: {count} tensors are not part of this model type and are left out, \
                 `{first}` among them"
            ));
        }
        let dtype = by_type.into_iter().max_by_key(|(_, sum)| *sum).map_or(Dtype::F32, |(t, _)| t);
        Ok(Self { spec, checkpoint, bytes, dtype })
    }

    /// The model on `device`.
    pub fn model(&self, device: &Device) -> Model<&Checkpoint> {
        Model::new(self.spec.clone(), &self.checkpoint, device.clone())
    }

    /// The model on `device`, which owns its files.
    pub fn into_model(self, device: &Device) -> Model<Checkpoint> {
        Model::new(self.spec, self.checkpoint, device.clone())
    }

    /// A digest of `config.json` and of some rows of every tensor, so that a large model need not
    /// be read as a whole. It identifies the model and the state of its training.
    pub fn digest(&self) -> Result<String> {
        const ROWS: usize = 16;
        let mut hash = Sha256::new();
        hash.update(self.checkpoint.config().to_string());
        let device = slicegpt_device::OpenDevice::cpu().device;
        let model = self.model(&device);
        let source = &self.checkpoint;
        for entry in self.spec.entries() {
            let name = model.stored_name(&entry.name);
            let values = match entry.shape.as_slice() {
                [rows, columns] => {
                    let step = rows.div_ceil(ROWS);
                    let some: Vec<u32> = (0..*rows).step_by(step).map(|row| row as u32).collect();
                    source.gather(&name, [*rows, *columns], &some)?
                }
                shape => source.tensor(&name, shape)?,
            };
            hash.update(&entry.name);
            values.iter().for_each(|x| hash.update(x.to_le_bytes()));
        }
        Ok(format!("{:x}", hash.finalize()))
    }

    /// Bytes of its weights in a file of another format.
    pub fn foreign_bytes(&self) -> Option<u64> {
        self.checkpoint.foreign_bytes()
    }

    /// Its directory.
    pub fn directory(&self) -> PathBuf {
        self.checkpoint.directory().to_path_buf()
    }
}
