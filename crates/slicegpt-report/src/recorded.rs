//! [`recorded`]: the results that a compression recorded, as scores of both models.

use slicegpt_provenance::{EvaluationRecord, PerplexityRecord, Record};

use crate::results::{Score, ScoredText};

/// The results in the record of a compression: those of the dense model, and those of the sliced
/// one.
pub fn recorded(record: &Record) -> [Vec<Score>; 2] {
    let (mut dense, mut sliced) = (Vec::new(), Vec::new());
    for found in record.perplexities() {
        let text = scored(&found);
        dense.push(Score::Perplexity { value: found.before, text: text.clone() });
        sliced.extend(found.after.map(|value| Score::Perplexity { value, text }));
    }
    sliced.extend(record.evaluations.iter().map(divergence));
    [dense, sliced]
}

fn divergence(found: &EvaluationRecord) -> Score {
    Score::Kl {
        base: None,
        mean: found.kl,
        error: found.kl_standard_error,
        agreement: found.top1_agreement,
        text: ScoredText {
            name: Some(found.text.clone()),
            path: None,
            samples: found.samples as u64,
            seqlen: found.seqlen as u64,
            protocol: found.kl_protocol.clone(),
        },
    }
}

/// The text on which a compression measured perplexity.
fn scored(known: &PerplexityRecord) -> ScoredText {
    ScoredText {
        name: Some(known.text.clone()),
        path: None,
        samples: known.samples as u64,
        seqlen: known.seqlen as u64,
        protocol: known.protocol.clone(),
    }
}
