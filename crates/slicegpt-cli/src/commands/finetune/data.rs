//! The sequences that a model is trained and evaluated on.

use std::path::Path;

use anyhow::{Context, Result, bail};
use slicegpt_corpus::Samples;
use slicegpt_train::Example;

use super::Args;
use crate::services::model::Opened;

/// Sequences to train on and to evaluate on.
pub struct Data {
    /// To train on.
    pub examples: Vec<Example>,
    /// To evaluate on, each with its name; at least one. The first chooses the best state.
    pub evaluations: Vec<(String, Samples)>,
    /// The tokens that are trained on.
    pub tokens: usize,
}

impl Data {
    /// Reads all texts.
    pub fn load(args: &Args, model: &Opened) -> Result<Self> {
        let read = |option: &str, path: &Path| {
            let samples = args.cutting.evaluation(model, Some(path), None, None);
            samples.with_context(|| format!("{option} {}", path.display()))
        };
        let train: Vec<Samples> =
            args.train.iter().map(|path| read("--train", path)).collect::<Result<_>>()?;
        let mut evaluations = Vec::new();
        for path in &args.eval {
            evaluations.push((path.to_string_lossy().into_owned(), read("--eval", path)?));
        }
        let mut examples: Vec<Example> = train.iter().flat_map(examples).collect();
        if let Some(most) = args.max_samples {
            examples.truncate(most);
        }
        if evaluations.is_empty() {
            let held_out = examples.len().div_ceil(20);
            if examples.len() < 2 {
                bail!(
                    "--train: one sequence is left, and some are needed to evaluate on; give \
                     --eval, or shorter sequences with --seqlen"
                );
            }
            let rest = examples.split_off(examples.len() - held_out);
            let seqlen = rest.iter().map(|example| example.ids.len()).min().unwrap_or(0);
            let ids = rest.iter().flat_map(|example| &example.ids[..seqlen]).copied().collect();
            let name = "the last twentieth of the training text".to_string();
            evaluations.push((name, Samples::new(ids, None, seqlen)));
        }
        if examples.iter().all(|example| example.predicted() == 0) {
            bail!("--train: no token is left to predict; see --seqlen");
        }
        let tokens = examples.iter().map(|example| example.ids.len()).sum();
        Ok(Self { examples, evaluations, tokens })
    }
}

/// The sequences of samples, without padding.
fn examples(samples: &Samples) -> Vec<Example> {
    let of = |(ids, mask): (&[u32], Option<&[bool]>)| {
        let kept = |at: usize| mask.is_none_or(|mask| mask[at]);
        let ids = (0..ids.len()).filter(|at| kept(*at)).map(|at| ids[at]).collect();
        Example::of_text(ids)
    };
    samples.batches(1).map(of).filter(|example| example.ids.len() > 1).collect()
}
