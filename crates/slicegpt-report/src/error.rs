//! [`ReportError`]: why results cannot be read, or a page cannot be drawn.

/// Why results cannot be read, or a page cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// JSON without a known kind of result.
    #[error("holds no results: no perplexity, divergence, tasks or speed")]
    Unknown,
    /// A field that is missing, or of another type.
    #[error("`{0}` is missing or has the wrong type; measure again with this version of slicegpt")]
    Field(&'static str),
    /// A chart that could not be drawn.
    #[error("a chart could not be drawn: {0}")]
    Drawing(String),
    /// A template that could not be filled.
    #[error("the page could not be written: {0}")]
    Template(#[from] minijinja::Error),
}
