//! [`Norm`]: LayerNorm, RMSNorm and the bare norm as one formula.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, RmsNorm};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::host_vec;

/// `weight * center(x) / rms(center(x)) + bias`, with centring, weight and bias optional.
///
/// This is a LayerNorm (centred, weight and bias), an RMSNorm (weight only) or, after fusing,
/// a bare norm with none of them: see [`Norm::is_bare`]. It converts from Burn's norms:
///
/// ```
/// use burn::nn::{LayerNormConfig, RmsNormConfig};
/// use burn::tensor::{Device, Distribution, Tensor};
/// use slicegpt_core::Norm;
///
/// let device = Device::flex();
/// let x = Tensor::<3>::random([2, 5, 16], Distribution::Default, &device);
///
/// let rms = RmsNormConfig::new(16).init(&device);
/// let expected = rms.forward(x.clone());
/// let difference = Norm::from(rms).forward(x.clone()) - expected;
/// assert!(difference.abs().max().into_scalar::<f32>() < 1e-6);
///
/// let config = LayerNormConfig::new(16).with_epsilon(1e-6);
/// let layer = config.init(&device);
/// let expected = layer.forward(x.clone());
/// let difference = Norm::from_layer_norm(layer, config.epsilon).forward(x) - expected;
/// assert!(difference.abs().max().into_scalar::<f32>() < 1e-5);
/// ```
#[derive(Module, Debug)]
pub struct Norm {
    /// Whether the mean over the width is subtracted first (LayerNorm).
    pub centers: bool,
    /// `[width]`; `None` after fusing.
    pub weight: Option<Param<Tensor<1>>>,
    /// `[width]`; `None` for an RMSNorm and after fusing.
    pub bias: Option<Param<Tensor<1>>>,
    /// The width over which the mean square is taken: that of the stream *before* slicing.
    /// Directions that were cut count as zeros (SliceGPT, section 3.3).
    pub hidden_size: usize,
    /// Is added to the mean square.
    pub eps: f64,
}

impl Norm {
    /// A norm without centring, weight or bias, for a stream of width `hidden_size` before slicing.
    pub fn bare(hidden_size: usize, eps: f64) -> Self {
        Self { centers: false, weight: None, bias: None, hidden_size, eps }
    }

    /// A LayerNorm of Burn as a [`Norm`]. Its epsilon is an argument because Burn does not expose
    /// it: give that of the `LayerNormConfig` it was made from.
    pub fn from_layer_norm(norm: LayerNorm, eps: f64) -> Self {
        let LayerNorm { gamma, beta, .. } = norm;
        let [hidden_size] = gamma.dims();
        Self { centers: true, weight: Some(gamma), bias: beta, hidden_size, eps }
    }

    /// Whether the norm commutes with rotations of the stream (SliceGPT, equation 1): it neither
    /// centres the stream nor has a weight or a bias.
    pub fn is_bare(&self) -> bool {
        !self.centers && self.weight.is_none() && self.bias.is_none()
    }

    /// Weight and bias on the host, `[width]` each.
    pub fn vectors(&self) -> [Option<Vec<f64>>; 2] {
        let host = |vector: &Param<Tensor<1>>| host_vec(vector.val());
        [&self.weight, &self.bias].map(|vector| vector.as_ref().map(host))
    }

    /// This norm with `weight`, `[width]`, in place of its weight.
    pub fn with_weight(self, weight: &[f64], device: &Device) -> Self {
        let data = TensorData::new(weight.to_vec(), [weight.len()]).convert_dtype(DType::F32);
        let weight = Tensor::from_data(data, (device, DType::F32));
        Self { weight: Some(Param::from_tensor(weight)), ..self }
    }

    /// This bare norm, over a stream cut from `D = hidden_size` to `d = width`, as an RMSNorm over
    /// `width`: with weight `sqrt(D / d)` and epsilon `eps D / d`, an RMSNorm that divides by `d`
    /// gives what this norm gives, which divides by `D`.
    ///
    /// # Panics
    ///
    /// If the norm is not bare.
    pub fn to_rms_norm(&self, width: usize, device: &Device) -> Self {
        assert!(self.is_bare(), "only a bare norm is an RMSNorm of another width");
        let weight = vec![self.rms_weight(width); width];
        Self::bare(width, self.rms_eps(width)).with_weight(&weight, device)
    }

    /// Each weight of [`Norm::to_rms_norm`].
    pub fn rms_weight(&self, width: usize) -> f64 {
        (self.hidden_size as f64 / width as f64).sqrt()
    }

    /// The epsilon of [`Norm::to_rms_norm`].
    pub fn rms_eps(&self, width: usize) -> f64 {
        self.eps * self.hidden_size as f64 / width as f64
    }

    /// Normalises each token.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, width]`, `width <= hidden_size`
    /// - output: the same
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let dtype = x.dtype();
        // Squares overflow half precision long before the stream does.
        let half = matches!(dtype, DType::F16 | DType::BF16);
        let x = if half { x.cast(DType::F32) } else { x };
        let x = if self.centers { x.clone() - x.mean_dim(2) } else { x };
        let mean_square = x.clone().square().sum_dim(2).div_scalar(self.hidden_size as f64);
        let x = x * mean_square.add_scalar(self.eps).sqrt().recip();
        let own = |vector: &Param<Tensor<1>>| vector.val().cast(x.dtype()).unsqueeze();
        let [weight, bias] = [&self.weight, &self.bias].map(|vector| vector.as_ref().map(own));
        let x = match weight {
            Some(weight) => x * weight,
            None => x,
        };
        let x = match bias {
            Some(bias) => x + bias,
            None => x,
        };
        if half { x.cast(dtype) } else { x }
    }
}

impl From<RmsNorm> for Norm {
    fn from(RmsNorm { gamma, epsilon }: RmsNorm) -> Self {
        let [hidden_size] = gamma.dims();
        Self { centers: false, weight: Some(gamma), bias: None, hidden_size, eps: epsilon }
    }
}
