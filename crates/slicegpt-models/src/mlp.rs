//! The MLP branch: `down(activation(up x))`, gated or not.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Tensor, activation};
use slicegpt_kernels::{gelu_tanh, has_kernels, project, silu, swiglu};

/// The function between the linears of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x sigmoid(x)`.
    Silu,
    /// `max(x, 0)`.
    Relu,
    /// GELU by the error function.
    Gelu,
    /// GELU by the hyperbolic tangent.
    GeluTanh,
}

impl Activation {
    /// By the names that Hugging Face uses in `hidden_act` and `activation_function`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "silu" | "swish" => Some(Self::Silu),
            "relu" => Some(Self::Relu),
            "gelu" => Some(Self::Gelu),
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Some(Self::GeluTanh),
            _ => None,
        }
    }

    /// Applies it to each element.
    pub fn forward(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Silu if has_kernels(&x) => silu(x),
            Self::Silu => activation::silu(x),
            Self::Relu => activation::relu(x),
            Self::Gelu => activation::gelu(x),
            Self::GeluTanh if has_kernels(&x) => gelu_tanh(x),
            Self::GeluTanh => activation::gelu_approximate(x),
        }
    }
}

/// The MLP of a block.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `[width in, intermediate_size]`, multiplied in after the activation; on gated MLPs only.
    pub gate: Option<Linear>,
    /// `[width in, intermediate_size]`.
    pub up: Linear,
    /// `[intermediate_size, width out]`: the writer.
    pub down: Linear,
    /// The function between the linears.
    #[module(skip)]
    pub activation: Activation,
}

impl Mlp {
    /// The input of [`Mlp::down`].
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, width in]`
    /// - output: `[batch, tokens, intermediate_size]`
    pub fn hidden(&self, x: Tensor<3>) -> Tensor<3> {
        let Some(gate) = &self.gate else { return self.activation.forward(project(&self.up, x)) };
        let (gate, up) = (project(gate, x.clone()), project(&self.up, x));
        match self.activation {
            Activation::Silu if has_kernels(&gate) => swiglu(gate, up),
            activation => activation.forward(gate) * up,
        }
    }
}
