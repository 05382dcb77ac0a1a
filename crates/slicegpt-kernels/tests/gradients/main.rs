//! The gradients of the kernels, against Burn's own autodiff of the same formula and against
//! central differences in float64.

mod activation;
mod attention;
mod check;
mod linear;
mod low_rank;
mod norm;
mod rotary;
