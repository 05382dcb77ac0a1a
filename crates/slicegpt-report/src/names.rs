//! [`Names`]: names of texts, so that results on different texts get different names.

use crate::kind::Kind;
use crate::recorded::recorded;
use crate::results::ScoredText;
use crate::{Report, Score};

/// All texts of a report, by the kind of result measured on them, because protocols differ by kind.
pub struct Names(Vec<(Kind, ScoredText)>);

impl Names {
    /// The texts of all results in a report.
    pub fn of(report: &Report) -> Self {
        let of_base = report.base.iter().flat_map(|base| &base.scores);
        let scores = report.runs.iter().flat_map(|run| &run.scores).chain(of_base).cloned();
        let records = report.runs.iter().filter_map(|run| run.record.as_ref());
        let scores = scores.chain(records.flat_map(recorded).flatten());
        let measured = scores.filter_map(|score| match score {
            Score::Perplexity { text, .. } => Some((Kind::Perplexity, text)),
            Score::Kl { text, .. } => Some((Kind::Kl, text)),
            Score::Task { .. } | Score::Speed { .. } => None,
        });
        Self(measured.collect())
    }

    /// The name of `text` for results of `kind`: file name and size, and what else is needed to
    /// distinguish it from other texts.
    pub fn on(&self, kind: Kind, text: &ScoredText) -> String {
        let alike = |(of, other): &&(Kind, ScoredText)| *of == kind && short(other) == short(text);
        let another = |differs: &dyn Fn(&ScoredText) -> bool| {
            self.0.iter().filter(alike).any(|(_, other)| differs(other))
        };
        // Texts whose paths are not known are taken to be the same.
        let elsewhere = |other: &ScoredText| {
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

fn short(text: &ScoredText) -> (Option<&str>, u64, u64) {
    (text.name.as_deref(), text.samples, text.seqlen)
}
