//! Compares the sliced model with the dense one on the texts of `--eval-text`.

use anyhow::Result;
use slicegpt_checkpoint::CheckpointError;
use slicegpt_eval::{Comparison, comparison};
use slicegpt_generate::{EngineError, greedy_continuations, same_beginnings};
use slicegpt_provenance::{ContinuationsRecord, EvaluationRecord, SameBeginning};

use crate::args::evaluation::EvaluationText;
use crate::commands::{kl, ppl};
use crate::services::device::{Batches, Target};
use crate::services::generation::{engine_error, generation_settings, load_engine};
use crate::services::model::Opened;
use crate::show::progress::{Interrupted, Progress};

/// Lengths at which continuations are compared, in tokens.
const LENGTHS: [usize; 3] = [8, 16, 32];

/// The continuations of the prompts of one text.
type Continuations = Vec<Vec<u32>>;

/// Compares the predictions of both models on each text, one block in memory at a time. There are
/// no continuations yet.
pub fn predictions(
    texts: &[EvaluationText],
    [dense, sliced]: [&Opened; 2],
    target: &Target,
    ignore_token_id: Option<u32>,
) -> Result<Vec<EvaluationRecord>> {
    let compared = |text: &EvaluationText| {
        let Batches { batches, lanes } = target.batches(&dense.spec, &text.samples);
        let steps = batches.len() * (dense.spec.layers + sliced.spec.layers);
        let progress = Progress::start("comparing", steps);
        target.doing(format!("comparing the models on {}", text.path.display()));
        let found = target.run(|| {
            let [dense, sliced] = [dense, sliced].map(|opened| opened.model(&target.device));
            comparison(&dense, &sliced, &batches, &lanes, ignore_token_id, &progress)
                .map_err(|error| ppl::eval_error(error, &text.path))
        });
        progress.finish();
        Ok(record(text, found?, ignore_token_id))
    };
    texts.iter().map(compared).collect()
}

fn record(
    text: &EvaluationText,
    found: Comparison,
    ignore_token_id: Option<u32>,
) -> EvaluationRecord {
    let Comparison { base, decoder, divergence } = found;
    EvaluationRecord {
        text: text.name.clone(),
        samples: base.samples,
        seqlen: base.seqlen,
        tokens: base.tokens,
        perplexity_before: base.perplexity,
        perplexity_after: decoder.perplexity,
        protocol: ppl::protocol(Some(&text.path), &text.samples, ignore_token_id),
        kl: divergence.mean,
        kl_standard_error: divergence.standard_error,
        top1_agreement: divergence.agreement,
        kl_tokens: divergence.tokens,
        kl_protocol: kl::PROTOCOL.into(),
        continuations: None,
    }
}

/// Adds the comparison of greedy continuations to the record of each text that has prompts. The
/// models are loaded one after the other.
pub fn continuations(
    texts: &[EvaluationText],
    [dense, sliced]: [Opened; 2],
    target: &Target,
    records: &mut [EvaluationRecord],
) -> Result<()> {
    if texts.iter().all(|text| text.prompts.is_empty()) {
        return Ok(());
    }
    // Both models end a text with the tokens of the dense one.
    let eos = generation_settings(&dense.checkpoint)?.eos;
    let dense = continued(texts, dense, target, &eos)?;
    let sliced = continued(texts, sliced, target, &eos)?;
    for (((record, text), dense), sliced) in records.iter_mut().zip(texts).zip(dense).zip(sliced) {
        record.continuations = compared(text, &dense, &sliced);
    }
    Ok(())
}

/// The continuations of each text by one model.
fn continued(
    texts: &[EvaluationText],
    opened: Opened,
    target: &Target,
    eos: &[u32],
) -> Result<Vec<Continuations>> {
    let directory = opened.directory();
    let (engine, _) = load_engine(opened, target, None)?;
    let progress = Progress::start("continuing", texts.iter().map(|text| text.new_tokens).sum());
    let each = |text: &EvaluationText| {
        target.doing(format!("continuing prompts of {}", text.path.display()));
        let found = target.run(|| {
            greedy_continuations(&engine, &text.prompts, text.new_tokens, eos, &progress)
                .map_err(|error: EngineError<CheckpointError>| engine_error(error, &directory))
        });
        Ok(found?.ok_or(Interrupted)?)
    };
    let all = texts.iter().map(each).collect();
    progress.finish();
    all
}

/// How many continuations of a text are the same; `None` if it has none.
fn compared(
    text: &EvaluationText,
    dense: &[Vec<u32>],
    sliced: &[Vec<u32>],
) -> Option<ContinuationsRecord> {
    let (prompts, new_tokens) = (text.prompts.len(), text.new_tokens);
    let prompt_tokens = text.prompts.first()?.len();
    let same = |tokens| {
        let count = same_beginnings(dense, sliced, tokens);
        SameBeginning { tokens, fraction: count as f64 / prompts as f64 }
    };
    Some(ContinuationsRecord {
        prompts,
        prompt_tokens,
        new_tokens,
        same: LENGTHS.into_iter().filter(|tokens| *tokens <= new_tokens).map(same).collect(),
        protocol: format!(
            "Continuations: {prompts} prompts of {prompt_tokens} tokens, taken evenly from the \
             text, no BOS added; greedy, {new_tokens} new tokens; the fraction whose first tokens \
             are all the same."
        ),
    })
}
