//! `slicegpt compress`: slice a checkpoint.

mod computing;
mod config;
mod failure;
mod files;
mod per_layer;
mod record;
mod refit;
mod search;
pub mod shared;
mod tables;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::{Value, json};
use slicegpt_calibrate::{Orientation, Spectrum};
use slicegpt_checkpoint::{Dtype, Manifest, Staging, TriedSplit, Writer, Written};
use slicegpt_core::Lanes;
use slicegpt_corpus::Samples;
use slicegpt_models::DecoderSpec;
use slicegpt_slice::{Directions, Ridge, Settings, Spectra, Split, Stages, Trial};

pub use self::computing::Computing;
pub use self::files::finish;
use self::files::{SPECTRA, amend, stage_spectra, write_spectra};
use self::per_layer::PerLayer;
use self::record::Taken;
use self::refit::Refit;
use self::search::{Choice, Judge};
use self::shared::Shared;
use crate::commands::plan::refuse_sliced;
use crate::commands::ppl::{protocol, score};
use crate::cut::{Cut, Method, Wanted};
use crate::device::Running;
use crate::memory::{peak_rss_bytes, reset_peak};
use crate::model::{Described, Opened};
use crate::options::{DtypeName, positive};
use crate::output;
use crate::progress::{self, note, warn};
use crate::size::{parse_bytes, show_bytes, show_count, show_percent, show_widths};
use crate::stats;
use crate::text::{self, Calibration};

/// Arguments of `slicegpt compress`.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directory, or org/name[@revision] on the Hub
    model: PathBuf,
    /// Directory to write; it appears only when it is complete
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    cut: Cut,
    /// Axes inside the kept subspace: along the eigenvectors, or random. The function is the same;
    /// random spreads magnitudes for half precision and quantisation
    #[arg(long, value_enum, default_value_t = OrientationName::Pca, help_heading = "What to cut")]
    orientation: OrientationName,
    /// Fit every linear to what the dense model does, after the cut: ridge[:LAMBDA], LAMBDA being
    /// relative to the mean square of its inputs, or none [default: ridge:0.001; none per-layer]
    #[arg(long, value_name = "HOW", help_heading = "What to cut")]
    refit: Option<Refit>,
    /// How the split of a size between stream and MLPs is chosen (shared) [default: auto]
    #[arg(long, value_enum, value_name = "HOW", help_heading = "What to cut")]
    split_search: Option<Judge>,
    /// Which directions come first: those whose loss the linears that read the stream feel most, or
    /// those with the most energy (shared) [default: read]
    #[arg(long, value_enum, help_heading = "What to cut")]
    basis: Option<BasisName>,
    #[command(flatten)]
    calibration: Calibration,
    /// Statistics that `slicegpt calibrate` wrote for this model and calibration text (shared)
    #[arg(long, value_name = "FILE", help_heading = "Calibration")]
    stats: Option<PathBuf>,
    #[command(flatten)]
    running: Running,
    #[command(flatten)]
    computing: Computing,
    /// Type to write weights as [default: as in the checkpoint]
    #[arg(long, value_enum, help_heading = "Output")]
    dtype: Option<DtypeName>,
    /// Largest size of a weights file
    #[arg(long, value_name = "SIZE", default_value = "5GB", value_parser = parse_bytes, help_heading = "Output")]
    max_shard_size: u64,
    /// Replace the checkpoint in --out
    #[arg(long, help_heading = "Output")]
    force: bool,
    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Write the eigenvalues at every cut, un-normalised and descending, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    spectra: Option<PathBuf>,
    /// Text or token ids to measure perplexity on, before and after
    #[arg(long, value_name = "FILE", help_heading = "Evaluation")]
    eval_text: Option<PathBuf>,
    /// Evaluate on the first N sequences only
    #[arg(long, value_name = "N", value_parser = positive, help_heading = "Evaluation")]
    eval_max_samples: Option<usize>,
    /// Do not score labels that are this token
    #[arg(long, value_name = "ID", help_heading = "Evaluation")]
    ignore_token_id: Option<u32>,
}

/// How the kept subspace is oriented.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OrientationName {
    /// Along the eigenvectors
    Pca,
    /// Along random directions, from --seed
    Random,
}

/// Which directions come first.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BasisName {
    /// What readers lose without them
    Read,
    /// Their energy
    Energy,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    // Whatever can be refused is refused before anything is computed.
    let described = Described::read(&args.model)?;
    refuse_sliced(&described)?;
    let spec = &described.spec;
    args.refuse_misfits()?;
    let refit = args.refit(args.cut.method);
    args.cut.wanted(spec, args.dtype.map_or(described.dtype(), Dtype::from))?;
    let staging = Staging::new(&args.out, Some(&described.directory), args.force)?;
    let spectra_file = args
        .spectra
        .as_ref()
        .map(|path| stage_spectra(path, &described.directory, &args.out))
        .transpose()?;
    let opened = Opened::open(&args.model)?;
    let target = args.running.open()?;
    let computing = args.computing.settings(&target)?;
    let dtype = args.dtype.map_or(opened.dtype, Dtype::from);
    let wanted = args.cut.wanted(spec, dtype)?;
    let evaluation = evaluation(&args, &opened)?;
    let (samples, source) = target.run(|| args.calibration.load(&opened, &target))?;
    let described_text = text::described(&samples, source);
    let batches = target.batches(spec, &samples);
    let batch_size = batches.size;

    let before = evaluation.as_ref().map(|samples| {
        note("perplexity before");
        score(&opened, samples, &target, args.ignore_token_id)
    });
    let before = before.transpose()?;

    reset_peak();
    let start = Instant::now();
    let mut orientation = match args.orientation {
        OrientationName::Pca => Orientation::Pca,
        OrientationName::Random => Orientation::random(args.calibration.seed),
    };
    let model = opened.model(&target.device);
    let origin = || stats::Origin::new(&opened, described_text.clone(), &args.computing, &target);
    let create = |sliced: &DecoderSpec| {
        let tensors = sliced.entries().into_iter().map(|entry| (entry.name, entry.shape)).collect();
        Writer::create(staging.path(), tensors, dtype, args.max_shard_size)
    };
    let work = || match &wanted {
        Wanted::PerLayer(widths) => {
            let sliced = spec.sliced(widths.clone());
            let mut writer = create(&sliced)?;
            let settings = Settings { lanes: batches.lanes.clone(), ..computing };
            let spectra = match args.spectra {
                Some(_) => Spectra::Everywhere,
                None => Spectra::WhereCut,
            };
            let pass = PerLayer { model: &model, sliced: &sliced, target: &target, ridge: refit };
            let orientation = &mut orientation;
            let (spectra, stages) =
                pass.run(&batches.batches, settings, orientation, spectra, &mut writer)?;
            Ok(Done { sliced, spectra, stages, tried: Vec::new(), written: writer.finish()? })
        }
        Wanted::Shared { splits, tied, free } => {
            if *tied && args.orientation == OrientationName::Random {
                warn(
                    "--orientation random: a tied head decides the axes; --head untied frees them",
                );
            }
            let pass =
                Shared { model: &model, target: &target, ridge: refit, tied: *tied, free: *free };
            let settings = |lanes: &Lanes| {
                let settings = args.computing.settings(&target)?;
                anyhow::Ok(Settings { lanes: lanes.clone(), ..settings })
            };
            let profile = match &args.stats {
                Some(path) => stats::read(path, &origin()?, &opened.spec)?,
                None => pass.profile(&batches.batches, settings(&batches.lanes)?)?,
            };
            let directions = match args.basis.unwrap_or(BasisName::Read) {
                BasisName::Read => Directions::as_read(&profile.covariance, &profile.readers)?,
                BasisName::Energy => Directions::by_energy(&profile.covariance)?,
            };
            let found = (&profile, &directions);
            let judge = args.split_search.unwrap_or(Judge::Auto);
            let Choice { split, tried } =
                search::choose(&pass, found, splits, &samples, judge, settings)?;
            let frame = pass.frame(&profile, &directions, split, &mut orientation)?;
            let mut writer = create(&frame.sliced)?;
            let lanes = settings(&batches.lanes)?;
            let mut stages = pass.write(&frame, &batches.batches, lanes, &mut writer)?;
            stages += profile.stages;
            let written = writer.finish()?;
            let spectra = vec![directions.spectrum().clone()];
            Ok(Done { sliced: frame.sliced, spectra, stages, tried, written })
        }
    };
    let done = target.run(work).map_err(|error| args.computing.advise(error))?;
    let taken = Taken {
        seconds: start.elapsed().as_secs_f64(),
        peak_rss_bytes: peak_rss_bytes(),
        device_memory_bytes: target.device.memory_pool_usage().map(|usage| usage.bytes_reserved),
    };
    let Taken { seconds, peak_rss_bytes: peak, device_memory_bytes: device_memory } = taken;
    let Done { sliced, spectra, tried, written, .. } = &done;

    let (params_before, params_after) = (spec.parameters() as u64, sliced.parameters() as u64);
    let manifest = Manifest {
        format: Manifest::FORMAT,
        method: args.cut.method.name().into(),
        stock: sliced.slicing.is_none(),
        widths: (0..sliced.cuts()).map(|cut| sliced.width(cut)).collect(),
        intermediate_size: matches!(wanted, Wanted::Shared { free: None, .. })
            .then_some(sliced.mlp.intermediate_size),
        intermediate_sizes: sliced.slicing.as_ref().and_then(|s| s.intermediate_sizes.clone()),
        refit: refit.map(|ridge| format!("ridge:{}", ridge.lambda)),
        tried: tried.iter().map(tried_split).collect(),
        imported: None,
        nominal_sparsity: args.cut.nominal(),
        real_reduction: 1.0 - params_after as f64 / params_before as f64,
        params_before,
        params_after,
        orientation: match args.orientation {
            OrientationName::Pca => "pca".into(),
            OrientationName::Random => "random".into(),
        },
        seed: args.calibration.seed,
        calibration: described_text,
        tool_version: format!("slicegpt {}", env!("CARGO_PKG_VERSION")),
    };
    let machine = record::machine(&args, &target, batch_size);
    let dense = record::dense(&described, opened.bytes);
    let mut record = record::record(&done, &manifest, dense, machine, taken);
    let text = args.eval_text.as_deref();
    let protocol = text.map(|_| protocol(text, args.ignore_token_id));
    if let (Some(path), Some(before), Some(protocol)) = (text, &before, &protocol) {
        record.perplexity = Some(record::perplexity(path, before, protocol.clone()));
    }
    finish(&staging, &described, sliced, dtype, &manifest, Some(&record))?;
    if let Some(staging) = &spectra_file {
        write_spectra(&staging.path().join(SPECTRA), spectra)?;
    }
    progress::check()?;
    staging.commit()?;
    if let Some(staging) = spectra_file {
        staging.commit_file(SPECTRA)?;
    }

    let after = evaluation.as_ref().map(|samples| {
        note("perplexity after");
        score(&Opened::open(&args.out)?, samples, &target, args.ignore_token_id)
    });
    let after = after
        .transpose()
        .with_context(|| format!("{} is complete, but was not scored", args.out.display()))?;
    if let (Some(known), Some(after)) = (record.perplexity.as_mut(), &after) {
        known.after = Some(after.perplexity);
        amend(&args.out, &described, dtype, &manifest, &record)?;
    }
    let stages = record.stages.iter().map(|(name, seconds)| (name.clone(), json!(seconds)));
    let json = json!({
        "out": args.out.to_string_lossy(),
        "method": manifest.method,
        "stock": manifest.stock,
        "nominal_sparsity": manifest.nominal_sparsity,
        "real_reduction": manifest.real_reduction,
        "params_before": params_before,
        "params_after": params_after,
        "bytes_before": opened.bytes,
        "bytes_after": written.tensor_bytes,
        "dtype": dtype.torch_name(),
        "files": written.files,
        "widths": manifest.widths,
        "intermediate_size": manifest.intermediate_size,
        "intermediate_sizes": manifest.intermediate_sizes,
        "tied": sliced.tied,
        "refit": manifest.refit,
        "tried": manifest.tried,
        "orientation": manifest.orientation,
        "seed": manifest.seed,
        "calibration": manifest.calibration,
        "device": target.info.name.to_string(),
        "device_model": target.info.model,
        "batch_size": batch_size,
        "compute_dtype": args.computing.compute_dtype(),
        "covariance": args.computing.covariance(&target),
        "seconds": seconds,
        "stage_seconds": Value::Object(stages.collect()),
        "device_memory_bytes": device_memory,
        "peak_rss_bytes": peak,
        "perplexity_before": before.as_ref().map(|p| p.perplexity),
        "perplexity_after": after.as_ref().map(|p| p.perplexity),
        "protocol": protocol,
    });
    let dash = || "-".to_string();
    let inner: Vec<usize> = (0..spec.layers).map(|block| sliced.intermediate_size(block)).collect();
    let mut rows = vec![
        ("method", vec![dash(), manifest.method.clone()]),
        ("real reduction", vec![dash(), show_percent(manifest.real_reduction)]),
        ("parameters", vec![show_count(params_before), show_count(params_after)]),
        ("bytes", vec![show_bytes(opened.bytes), show_bytes(written.tensor_bytes)]),
        ("stream width", vec![spec.hidden_size.to_string(), show_widths(&manifest.widths)]),
        ("MLP width", vec![spec.mlp.intermediate_size.to_string(), show_widths(&inner)]),
        ("device", vec![dash(), target.info.name.to_string()]),
        ("seconds", vec![dash(), format!("{seconds:.1}")]),
        ("peak memory", vec![dash(), peak.map_or_else(dash, show_bytes)]),
    ];
    if let Some(nominal) = manifest.nominal_sparsity {
        rows.insert(1, ("nominal sparsity", vec![dash(), show_percent(nominal)]));
    }
    if let (Some(before), Some(after)) = (&before, &after) {
        let show = |p: f64| format!("{p:.3}");
        rows.push(("perplexity", vec![show(before.perplexity), show(after.perplexity)]));
    }
    let header = ["", "before", "after"];
    output::print(args.json.then_some(json), &rows, &header, protocol.as_deref())?;
    note(format!("wrote {}", args.out.display()));
    Ok(ExitCode::SUCCESS)
}

/// What a method has done.
struct Done {
    /// What the model has become.
    sliced: DecoderSpec,
    spectra: Vec<Spectrum>,
    stages: Stages,
    /// The splits between stream and MLPs that were measured, the best first.
    tried: Vec<Trial>,
    written: Written,
}

fn tried_split(tried: &Trial) -> TriedSplit {
    let Trial { split: Split { width, intermediate }, loss } = *tried;
    TriedSplit { hidden_size: width, intermediate_size: intermediate, kl: loss }
}

impl Args {
    /// How what is cut is refitted, if it is.
    fn refit(&self, method: Method) -> Option<Ridge> {
        match (method, self.refit) {
            (_, Some(Refit::None)) | (Method::PerLayer, None) => None,
            (_, Some(Refit::Ridge(ridge))) => Some(ridge),
            (Method::Shared, None) => Some(Ridge::default()),
        }
    }

    /// Options that mean nothing with the method.
    fn refuse_misfits(&self) -> Result<()> {
        let shared = [
            ("--stats", self.stats.is_some()),
            ("--basis", self.basis.is_some()),
            ("--split-search", self.split_search.is_some()),
        ];
        match shared.iter().find(|(_, given)| *given && self.cut.method == Method::PerLayer) {
            Some((option, _)) => bail!("{option} needs --method shared"),
            None => Ok(()),
        }
    }
}

fn evaluation(args: &Args, opened: &Opened) -> Result<Option<Samples>> {
    let Some(path) = &args.eval_text else { return Ok(None) };
    let cutting = &args.calibration.cutting;
    cutting.evaluation(opened, Some(path), None, args.eval_max_samples).map(Some)
}
