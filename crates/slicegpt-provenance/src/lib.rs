//! How a sliced checkpoint was made, as JSON files and sections.
//!
//! [`Manifest`] says what a sliced model is: its method, its widths, its calibration text. A loader
//! needs it. [`Record`] says what the compression measured: time, memory, spectra, comparisons with
//! the dense model ([`EvaluationRecord`]). No loader reads it. [`ReferenceSizes`] is the file of
//! widths that the reference implementation of SliceGPT writes with its weights.
//!
//! All of them are JSON. Fields with a fixed vocabulary are enums ([`Method`], [`Orientation`],
//! [`Refit`], [`Stage`], [`Summation`]); each keeps a word that it does not know as `Other`, so
//! that a file written by a later version can still be read, shown and written back unchanged.
//!
//! This crate knows nothing about tensors, files or passes: it takes JSON and gives JSON.

mod error;
mod evaluation;
mod manifest;
mod record;
mod reference;
mod refit;
mod spectrum;
mod words;

pub use error::{ProvenanceError, SizesError};
pub use evaluation::{
    ContinuationsRecord, EvaluationRecord, SameBeginning, compared_lengths, each_once,
};
pub use manifest::{CalibrationRecord, Manifest, TextRecord, TriedSplit};
pub use record::{Dense, Machine, PerplexityRecord, Record};
pub use reference::ReferenceSizes;
pub use refit::Refit;
pub use spectrum::SpectrumRecord;
pub use words::{Method, Orientation, Stage, Summation};

/// The name of the file in which a model that was trained after the cut records its training.
pub const TRAINING_RECORD: &str = "slicegpt-finetune.json";
