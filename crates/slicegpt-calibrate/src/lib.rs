//! Principal directions of a residual stream, and the regression that refits weights to it.
//!
//! Start with [`Covariance`]: add every batch of the signal to it, then take the leading
//! eigenvectors with [`principal`], or order directions by what the readers of the signal lose with
//! [`Directions`]. Both give a [`slicegpt_core::Basis`]. [`Moments`] and [`Ridge`] do the same for
//! linear regression: sums over tokens go in, a weight matrix comes out. A [`Regression`] also
//! chooses which inputs of a layer to keep, and validates its fits by held-out tokens.
//!
//! ```
//! use burn::tensor::{Device, Distribution, Tensor};
//! use slicegpt_calibrate::{Arithmetic, Covariance, Orientation, principal};
//!
//! let device = Device::flex();
//! let mut covariance = Covariance::new(16, Arithmetic::of(&device));
//! for _ in 0..4 {
//!     // [batch, tokens, width]; `None`: no padding.
//!     let signal = Tensor::random([2, 32, 16], Distribution::Normal(0.0, 1.0), &device);
//!     covariance.add(signal, None);
//! }
//! let (basis, spectrum) = principal(&covariance, 12, &mut Orientation::Pca)?;
//! assert_eq!([basis.hidden_size(), basis.rank()], [16, 12]);
//! assert_eq!(spectrum.tokens, 4 * 2 * 32);
//! # Ok::<(), slicegpt_calibrate::AnalysisError>(())
//! ```
//!
//! "PCA in single precision ruins Llama" (SliceGPT, table 4): sums of products are accumulated to
//! double-precision accuracy on every device, and faer decomposes them in double precision on the
//! host. The analysis is uncentred, and padding tokens do not count.
//!
//! This crate refuses to know blocks, models and files.

mod covariance;
mod directions;
mod eigen;
mod error;
mod moments;
mod orientation;
mod regression;
mod ridge;
mod sum;

pub use covariance::{Arithmetic, Covariance};
pub use directions::Directions;
pub use eigen::{Spectrum, align, principal};
pub use error::{AnalysisError, NotFinite, RidgeError};
pub use moments::Moments;
pub use orientation::{Orientation, random_basis};
pub use regression::{Errors, Fit, Regression};
pub use ridge::{Affine, Ridge};
