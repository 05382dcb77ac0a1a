//! [`ReportError`]: what can be wrong with results, and with drawing.

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// JSON that is not what a command of `slicegpt` prints.
    #[error(
        "is none of what `slicegpt eval ppl`, `eval kl`, `eval tasks` and `bench` print with --json"
    )]
    Unknown,
    /// A field that is missing, or of another type.
    #[error("`{0}` is missing or not what `slicegpt` writes; make it again with this version")]
    Field(&'static str),
    /// A chart that could not be drawn.
    #[error("a chart could not be drawn: {0}")]
    Drawing(String),
    /// A template that could not be filled.
    #[error("the page could not be written: {0}")]
    Template(#[from] minijinja::Error),
}
