//! The gradients of the activations. With `s(x) = 1 / (1 + e^-x)`:
//!
//! ```text
//! silu(x) = x s(x):        s + x s (1 - s)
//! gelu(x) = x s(v):        s + x s (1 - s) dv/dx
//!     v = 2 sqrt(2 / pi) (x + 0.044715 x^3)
//! swiglu = silu(gate) up:  dgate = dy up silu'(gate),  dup = dy silu(gate)
//! ```
//!
//! GELU by the hyperbolic tangent is `x (1 + tanh(v / 2)) / 2` (Hendrycks and Gimpel, arXiv
//! 1606.08415), and SwiGLU is of Shazeer (arXiv 2002.05202).

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::record::{Operation, host};
use crate::elementwise::{SHARE, exp};
use crate::isa::{Instructions, Kernel, run};
use crate::view::View;

/// A function of single numbers.
#[derive(Clone, Copy)]
pub(crate) enum Function {
    Silu,
    GeluTanh,
}

/// What the backward pass of a function of single numbers needs.
pub(crate) struct Activation<const D: usize> {
    pub function: Function,
    pub x: View,
    pub shape: [usize; D],
}

impl<const D: usize> Operation<1> for Activation<D> {
    fn backward(&self, output: View, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let mut dx = output.values().to_vec();
        let shares = dx.par_chunks_mut(SHARE).zip(self.x.values().par_chunks(SHARE));
        shares.for_each(|(dx, x)| match self.function {
            Function::Silu => run(TimesSilu { x, dx }),
            Function::GeluTanh => run(TimesGeluTanh { x, dx }),
        });
        [Some(host(dx, self.shape))]
    }
}

/// What the backward pass of `silu(gate) up` needs.
pub(crate) struct Swiglu<const D: usize> {
    pub gate: View,
    pub up: View,
    pub shape: [usize; D],
}

/// The order of the inputs: gate, up.
impl<const D: usize> Operation<2> for Swiglu<D> {
    fn backward(&self, output: View, needed: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let [gate, up] = [&self.gate, &self.up].map(|x| x.values().par_chunks(SHARE));
        let (mut dgate, mut dup) = (output.values().to_vec(), vec![0.0; output.values().len()]);
        let out = dgate.par_chunks_mut(SHARE).zip(dup.par_chunks_mut(SHARE));
        out.zip(gate.zip(up)).for_each(|((dgate, dup), (gate, up))| {
            run(SwigluShare { gate, up, dgate, dup });
        });
        let [of_gate, of_up] = needed;
        [of_gate.then(|| host(dgate, self.shape)), of_up.then(|| host(dup, self.shape))]
    }
}

/// The sigmoid of `x`.
#[inline(always)]
fn sigmoid<I: Instructions>(isa: I, x: f32) -> f32 {
    1.0 / (1.0 + exp(isa, -x))
}

/// `dx silu'(x)`, in `dx`.
struct TimesSilu<'a> {
    x: &'a [f32],
    dx: &'a mut [f32],
}

impl Kernel for TimesSilu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, isa: I) {
        for (dx, x) in self.dx.iter_mut().zip(self.x) {
            let s = sigmoid(isa, *x);
            *dx *= isa.multiply_add(x * s, 1.0 - s, s);
        }
    }
}

/// `dx gelu'(x)`, in `dx`.
struct TimesGeluTanh<'a> {
    x: &'a [f32],
    dx: &'a mut [f32],
}

impl Kernel for TimesGeluTanh<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, isa: I) {
        const TWICE: f32 = 2.0 * 0.797_884_6;
        for (dx, x) in self.dx.iter_mut().zip(self.x) {
            let cube = 0.044_715 * x * x;
            let s = sigmoid(isa, TWICE * x * (1.0 + cube));
            let slope = TWICE * isa.multiply_add(3.0, cube, 1.0);
            *dx *= isa.multiply_add(x * (s * (1.0 - s)), slope, s);
        }
    }
}

/// The gradients of `silu(gate) up`.
struct SwigluShare<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    /// At first the gradient of the output.
    dgate: &'a mut [f32],
    dup: &'a mut [f32],
}

impl Kernel for SwigluShare<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, isa: I) {
        let Self { gate, up, dgate, dup } = self;
        for ((dgate, dup), (gate, up)) in dgate.iter_mut().zip(dup).zip(gate.iter().zip(up)) {
            let s = sigmoid(isa, *gate);
            let silu = gate * s;
            *dup = *dgate * silu;
            *dgate *= up * isa.multiply_add(silu, 1.0 - s, s);
        }
    }
}
