//! [`Kind`]: the kinds of results that a page compares.

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Perplexity,
    Kl,
    Agreement,
    Task,
    Speed,
}

impl Kind {
    /// The name of the row for results under `label`.
    pub fn row_name(self, label: &str) -> String {
        match self {
            Self::Perplexity => format!("perplexity on {label}"),
            Self::Kl => format!("KL from {label}, nats per token"),
            Self::Agreement => format!("same most likely token as {label}"),
            Self::Task | Self::Speed => label.into(),
        }
    }
}
