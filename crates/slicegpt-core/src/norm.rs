//! [`Norm`]: LayerNorm, RMSNorm and the bare norm as one formula.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::host_vec;

/// `weight * center(x) / rms(center(x)) + bias`, every part of it optional.
///
/// This is a LayerNorm (centred, weight and bias), an RMSNorm (weight only) or, once fused,
/// neither: see [`Norm::is_bare`].
#[derive(Module, Debug)]
pub struct Norm {
    /// Whether the mean over the width is subtracted first (LayerNorm).
    pub centers: bool,
    /// `[width]`, absent once fused.
    pub weight: Option<Param<Tensor<1>>>,
    /// `[width]`, absent on RMSNorm and once fused.
    pub bias: Option<Param<Tensor<1>>>,
    /// The width the mean square is taken over: that of the stream *before* slicing. Directions
    /// that were cut count as zeros (SliceGPT, section 3.3).
    pub hidden_size: usize,
    /// Added to the mean square.
    pub eps: f64,
}

impl Norm {
    /// A norm without centring, weight or bias, for a stream that was `hidden_size` wide.
    pub fn bare(hidden_size: usize, eps: f64) -> Self {
        Self { centers: false, weight: None, bias: None, hidden_size, eps }
    }

    /// Whether the norm commutes with rotations of the stream (SliceGPT, equation 1).
    pub fn is_bare(&self) -> bool {
        !self.centers && self.weight.is_none() && self.bias.is_none()
    }

    /// Weight and bias on the host, `[width]` each.
    pub fn vectors(&self) -> [Option<Vec<f64>>; 2] {
        let host = |vector: &Param<Tensor<1>>| host_vec(vector.val());
        [&self.weight, &self.bias].map(|vector| vector.as_ref().map(host))
    }

    /// This norm with `weight`, `[width]`, in place of what weight it had.
    pub fn with_weight(self, weight: &[f64], device: &Device) -> Self {
        let data = TensorData::new(weight.to_vec(), [weight.len()]).convert_dtype(DType::F32);
        let weight = Tensor::from_data(data, (device, DType::F32));
        Self { weight: Some(Param::from_tensor(weight)), ..self }
    }

    /// This bare norm as an RMSNorm that knows nothing of the width before slicing, over a stream of
    /// `width`: with weight `sqrt(D / d)` and `eps D / d`, dividing by `d` gives what dividing by `D`
    /// gave.
    ///
    /// # Panics
    ///
    /// If the norm is not bare.
    pub fn to_rms_norm(&self, width: usize, device: &Device) -> Self {
        assert!(self.is_bare(), "only a bare norm has a stock form");
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
        let x = match self.centers {
            true => x.clone() - x.mean_dim(2),
            false => x,
        };
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
