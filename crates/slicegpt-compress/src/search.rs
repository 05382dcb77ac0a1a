//! The choice of a split over all axes, if a size is asked for: candidates are cut, refitted and
//! compared with the dense model on held-out calibration text.

use std::sync::Arc;
use std::time::{Duration, Instant};

use slicegpt_calibrate::{Directions, Orientation, Ridge};
use slicegpt_core::TokenBatch;
use slicegpt_slice::{DenseStreams, Profile, Refit, Settings};

use crate::candidates::{Candidate, Candidates};
use crate::computing::{Batches, Computing, Row, rows};
use crate::error::Result;
use crate::shared::Shared;
use crate::{SearchBudget, Split, Tables};

/// A split that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The split.
    pub split: Split,
    /// The blocks of the dense model that were removed, ascending.
    pub removed: Vec<usize>,
    /// The number of calibration tokens of the measurement, fitted and held out.
    pub tokens: usize,
    /// The mean KL divergence from the dense model on the held-out ones, in nats per token.
    pub kl: f64,
}

impl Trial {
    /// Whether this is a measurement of `candidate`.
    fn is(&self, candidate: &Candidate) -> bool {
        (self.split, &self.removed) == (candidate.split, &candidate.removed)
    }
}

/// The best split, and what was measured.
pub(crate) struct Choice {
    pub candidate: Candidate,
    /// All that were measured: those on more tokens first, and then the best first. Empty where
    /// there was no choice.
    pub tried: Vec<Trial>,
}

/// What is spent on one candidate.
struct Effort {
    /// Tokens in each of two rounds. In the first one every candidate of a coarse grid is measured,
    /// in the second one the best of them and their neighbours. If they are equal, nothing is
    /// measured twice.
    tokens: [usize; 2],
    /// Whether units are chosen by their importance and the refit is by a fixed ridge. To tune both
    /// for a candidate costs about as much as to cut the model.
    refit_by_ridge: bool,
}

impl Effort {
    /// A model below this many parameters takes seconds to cut.
    const SMALL: u64 = 20_000_000;

    /// For a model with this many parameters, and this many calibration tokens.
    fn of(parameters: u64, tokens: usize) -> Self {
        if parameters < Self::SMALL {
            Self { tokens: [4096, (tokens / 4).max(8192)], refit_by_ridge: false }
        } else {
            Self { tokens: [2048; 2], refit_by_ridge: true }
        }
    }
}

/// Dense streams of at most this many numbers are kept, however few tokens the text has.
const FEW_NUMBERS: usize = 1 << 26;

/// What the candidates of a round are measured on.
struct Round {
    /// Fitted and held out.
    parts: [Batches; 2],
    /// The number of tokens of both.
    tokens: usize,
    /// Where the candidates share what the dense model computes, if that takes no more memory than
    /// the pass that cuts the model, with its two streams of all tokens.
    dense: Option<Arc<DenseStreams>>,
}

impl Round {
    /// About `count` of `tokens`.
    fn new<D: Tables>(
        pass: &Shared<'_, D>,
        tokens: &TokenBatch,
        count: usize,
        computing: &Computing<'_>,
    ) -> Self {
        let decoder = pass.dense.decoder;
        let parts = parts(tokens, count);
        let used: usize = parts.iter().map(|part| part.ids().len()).sum();
        let kept = used * decoder.blocks() * decoder.sublayers_per_block();
        let fits = kept <= 2 * tokens.ids().len() || kept * pass.dense.width() <= FEW_NUMBERS;
        Self {
            parts: parts.map(|part| computing.batches(&part, &decoder.device())),
            tokens: used,
            dense: fits.then(Arc::default),
        }
    }
}

/// The number of tokens, or up to twice as many, of the statistics of a search.
const SURVEY: usize = 1 << 13;

/// The length of the sequences that candidates are measured on. Short ones cost less, and more of
/// them say more about different text.
const SEQLEN: usize = 256;

/// KL divergences of large models that differ by less than this factor count as equal: on
/// SmolLM2-135M at 25 %, a shape with 28 of 30 layers has 1.004 to 1.026 times the KL of one with
/// 26, and after the held-out refit it is the better one on two texts.
const TIE: f64 = 1.03;

/// The refit of candidates. Few tokens ask for a strong ridge.
const RIDGE: Ridge = Ridge { lambda: 0.1 };

/// Chooses among the splits of the cut, from the statistics of the dense model and its calibration
/// tokens.
pub(crate) fn choose<D: Tables>(
    pass: &Shared<'_, D>,
    (profile, directions): (&Profile, &Directions),
    tokens: &TokenBatch,
    budget: SearchBudget,
    computing: &Computing<'_>,
) -> Result<Choice> {
    let candidates = Candidates::new(&pass.cut.splits, &profile.distances);
    if let Some(candidate) = candidates.only() {
        return Ok(Choice { candidate: candidate.clone(), tried: Vec::new() });
    }
    let effort = Effort::of(pass.dimensions.dense_parameters(), tokens.ids().len());
    let refit = pass.refit.map(|refit| match refit {
        Refit::HeldOut if effort.refit_by_ridge => Refit::Ridge(RIDGE),
        refit => refit,
    });
    let pass = &Shared { refit, ..*pass };
    let start = Instant::now();
    let limit = match budget {
        SearchBudget::Unlimited => Duration::MAX,
        SearchBudget::Seconds(seconds) => Duration::from_secs(seconds),
    };
    let round = |count| Round::new(pass, tokens, count, computing);
    let [first, second] = effort.tokens;
    let mut rounds = vec![round(first)];
    rounds.extend((second != first).then(|| round(second)));
    let mut tried: Vec<Trial> = Vec::new();
    let mut measure = |candidate: &Candidate, round: usize| -> Result<Option<f64>> {
        let Round { parts: [fitted, held_out], tokens, dense } =
            &rounds[round.min(rounds.len() - 1)];
        // Both rounds have the same text if there is little of it.
        if let Some(known) = tried.iter().find(|it| it.tokens == *tokens && it.is(candidate)) {
            return Ok(Some(known.kl));
        }
        if !tried.is_empty() && start.elapsed() >= limit {
            return Ok(None);
        }
        let frame = pass.frame(profile, directions, candidate, &mut Orientation::Pca)?;
        let settings = computing.settings(&fitted.lanes, pass.dense.observer)?;
        let settings = Settings { dense: dense.clone(), ..settings };
        let found = pass.measure(&frame, &fitted.batches, &held_out.batches, settings)?;
        // A candidate whose logits are not finite is the worst.
        let kl = found.as_ref().map_or(f64::INFINITY, |found| found.mean);
        let Candidate { split, removed } = candidate.clone();
        let error = found.map_or(0.0, |found| found.standard_error);
        pass.dense.observer.note(&format!(
            "{}: KL {kl:.5} +- {error:.5} nats per token on {tokens} calibration tokens",
            describe(split, &removed)
        ));
        tried.push(Trial { split, removed, tokens: *tokens, kl });
        Ok(Some(kl))
    };
    let mut candidate = pass.dense.clock.search(|| candidates.search(&mut measure))?;
    if effort.refit_by_ridge {
        candidate = with_most_layers(&tried, candidate);
    }
    tried.sort_by(|a, b| b.tokens.cmp(&a.tokens).then(a.kl.total_cmp(&b.kl)));
    if start.elapsed() >= limit {
        pass.dense.observer.note(&format!(
            "the search ended after {} s, as its budget says, with {} measurements",
            limit.as_secs(),
            tried.len()
        ));
    }
    Ok(Choice { candidate, tried })
}

/// Of the candidates that were measured on as many tokens as `best`, and whose KL is at most
/// [`TIE`] times as large, the one with the most layers. A fixed ridge, and units chosen by
/// importance, make narrower MLPs look worse than they become.
fn with_most_layers(tried: &[Trial], best: Candidate) -> Candidate {
    let most = tried.iter().map(|trial| trial.tokens).max().unwrap_or_default();
    let last = || tried.iter().filter(|trial| trial.tokens == most);
    let Some(least) = last().find(|trial| trial.is(&best)).map(|trial| trial.kl) else {
        return best;
    };
    let close = last().filter(|trial| trial.kl <= TIE * least);
    let chosen = close.max_by(|a, b| {
        let layers = a.split.layers.cmp(&b.split.layers);
        layers.then(b.kl.total_cmp(&a.kl))
    });
    chosen.map_or(best, |Trial { split, removed, .. }| Candidate {
        split: *split,
        removed: removed.clone(),
    })
}

/// The sequences that the statistics of a search are computed on; `None` if there are so few tokens
/// that it takes all of them. The shape that is chosen needs statistics of all tokens only if its
/// stream is narrower.
pub(crate) fn survey(tokens: &TokenBatch) -> Option<TokenBatch> {
    let [sequences, length] = tokens.shape();
    let step = tokens.ids().len() / SURVEY;
    let chosen: Vec<Row> =
        (0..sequences).step_by(step.max(1)).map(|sequence| Row { sequence, start: 0 }).collect();
    (step > 1).then(|| rows(tokens, &chosen, length))
}

/// A split in words.
fn describe(split: Split, removed: &[usize]) -> String {
    let Split { layers, width, heads, intermediate } = split;
    let mut text = format!("{layers} layers, stream {width}, MLP {intermediate}");
    if heads > 0 {
        text += &format!(", {heads} key/value heads");
    }
    if !removed.is_empty() {
        let removed: Vec<String> = removed.iter().map(usize::to_string).collect();
        text += &format!(", without blocks {}", removed.join(" "));
    }
    text
}

/// About `count` tokens of the calibration text, evenly spread over it, in short sequences: those
/// that candidates are fitted on, and a quarter that is held out, by which they are judged.
fn parts(tokens: &TokenBatch, count: usize) -> [TokenBatch; 2] {
    let [sequences, length] = tokens.shape();
    // One sequence is divided between both parts.
    let seqlen = if sequences < 2 { SEQLEN.min(length.div_ceil(2)) } else { SEQLEN.min(length) };
    let per_sequence = (length / seqlen).max(1);
    let available = sequences * per_sequence;
    let wanted = (count / seqlen).clamp(2, available);
    let row = |number: usize| {
        let at = number * available / wanted;
        // Neighbouring numbers come from different sequences.
        Row { sequence: at % sequences, start: at / sequences * seqlen }
    };
    let is_held_out = |number: &usize| number % 4 == 1;
    let fitted: Vec<Row> = (0..wanted).filter(|number| !is_held_out(number)).map(row).collect();
    let held_out: Vec<Row> = (0..wanted).filter(is_held_out).map(row).collect();
    [fitted, held_out].map(|chosen| rows(tokens, &chosen, seqlen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_candidates_the_one_with_most_layers_is_taken() {
        let trial = |layers, tokens, kl| Trial {
            split: Split { layers, width: 8, heads: 1, intermediate: 4 },
            removed: Vec::new(),
            tokens,
            kl,
        };
        let taken = |tried: &[Trial], best: usize| {
            let best = Candidate::whole(tried[best].split);
            with_most_layers(tried, best).split.layers
        };
        let tried = [trial(5, 9, 1.0), trial(6, 9, 1.02), trial(7, 9, 1.1), trial(8, 4, 1.0)];
        assert_eq!(taken(&tried, 0), 6);
        assert_eq!(taken(&tried[..1], 0), 5);
        // The best one of the first round only, because the time was over.
        let tried = [trial(5, 9, 1.0), trial(4, 4, 0.5)];
        assert_eq!(taken(&tried, 1), 4);
    }

    #[test]
    fn a_survey_takes_some_sequences_of_a_long_text() {
        let text = |sequences: u32| TokenBatch::new((0..sequences * 1024).collect(), None, 1024);
        let found = survey(&text(64)).unwrap();
        assert_eq!(found.shape(), [8, 1024]);
        assert_eq!(found.ids()[1024], 8 * 1024);
        assert_eq!(survey(&text(15)).map(|few| few.shape()), None);
    }

    #[test]
    fn the_parts_of_a_text_do_not_overlap() {
        for (sequences, length, count) in
            [(64, 1024, 2048), (1, 1024, 2048), (5, 12, 4), (2, 8, 99)]
        {
            let ids: Vec<u32> = (0..sequences * length).collect();
            let tokens = TokenBatch::new(ids, None, length as usize);
            let [fitted, held_out] = parts(&tokens, count);
            assert!(!held_out.ids().is_empty() && !fitted.ids().is_empty());
            let mut all = [fitted.ids(), held_out.ids()].concat();
            let total = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), total, "{sequences} x {length}");
            assert!(total <= count.max(2 * SEQLEN));
        }
    }
}
