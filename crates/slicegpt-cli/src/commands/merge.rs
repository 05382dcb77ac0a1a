//! `slicegpt merge`: a LoRA adapter added to the weights of its model.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::json;
use slicegpt_adapters::{Adapter, BaseModel, Change};
use slicegpt_checkpoint::{
    Checkpoint, Dtype, OutputError, Staging, Writer, Written, copy_companions, is_tokenizer_file,
    lies_in,
};
use slicegpt_core::{Observer, TensorSource};
use slicegpt_models::{DecoderSpec, Model};
use slicegpt_provenance::Manifest;

use crate::args::options::DtypeName;
use crate::args::writing::Writing;
use crate::services::hub::located_adapter;
use crate::services::memory;
use crate::services::model::Opened;
use crate::services::reweighted;
use crate::show::output;
use crate::show::progress::{self, Progress, note, warn};
use crate::show::size::{show_bytes, show_count};

/// Arguments of `slicegpt merge`.
#[derive(clap::Args)]
pub struct Args {
    /// The model that the adapter was trained on: Hugging Face checkpoint directory, dense or
    /// sliced, GGUF file, or org/name[@revision] on the Hub
    model: PathBuf,
    /// The adapter: a directory with adapter_config.json and adapter_model.safetensors, or
    /// org/name[@revision] on the Hub
    adapter: PathBuf,
    /// Directory to write; it appears only when it is complete
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Type to write weights as [default: that of most weights of the model]
    #[arg(long, value_enum)]
    dtype: Option<DtypeName>,
    #[command(flatten)]
    writing: Writing,
}

/// A model and an adapter that fits it.
struct Merge {
    adapter: Adapter,
    opened: Opened,
    /// The merged model.
    spec: DecoderSpec,
    dtype: Dtype,
    /// Whether embedding and head are two matrices now.
    unties: bool,
}

/// What merging changed.
#[derive(Default)]
struct Effects {
    /// Tensors that a product of matrices was added to.
    added: usize,
    /// Tensors that were only replaced.
    replaced: usize,
    /// Sums of the squared norms of changes, and of the tensors that were changed.
    squares: [f64; 2],
    /// The tensor that changed most, relative to its norm.
    most: Option<(String, f64)>,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    memory::reset_peak();
    let directory = located_adapter(&args.adapter)?;
    let merge = Merge::new(&args, &directory)?;
    let base = merge.opened.directory();
    if lies_in(&args.out, &directory)? || lies_in(&directory, &args.out)? {
        return Err(OutputError::IsInput(args.out).into());
    }
    let input = if args.model.exists() { &args.model } else { &base };
    let staging = Staging::new(&args.out, Some(input), args.writing.force)?;
    let (written, effects) = merge.write(&staging, args.writing.max_shard_size)?;
    if effects.squares[0] == 0.0 {
        warn(format!(
            "{}: the adapter changes nothing: all products of its matrices are zero, as before \
             training",
            args.adapter.display()
        ));
    }
    let taken = merge.finish(&base, &directory, staging.path())?;
    progress::check()?;
    staging.commit()?;
    merge.report(&args, &written, &effects, &taken)?;
    note(format!("wrote {}", args.out.display()));
    Ok(ExitCode::SUCCESS)
}

impl Merge {
    /// Checks everything that can be checked before a tensor is read.
    fn new(args: &Args, directory: &Path) -> Result<Self> {
        let adapter = Adapter::open(directory)?;
        let opened = Opened::open(&args.model)?;
        let mut spec = opened.spec.clone();
        let names = &spec.names;
        let base = BaseModel {
            name: args.model.display().to_string(),
            tensors: spec.entries().into_iter().map(|entry| (entry.name, entry.shape)).collect(),
            embedding: names.embedding.to_string(),
            positions: names.positions.map(str::to_string),
            head: names.head.to_string(),
            tied: spec.tied,
        };
        let checked = adapter.check(&base)?;
        if let Some(first) = checked.unmatched.first() {
            warn(format!(
                "{}: `target_modules` names `{first}`, which is no module of the model",
                args.adapter.display()
            ));
        }
        if checked.unties {
            let is_own = |manifest: &Manifest| !manifest.stock;
            if opened.checkpoint.manifest().is_some_and(is_own) {
                bail!(
                    "{}: changes the embedding or the head, which are one matrix in {}, a sliced \
                     model that is not of its family any more; train an adapter without \
                     `embed_tokens` and `lm_head`",
                    args.adapter.display(),
                    args.model.display()
                );
            }
            warn(format!(
                "{}: embedding and head are one matrix, and the adapter changes one of them: they \
                 are written as two",
                args.model.display()
            ));
            spec.tied = false;
        }
        let dtype = args.dtype.map_or(opened.dtype, Dtype::from);
        Ok(Self { adapter, opened, spec, dtype, unties: checked.unties })
    }

    /// Writes the weights, one tensor after the other.
    fn write(&self, staging: &Staging, max_shard_size: u64) -> Result<(Written, Effects)> {
        let device = slicegpt_device::OpenDevice::cpu().device;
        let model: Model<&Checkpoint> = self.opened.model(&device);
        let entries = self.spec.entries();
        let tensors =
            entries.iter().map(|entry| (model.stored_name(&entry.name), entry.shape.clone()));
        let mut writer =
            Writer::create(staging.path(), tensors.collect(), self.dtype, max_shard_size)?;
        let progress = Progress::start("merging", entries.len());
        let head = format!("{}.weight", self.spec.names.head);
        let mut effects = Effects::default();
        for entry in &entries {
            // A head that was tied begins as the embedding.
            let source = if self.unties && entry.name == head {
                model.head_table().0
            } else {
                model.stored_name(&entry.name)
            };
            let mut values = self.opened.checkpoint.tensor(&source, &entry.shape)?;
            if let Some(change) = self.adapter.apply(&entry.name, &mut values)? {
                effects.count(&self.adapter, &entry.name, change);
            }
            writer.write(&model.stored_name(&entry.name), &values)?;
            let _ = progress.step();
            progress::check()?;
        }
        progress.finish();
        Ok((writer.finish()?, effects))
    }

    /// Writes everything but the weights, `config.json` last, and returns the names of files that
    /// come from the adapter.
    fn finish(&self, base: &Path, adapter: &Path, out: &Path) -> Result<Vec<String>> {
        copy_companions(base, out)?;
        let taken = take_tokenizer(adapter, out)?;
        reweighted::describe(&self.opened, self.spec.tied, self.dtype, out)?;
        Ok(taken)
    }

    fn report(
        &self,
        args: &Args,
        written: &Written,
        effects: &Effects,
        taken: &[String],
    ) -> Result<()> {
        let config = self.adapter.config();
        let parameters = self.spec.parameters() as u64;
        let [change, before] = effects.squares;
        let relative = if before > 0.0 { (change / before).sqrt() } else { 0.0 };
        let dtype = self.dtype.torch_name();
        let most = effects.most.as_ref();
        let json = json!({
            "out": args.out.to_string_lossy(),
            "model": args.model.to_string_lossy(),
            "adapter": args.adapter.to_string_lossy(),
            "trained_on": config.base,
            "model_type": self.spec.model_type,
            "rank": config.rank,
            "alpha": config.alpha,
            "merged": effects.added,
            "replaced": effects.replaced,
            "relative_change": relative,
            "most_changed": most.map(|(tensor, relative)| {
                json!({ "tensor": tensor, "relative_change": relative })
            }),
            "tokenizer_files": taken,
            "params": parameters,
            "dtype": dtype,
            "bytes": written.tensor_bytes,
            "files": written.files,
            "peak_rss_bytes": memory::peak_rss_bytes(),
        });
        let mut rows = vec![
            ("model", vec![args.model.display().to_string()]),
            (
                "adapter",
                vec![format!(
                    "{}, rank {}, trained on {}",
                    args.adapter.display(),
                    config.rank,
                    config.base.as_deref().unwrap_or("a model that it does not name")
                )],
            ),
            ("tensors merged", vec![effects.added.to_string()]),
        ];
        if effects.replaced > 0 {
            rows.push(("tensors replaced", vec![effects.replaced.to_string()]));
        }
        if let Some((tensor, most)) = most {
            let most = format!("{relative:.2e} of their norm, most {most:.2e} ({tensor})");
            rows.push(("change", vec![most]));
        }
        if !taken.is_empty() {
            rows.push(("from the adapter", vec![taken.join(", ")]));
        }
        rows.push(("parameters", vec![show_count(parameters)]));
        let bytes = show_bytes(written.tensor_bytes);
        rows.push(("written as", vec![format!("{dtype}, {bytes}")]));
        output::print(args.writing.json.then_some(json), &rows, &[], None)
    }
}

impl Effects {
    fn count(&mut self, adapter: &Adapter, tensor: &str, change: Change) {
        let module = tensor.strip_suffix(".weight").unwrap_or(tensor);
        if adapter.pair(module).is_some() {
            self.added += 1;
        } else {
            self.replaced += 1;
        }
        self.squares[0] += change.norm * change.norm;
        self.squares[1] += change.before * change.before;
        let relative = change.norm / change.before;
        if relative.is_finite() && self.most.as_ref().is_none_or(|(_, most)| relative > *most) {
            self.most = Some((tensor.to_string(), relative));
        }
    }
}

/// Copies the files of the tokenizer in the directory `adapter` over those of the model, and
/// returns the names of those that differ.
fn take_tokenizer(adapter: &Path, out: &Path) -> Result<Vec<String>> {
    let mut taken = Vec::new();
    for entry in std::fs::read_dir(adapter).with_context(|| adapter.display().to_string())? {
        let path = entry.with_context(|| adapter.display().to_string())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_file() || !is_tokenizer_file(&name) {
            continue;
        }
        let most = slicegpt_limits::MAX_TOKENIZER;
        let bytes =
            slicegpt_limits::read(&path, most).with_context(|| path.display().to_string())?;
        let target = out.join(&name);
        if std::fs::read(&target).is_ok_and(|there| there == bytes) {
            continue;
        }
        std::fs::write(&target, bytes).with_context(|| target.display().to_string())?;
        taken.push(name);
    }
    taken.sort();
    Ok(taken)
}
