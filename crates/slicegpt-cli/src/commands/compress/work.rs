//! The work of `compress`: compress, write, compare with the dense model.

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use slicegpt_compress::{
    Axes, ByName, Compressed, Compression, Cut, Shards, SharedCut, StatisticsError, read_statistics,
};

use super::evaluate;
use super::prepared::Prepared;
use super::summary::{Made, Summary, Taken};
use crate::args::options::option;
use crate::args::text::token_batch;
use crate::services::files::{SPECTRA, amend, finish, write_spectra};
use crate::services::memory::{peak_rss_bytes, reset_peak};
use crate::services::model::Opened;
use crate::services::watch::Watch;
use crate::show::evaluations::show_evaluations;
use crate::show::output;
use crate::show::progress::{self, note, warn};

/// The result.
pub struct Outcome {
    json: bool,
    summary: Summary,
}

/// Compresses the model, and compares it with the dense one on request.
pub fn execute(mut prepared: Prepared<'_>) -> Result<Outcome> {
    let (made, taken) = prepared.compress()?;
    let mut summary = Summary::new(&prepared, &made, taken);
    let Prepared { args, described, opened, staging, spectra, texts, target, dtype, .. } = prepared;
    let (manifest, record) = (&summary.manifest, Some(&summary.record));
    finish(&staging, &described, &made.sliced, dtype, manifest, record)?;
    if let Some(staging) = &spectra {
        write_spectra(&staging.path().join(SPECTRA), &made.compressed.spectra)?;
    }
    progress::check()?;
    staging.commit()?;
    if let Some(staging) = spectra {
        staging.commit_file(SPECTRA)?;
    }
    if !texts.is_empty() {
        let out = args.out.display();
        let ignored = args.evaluation.ignore_token_id;
        let compare = |sliced: Opened| {
            let found = evaluate::predictions(&texts, [&opened, &sliced], &target, ignored)?;
            Ok((sliced, found))
        };
        let (sliced, found) = Opened::open(&args.out)
            .and_then(compare)
            .with_context(|| format!("{out} is complete, but was not evaluated"))?;
        summary.record.evaluations = found;
        // Already written here, because the whole models may not fit into memory.
        amend(&args.out, &described, dtype, &summary.manifest, &summary.record)?;
        let records = &mut summary.record.evaluations;
        evaluate::continuations(&texts, [opened, sliced], &target, records).with_context(|| {
            format!(
                "{out} is complete and its predictions were compared, but not its continuations \
                 (--eval-prompts 0 leaves them out)"
            )
        })?;
        amend(&args.out, &described, dtype, &summary.manifest, &summary.record)?;
    }
    Ok(Outcome { json: args.json, summary })
}

impl Prepared<'_> {
    fn compress(&mut self) -> Result<(Made, Taken)> {
        let computing = std::mem::take(&mut self.computing);
        let Self { args, opened, target, cut, .. } = &*self;
        reset_peak();
        let start = Instant::now();
        let model = opened.model(&target.device);
        let watch = Watch::new(target);
        if let Cut::Shared(SharedCut { tied: true, .. }) = cut
            && self.plan.orientation == Axes::Random
        {
            warn("--orientation random: a tied head decides the axes; --head untied frees them");
        }
        let statistics = args.stats.as_deref().map(|path| self.statistics(path)).transpose()?;
        let shards = Shards::new(self.staging.path(), self.dtype, args.max_shard_size);
        let mut sink = ByName::new(&opened.spec, shards);
        let compression = Compression {
            plan: self.plan.clone(),
            computing,
            observer: watch,
            ..Compression::new(&model)
        };
        let tokens = token_batch(&self.samples);
        let mut compressed: Compressed = target.run(|| {
            let done = compression.cut(cut, statistics, &tokens, &mut sink);
            done.map_err(|error| args.computing.advise(error))
        })?;
        let (sliced, shards) = sink.into_inner();
        let sliced = sliced.context("a compression that ended has begun")?;
        let closing = Instant::now();
        let written = shards.finish()?;
        compressed.times.write += closing.elapsed();
        let usage = target.device.memory_pool_usage();
        let taken = Taken {
            seconds: start.elapsed().as_secs_f64(),
            peak_rss_bytes: peak_rss_bytes(),
            device_memory_bytes: usage.map(|usage| usage.bytes_reserved),
        };
        Ok((Made { compressed, sliced, written }, taken))
    }

    /// The statistics in a file, which must be those of this model and text.
    fn statistics(&self, path: &Path) -> Result<slicegpt_slice::Profile> {
        let at = || path.display().to_string();
        let computing = &self.args.computing;
        let origin = computing.origin(&self.opened, self.calibration.clone(), &self.target)?;
        let file = slicegpt_limits::read(path, largest_statistics(&self.opened.spec));
        let larger = |error: std::io::Error| match error.kind() {
            ErrorKind::InvalidData => anyhow!(
                "{error}: these are not statistics of this model; run `slicegpt calibrate` on it"
            ),
            _ => error.into(),
        };
        let file = file.map_err(larger).with_context(at)?;
        let read = read_statistics(&file, &origin, &self.opened.spec);
        let advise = |error: StatisticsError| {
            let message = error.message(&option);
            match error {
                StatisticsError::Calibration { .. } | StatisticsError::Type { .. } => {
                    anyhow!(message)
                }
                _ => anyhow!("{message}; run `slicegpt calibrate` on this model"),
            }
        };
        read.map_err(advise).with_context(at)
    }
}

/// Bytes that the statistics of a model may have: two covariances, numbers about units and about
/// pairs of blocks, and their names.
fn largest_statistics(spec: &slicegpt_models::DecoderSpec) -> u64 {
    let [hidden, layers] = [spec.hidden_size, spec.layers].map(|size| size as u64);
    let units = (spec.mlp.intermediate_size + spec.attention.heads) as u64;
    8 * (2 * hidden * hidden + layers * (units + layers)) + 1000 * layers + (1 << 20)
}

impl Outcome {
    /// Prints the table or the JSON.
    pub fn show(&self) -> Result<ExitCode> {
        let Self { json, summary } = self;
        let header = ["", "before", "after"];
        output::print(json.then(|| summary.json()), &summary.rows(), &header, None)?;
        let evaluations = &summary.record.evaluations;
        if !json && !evaluations.is_empty() {
            show_evaluations(evaluations)?;
        }
        note(format!("wrote {}", summary.out.display()));
        Ok(ExitCode::SUCCESS)
    }
}
