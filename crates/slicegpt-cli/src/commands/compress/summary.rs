//! [`Summary`]: the facts about one compression, declared once, and their forms: JSON, table,
//! manifest, record.

use std::path::PathBuf;

use serde_json::{Value, json};
use slicegpt_checkpoint::Written;
use slicegpt_compress::{About, Compressed, Times};
use slicegpt_device::Host;
use slicegpt_models::DecoderSpec;
use slicegpt_provenance::{Dense, Machine, Manifest, Record, SpectrumRecord, Stage};
use slicegpt_slice::Stages;

use super::prepared::Prepared;
use crate::services::card;
use crate::show::size::{show_bytes, show_count, show_percent, show_widths};

/// A compressed model.
pub struct Made {
    pub compressed: Compressed,
    pub sliced: DecoderSpec,
    pub written: Written,
}

/// Time and memory of the compression.
pub struct Taken {
    pub seconds: f64,
    pub peak_rss_bytes: Option<u64>,
    pub device_memory_bytes: Option<u64>,
}

/// The facts about one compression.
pub struct Summary {
    pub out: PathBuf,
    /// The checkpoint and how it was made.
    pub manifest: Manifest,
    /// The measurements.
    pub record: Record,
    dtype: &'static str,
    files: Vec<String>,
    tied: bool,
    /// The error of the refits on held-out calibration tokens divided by that on fitted ones.
    held_out_ratio: Option<f64>,
    /// Widths of the MLPs, by block.
    intermediate_sizes: Vec<usize>,
}

impl Summary {
    /// Without evaluations, which are added later.
    pub fn new(prepared: &Prepared<'_>, made: &Made, taken: Taken) -> Self {
        let Made { sliced, written, .. } = made;
        let manifest = manifest(prepared, made);
        let record = record(prepared, made, &manifest, taken);
        Self {
            out: prepared.args.out.clone(),
            manifest,
            record,
            dtype: prepared.dtype.torch_name(),
            files: written.files.clone(),
            tied: sliced.tied,
            held_out_ratio: made.compressed.held_out_ratio,
            intermediate_sizes: (0..sliced.layers).map(|b| sliced.intermediate_size(b)).collect(),
        }
    }

    /// The number of layers that stay.
    fn layers(&self) -> usize {
        self.intermediate_sizes.len()
    }

    /// The facts as one JSON object.
    pub fn json(&self) -> Value {
        let Self { manifest, record, .. } = self;
        let first = record.evaluations.first();
        let stages =
            record.stages.iter().map(|(stage, seconds)| (stage.to_string(), json!(seconds)));
        json!({
            "out": self.out.to_string_lossy(),
            "method": manifest.method,
            "stock": manifest.stock,
            "nominal_sparsity": manifest.nominal_sparsity,
            "real_reduction": manifest.real_reduction,
            "params_before": manifest.params_before,
            "params_after": manifest.params_after,
            "bytes_before": record.dense.bytes,
            "bytes_after": record.bytes,
            "dtype": self.dtype,
            "files": self.files,
            "widths": manifest.widths,
            "intermediate_size": manifest.intermediate_size,
            "intermediate_sizes": manifest.intermediate_sizes,
            "layers": self.layers(),
            "removed_layers": manifest.removed_layers,
            "kv_heads": manifest.kv_heads,
            "tied": self.tied,
            "refit": manifest.refit,
            "tried": manifest.tried,
            "orientation": manifest.orientation,
            "seed": manifest.seed,
            "calibration": manifest.calibration,
            "held_out_ratio": self.held_out_ratio,
            "device": record.machine.device,
            "device_model": record.machine.device_model,
            "batch_size": record.machine.batch_size,
            "compute_dtype": record.machine.compute_dtype,
            "covariance": record.machine.covariance,
            "seconds": record.seconds,
            "stage_seconds": Value::Object(stages.collect()),
            "device_memory_bytes": record.device_memory_bytes,
            "peak_rss_bytes": record.peak_rss_bytes,
            // Those of the first text.
            "perplexity_before": first.map(|found| found.perplexity_before),
            "perplexity_after": first.map(|found| found.perplexity_after),
            "protocol": first.map(|found| &found.protocol),
            "evaluations": record.evaluations,
        })
    }

    /// The facts as rows of a table: name, value before, value after.
    pub fn rows(&self) -> Vec<(&'static str, Vec<String>)> {
        let Self { manifest, record, .. } = self;
        let dash = || "-".to_string();
        let Dense { hidden_size, intermediate_size, bytes, .. } = &record.dense;
        let params = [manifest.params_before, manifest.params_after].map(show_count);
        let mut rows = vec![
            ("method", vec![dash(), manifest.method.to_string()]),
            ("real reduction", vec![dash(), show_percent(manifest.real_reduction)]),
            ("parameters", params.into()),
            ("bytes", vec![show_bytes(*bytes), show_bytes(record.bytes)]),
            ("stream width", vec![hidden_size.to_string(), show_widths(&manifest.widths)]),
            (
                "MLP width",
                vec![intermediate_size.to_string(), show_widths(&self.intermediate_sizes)],
            ),
            ("device", vec![dash(), record.machine.device.clone()]),
            ("seconds", vec![dash(), format!("{:.1}", record.seconds)]),
            ("peak memory", vec![dash(), record.peak_rss_bytes.map_or_else(dash, show_bytes)]),
        ];
        if !manifest.removed_layers.is_empty() {
            let dense = self.layers() + manifest.removed_layers.len();
            rows.insert(4, ("layers", vec![dense.to_string(), self.layers().to_string()]));
        }
        if let Some(heads) = manifest.kv_heads {
            rows.insert(4, ("key/value heads", vec![dash(), heads.to_string()]));
        }
        if let Some(nominal) = manifest.nominal_sparsity {
            rows.insert(1, ("nominal sparsity", vec![dash(), show_percent(nominal)]));
        }
        rows
    }
}

fn manifest(prepared: &Prepared<'_>, made: &Made) -> Manifest {
    made.compressed.manifest(&About {
        dense: &prepared.opened.spec,
        sliced: &made.sliced,
        plan: &prepared.plan,
        calibration: prepared.calibration.clone(),
        tool_version: format!("slicegpt {}", env!("CARGO_PKG_VERSION")),
    })
}

/// The record without evaluations.
fn record(prepared: &Prepared<'_>, made: &Made, manifest: &Manifest, taken: Taken) -> Record {
    let Taken { seconds, peak_rss_bytes, device_memory_bytes } = taken;
    let spec = &prepared.described.spec;
    // In the order of the cuts; a shared basis has one spectrum.
    let spectra = made.compressed.spectra.iter().zip(&manifest.widths);
    Record {
        format: Record::FORMAT,
        tool_version: manifest.tool_version.clone(),
        command: command_line(),
        dense: Dense {
            name: card::name(&prepared.described),
            hidden_size: spec.hidden_size,
            intermediate_size: spec.mlp.intermediate_size,
            layers: spec.layers,
            depth: spec.sublayers_per_block(),
            bytes: prepared.opened.bytes,
        },
        bytes: made.written.tensor_bytes,
        machine: machine(prepared),
        seconds,
        stages: stages(&made.compressed.times),
        peak_rss_bytes,
        device_memory_bytes,
        evaluations: Vec::new(),
        perplexity: None,
        spectra: spectra
            .map(|(found, kept)| SpectrumRecord::new(&found.eigenvalues, found.tokens, *kept))
            .collect(),
    }
}

/// The arguments of this process.
fn command_line() -> Vec<String> {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once("slicegpt".to_string()).chain(words).collect()
}

/// The machine and the settings of the run.
fn machine(prepared: &Prepared<'_>) -> Machine {
    let Prepared { args, target, .. } = prepared;
    let Host { processor, cores, memory_bytes, system } = Host::this();
    Machine {
        processor,
        cores,
        memory_bytes,
        system,
        device: target.info.name.to_string(),
        device_model: target.info.model.clone(),
        batch_size: prepared.batch_size,
        compute_dtype: args.computing.compute_dtype().into(),
        covariance: args.computing.covariance(target),
    }
}

/// Seconds by kind of work. A search is listed only where there was one.
fn stages(times: &Times) -> Vec<(Stage, f64)> {
    let Times { passes, search, read, tables, write } = times;
    let Stages { forward, gram, eigen, edit, stream } = passes;
    let named = [
        (Stage::Forward, forward),
        (Stage::Gram, gram),
        (Stage::Eigen, eigen),
        (Stage::Edit, edit),
        (Stage::Stream, stream),
        (Stage::Search, search),
        (Stage::Read, read),
        (Stage::Tables, tables),
        (Stage::Write, write),
    ];
    let named =
        named.into_iter().filter(|(stage, time)| *stage != Stage::Search || !time.is_zero());
    named.map(|(stage, time)| (stage, time.as_secs_f64())).collect()
}
