//! What slicing did to one or several models, as one HTML page: tables, and charts as SVG. It loads nothing,
//! runs no script, and is the same for the same input.
//!
//! [`Report`] holds what is known of each model, [`Report::to_html`] writes the page. [`scores`] reads what
//! `slicegpt eval` and `slicegpt bench` print.
//!
//! This crate refuses to know tensors, passes and where files lie.

mod columns;
mod compared;
mod curves;
mod error;
mod figure;
mod names;
mod numbers;
mod one;
mod page;
mod results;
mod shown;

pub use error::ReportError;
pub use numbers::{show_bytes, show_count, show_percent};
pub use results::{Measured, Score, scores};

use slicegpt_provenance::{Manifest, Record};

/// What a checkpoint is, by its config and the headers of its files.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What it is called on the page.
    pub name: String,
    /// `model_type` of its config.
    pub model_type: String,
    /// Width of the stream; of the dense model where every cut has its own.
    pub hidden_size: usize,
    /// Width of the hidden layer of the MLP of each block.
    pub intermediate_sizes: Vec<usize>,
    /// Sublayers of a block.
    pub depth: usize,
    /// Parameters.
    pub parameters: u64,
    /// Bytes of its tensors.
    pub bytes: u64,
    /// The type most weights have, as torch calls it.
    pub dtype: String,
}

/// A model that was cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What it is.
    pub model: Model,
    /// What it says of itself.
    pub manifest: Manifest,
    /// What was measured when it was made, where that is known.
    pub record: Option<Record>,
    /// What was measured since.
    pub scores: Vec<Score>,
}

/// The dense model.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// What it is.
    pub model: Model,
    /// What was measured of it.
    pub scores: Vec<Score>,
}

/// What a page is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The heading, where it is not to be told by the models.
    pub title: Option<String>,
    /// What the runs were made of, where it is at hand.
    pub base: Option<Base>,
    /// At least one.
    pub runs: Vec<Run>,
    /// What makes the page: `slicegpt` and its version.
    pub tool: String,
}

impl Report {
    /// The page.
    ///
    /// # Errors
    ///
    /// If a chart cannot be drawn, which is a bug.
    pub fn to_html(&self) -> Result<String, ReportError> {
        page::html(self)
    }
}
