//! The work of `compress`: score, compress, write, score again.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use slicegpt_compress::{
    Axes, ByName, Compressed, Compression, Cut, Shards, SharedCut, StatisticsError, read_statistics,
};
use slicegpt_corpus::Samples;
use slicegpt_eval::Perplexity;

use super::prepared::Prepared;
use super::summary::{Made, Summary, Taken};
use crate::args::options::option;
use crate::args::text::token_batch;
use crate::commands::ppl::{protocol, score};
use crate::services::files::{SPECTRA, amend, finish, write_spectra};
use crate::services::memory::{peak_rss_bytes, reset_peak};
use crate::services::model::Opened;
use crate::services::watch::Watch;
use crate::show::output;
use crate::show::progress::{self, note, warn};

/// The result.
pub struct Outcome {
    json: bool,
    summary: Summary,
}

/// Compresses the model, and scores it before and after on request.
pub fn execute(mut prepared: Prepared<'_>) -> Result<Outcome> {
    let before = prepared.score(&prepared.opened, "perplexity before")?;
    let (made, taken) = prepared.compress()?;
    let mut summary = Summary::new(&prepared, &made, taken);
    let text = prepared.args.eval_text.as_deref();
    if let (Some(path), Some(before)) = (text, &before) {
        summary.score(path, before, protocol(text, prepared.args.ignore_token_id));
    }
    let Prepared { args, described, staging, spectra, evaluation, target, dtype, .. } = prepared;
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
    if let Some(samples) = &evaluation {
        note("perplexity after");
        let after = Opened::open(&args.out)
            .and_then(|opened| score(&opened, samples, &target, args.ignore_token_id));
        let after = after
            .with_context(|| format!("{} is complete, but was not scored", args.out.display()))?;
        summary.score_after(&after);
        amend(&args.out, &described, dtype, &summary.manifest, &summary.record)?;
    }
    Ok(Outcome { json: args.json, summary })
}

impl Prepared<'_> {
    /// The perplexity of a model, if it was asked for.
    fn score(&self, opened: &Opened, title: &str) -> Result<Option<Perplexity>> {
        let score = |samples: &Samples| {
            note(title);
            score(opened, samples, &self.target, self.args.ignore_token_id)
        };
        self.evaluation.as_ref().map(score).transpose()
    }

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
        let file = std::fs::read(path).with_context(at)?;
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

impl Outcome {
    /// Prints the table or the JSON.
    pub fn show(&self) -> Result<ExitCode> {
        let Self { json, summary } = self;
        let footer = summary.protocol();
        let header = ["", "before", "after"];
        output::print(json.then(|| summary.json()), &summary.rows(), &header, footer)?;
        note(format!("wrote {}", summary.out.display()));
        Ok(ExitCode::SUCCESS)
    }
}
