//! What a compression measured, as it is recorded beside the checkpoint.

use std::path::Path;

use slicegpt_device::Host;
use slicegpt_eval::Perplexity;
use slicegpt_provenance::{
    Dense, Machine, Manifest, PerplexityRecord, Record, SpectrumRecord, Stage,
};
use slicegpt_slice::Stages;

use super::{Args, Done};
use crate::card;
use crate::device::Target;
use crate::model::Described;

/// Seconds and bytes that the cutting took.
pub struct Taken {
    pub seconds: f64,
    pub peak_rss_bytes: Option<u64>,
    pub device_memory_bytes: Option<u64>,
}

/// All of it, but for the perplexity, which is known later.
pub fn record(
    done: &Done,
    manifest: &Manifest,
    dense: Dense,
    machine: Machine,
    taken: Taken,
) -> Record {
    let Taken { seconds, peak_rss_bytes, device_memory_bytes } = taken;
    // In the order of the cuts; that of a shared basis is one.
    let spectra = done.spectra.iter().zip(&manifest.widths);
    Record {
        format: Record::FORMAT,
        tool_version: manifest.tool_version.clone(),
        command: command_line(),
        dense,
        bytes: done.written.tensor_bytes,
        machine,
        seconds,
        stages: stages(&done.stages),
        peak_rss_bytes,
        device_memory_bytes,
        perplexity: None,
        spectra: spectra
            .map(|(found, kept)| SpectrumRecord::new(&found.eigenvalues, found.tokens, *kept))
            .collect(),
    }
}

/// The words of the command line, as they were typed.
fn command_line() -> Vec<String> {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once("slicegpt".to_string()).chain(words).collect()
}

/// The machine, and how it was used.
pub fn machine(args: &Args, target: &Target, batch_size: usize) -> Machine {
    let Host { processor, cores, memory_bytes, system } = Host::this();
    Machine {
        processor,
        cores,
        memory_bytes,
        system,
        device: target.info.name.to_string(),
        device_model: target.info.model.clone(),
        batch_size,
        compute_dtype: args.computing.compute_dtype().into(),
        covariance: args.computing.covariance(target),
    }
}

/// The model that was cut, whose tensors have `bytes`.
pub fn dense(described: &Described, bytes: u64) -> Dense {
    let spec = &described.spec;
    Dense {
        name: card::name(described),
        hidden_size: spec.hidden_size,
        intermediate_size: spec.mlp.intermediate_size,
        layers: spec.layers,
        depth: spec.depth(),
        bytes,
    }
}

/// What was measured before the cut on the text in `path`.
pub fn perplexity(path: &Path, before: &Perplexity, protocol: String) -> PerplexityRecord {
    PerplexityRecord {
        text: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        before: before.perplexity,
        after: None,
        tokens: before.tokens,
        samples: before.samples,
        seqlen: before.seqlen,
        protocol,
    }
}

/// Seconds by kind of work; the rest of a run is reading, writing and rewriting the tables.
fn stages(stages: &Stages) -> Vec<(Stage, f64)> {
    let Stages { forward, gram, eigen, edit, stream } = stages;
    let named = [
        (Stage::Forward, forward),
        (Stage::Gram, gram),
        (Stage::Eigen, eigen),
        (Stage::Edit, edit),
        (Stage::Stream, stream),
    ];
    named.map(|(stage, time)| (stage, time.as_secs_f64())).into()
}
