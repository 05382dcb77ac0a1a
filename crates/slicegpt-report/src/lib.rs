//! One HTML page about one or several sliced models, with tables and SVG charts. The page loads
//! nothing, runs no script, and is the same for the same input.
//!
//! [`Report`] holds the models with their results, and [`Report::to_html`] writes the page.
//! [`scores`] reads results from JSON.
//!
//! This crate knows nothing about tensors, passes, files or the command line.

mod columns;
mod compared;
mod curves;
mod error;
mod evaluated;
mod figure;
mod kind;
mod names;
mod numbers;
mod one;
mod page;
mod recorded;
mod results;
mod shown;
mod spectra;

pub use error::ReportError;
pub use numbers::{show_bytes, show_count, show_percent};
pub use results::{Measured, Score, ScoredText, scores};

use slicegpt_provenance::{Manifest, Record};

/// The shapes and sizes of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSummary {
    /// Its name on the page.
    pub name: String,
    /// `model_type` of its config.
    pub model_type: String,
    /// Width of the stream; that of the dense model where widths differ between cuts.
    pub hidden_size: usize,
    /// Width of the hidden layer of the MLP of each block.
    pub intermediate_sizes: Vec<usize>,
    /// Sublayers per block.
    pub sublayers: usize,
    /// Number of parameters.
    pub parameters: u64,
    /// Bytes of its tensors.
    pub bytes: u64,
    /// The type of most weights, by its name in torch.
    pub dtype: String,
}

/// A sliced model.
#[derive(Clone, Debug, PartialEq)]
pub struct SlicedModel {
    /// Its shapes and sizes.
    pub model: ModelSummary,
    /// How it was made.
    pub manifest: Manifest,
    /// What its compression measured, where known.
    pub record: Option<Record>,
    /// Results measured since.
    pub scores: Vec<Score>,
}

/// The dense model.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseModel {
    /// Its shapes and sizes.
    pub model: ModelSummary,
    /// Its results.
    pub scores: Vec<Score>,
}

/// The contents of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The heading; by default the names of the dense models.
    pub title: Option<String>,
    /// The dense model that the sliced ones were made from, where it is given.
    pub base: Option<DenseModel>,
    /// The sliced models, at least one.
    pub runs: Vec<SlicedModel>,
    /// The program that writes the page, and its version.
    pub tool: String,
    /// How to get results, shown where there are none.
    pub advice: Option<String>,
}
