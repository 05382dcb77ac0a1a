//! Backward passes of the kernels: one file per operation, and [`record`], which joins an operation
//! to the graph of Burn's autodiff.
//!
//! A backward pass computes the gradients of the inputs from that of the output, on all threads. It
//! recomputes what is cheap, so only inputs are kept for it.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod linear;
pub(crate) mod low_rank;
pub(crate) mod norm;
pub(crate) mod record;
pub(crate) mod rotary;
