//! Principal directions of a residual stream: its covariance in float64, and the eigenvectors.
//!
//! "PCA in single precision ruins Llama" (SliceGPT, table 4): sums of products are accumulated in
//! float64, and decomposed in float64 by faer. The analysis is uncentred, and padding does not
//! count.
//!
//! This crate refuses to know blocks, models and files: a signal goes in, a [`slicegpt_core::Basis`]
//! comes out.

mod covariance;
mod directions;
mod eigen;
mod moments;
mod orientation;
mod ridge;

pub use covariance::{Arithmetic, Covariance, NotFinite};
pub use directions::Directions;
pub use eigen::{Spectrum, align, principal};
pub use moments::Moments;
pub use orientation::{Orientation, random_basis};
pub use ridge::{Affine, Ridge, RidgeError};
