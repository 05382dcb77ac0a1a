//! Compresses a whole decoder by SliceGPT: reads it part by part, rotates and cuts its residual
//! stream, refits what is left, and hands over the parts of the smaller decoder.
//!
//! Start from [`compress`], or from [`Compression`] for more choices. It takes
//!
//! - a decoder that implements [`Tables`]: any [`slicegpt_models::Model`] does, and a decoder of
//!   your own blocks needs a few lines more than [`slicegpt_core::Decoder`];
//! - calibration tokens, a [`slicegpt_core::TokenBatch`] of `[sequences, tokens]`;
//! - a [`Plan`]: method, size and options, all with defaults;
//! - a [`Sink`] for the parts of the result: [`InMemory`] collects them, [`ByName`] turns them into
//!   named tensors, which [`Shards`] writes to the files of a checkpoint;
//! - a [`slicegpt_core::Observer`], which follows the work and may cancel it.
//!
//! # Example
//!
//! A checkpoint directory, cut to three quarters of its parameters:
//!
//! ```
//! use std::sync::Arc;
//!
//! use burn::tensor::Device;
//! use slicegpt_checkpoint::{Checkpoint, Dtype};
//! use slicegpt_compress::{ByName, Plan, Shards, Size, compress};
//! use slicegpt_core::{TokenBatch, Unobserved};
//! use slicegpt_models::{Model, parse};
//!
//! # let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
//! # let dense = &std::path::Path::new(fixtures).join("models/ts-llama3-gqa");
//! # let out = tempfile::tempdir()?;
//! # let out = out.path();
//! let checkpoint = Checkpoint::open(dense)?;
//! let spec = parse(checkpoint.config())?;
//! let model = Model::new(spec.clone(), &checkpoint, Device::flex());
//! let tokens = TokenBatch::new((0..8 * 64).collect(), None, 64); // eight sequences of your text
//! let plan = Plan { size: Some(Size::KeepParams(0.75)), ..Plan::default() };
//! let mut sink = ByName::new(&spec, Shards::new(out, Dtype::F32, 5_000_000_000));
//! let done = compress(&model, &tokens, &plan, &mut sink, Arc::new(Unobserved))?;
//! let (sliced, shards) = sink.into_inner();
//! println!("{:?}: {:?}", shards.finish()?.files, sliced.unwrap().parameters());
//! # assert!(done.shape.widths.head() <= spec.hidden_size);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The method of the paper, with a basis per cut, is [`Method::PerLayer`].
//!
//! This crate refuses to know text, tokenizers, command lines and where a file lies.

mod ahead;
mod candidates;
mod checkpoint;
mod computing;
mod count;
mod dense;
mod enough;
mod error;
mod head;
mod measure;
mod per_layer;
mod plan;
mod run;
mod search;
mod shape;
mod shared;
mod sink;
mod statistics;
mod tables;
mod times;

pub use checkpoint::{
    About, ByName, Shards, TensorSink, cut_spec, finish_checkpoint, sliced_config,
};
pub use computing::{Batches, Batching, Computing, MakeShelf};
pub use count::Counted;
pub use enough::{TOKENS_PER_DIRECTION, directions, enough_sequences};
pub use error::CompressError;
pub use plan::{
    Axes, Cut, FixedSizes, FreeAxes, HeadTying, Method, MlpWidths, Plan, PlanError, Ranking, Refit,
    SearchBudget, SharedCut, Size, Split, field,
};
pub use run::{Compressed, Compression, Searched, compress};
pub use search::Trial;
pub use shape::{Dimensions, Intermediate, PrunableLayer, Shape};
pub use sink::{InMemory, Sink};
pub use statistics::{Origin, StatisticsError, read_statistics, write_statistics};
pub use tables::{Table, Tables};
pub use times::Times;
