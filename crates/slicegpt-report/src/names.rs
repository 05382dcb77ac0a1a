//! [`Names`]: what texts are called, so that different ones are never taken for one.

use slicegpt_provenance::PerplexityRecord;

use crate::columns::Kind;
use crate::results::Text;
use crate::{Report, Score};

/// All texts of a report, by what was measured on them: what perplexities mean is not what divergences do.
pub struct Names(Vec<(Kind, Text)>);

impl Names {
    /// Of everything that was measured.
    pub fn of(report: &Report) -> Self {
        let of_base = report.base.iter().flat_map(|base| &base.scores);
        let scores = report.runs.iter().flat_map(|run| &run.scores).chain(of_base);
        let measured = scores.filter_map(|score| match score {
            Score::Perplexity { text, .. } => Some((Kind::Perplexity, text.clone())),
            Score::Kl { text, .. } => Some((Kind::Kl, text.clone())),
            Score::Task { .. } | Score::Speed { .. } => None,
        });
        let records = report.runs.iter().filter_map(|run| run.record.as_ref());
        let records = records.filter_map(|record| record.perplexity.as_ref());
        let records = records.map(|known| (Kind::Perplexity, recorded(known)));
        Self(measured.chain(records).collect())
    }

    /// What `text` is called where `kind` was measured: by its name, its size, and by as much else as tells it
    /// from another.
    pub fn on(&self, kind: Kind, text: &Text) -> String {
        let alike = |(of, other): &&(Kind, Text)| *of == kind && short(other) == short(text);
        let another = |differs: &dyn Fn(&Text) -> bool| {
            self.0.iter().filter(alike).any(|(_, other)| differs(other))
        };
        // Where only the name is known, it is the same for all that anybody knows.
        let elsewhere = |other: &Text| {
            other.path.as_ref().zip(text.path.as_ref()).is_some_and(|(other, own)| other != own)
        };
        let name = match &text.path {
            Some(path) if another(&elsewhere) => path.as_str(),
            _ => text.name.as_ref().map_or("a text", String::as_str),
        };
        let mut label = format!("{name}, {} × {} tokens", text.samples, text.seqlen);
        if another(&|other| other.protocol != text.protocol) {
            label += &format!(" ({})", text.protocol);
        }
        label
    }
}

fn short(text: &Text) -> (Option<&str>, u64, u64) {
    (text.name.as_deref(), text.samples, text.seqlen)
}

/// The text that a compression measured itself on.
pub fn recorded(known: &PerplexityRecord) -> Text {
    Text {
        name: Some(known.text.clone()),
        path: None,
        samples: known.samples as u64,
        seqlen: known.seqlen as u64,
        protocol: known.protocol.clone(),
    }
}
