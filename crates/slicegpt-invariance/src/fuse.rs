//! [`fuse`]: folding norms into the linears around them.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::Tensor;
use slicegpt_core::precise::{product, widen};
use slicegpt_core::{Block, Fused, Head, Norm, SublayerMut, replace_param};

/// Folds every norm of `block` into its readers and, if the norm centres the stream, the centring
/// into its writers (SliceGPT, section 3.1 and equation 3).
///
/// The block computes the same function of a centred stream. The stream is centred if the embedding
/// is ([`center`]) and all blocks before this one are fused.
pub fn fuse<B: Block>(mut block: B) -> Fused<B> {
    for index in 0..block.sublayers() {
        let SublayerMut { norm, readers, writers, .. } = block.sublayer_mut(index);
        if norm.centers {
            writers.into_iter().for_each(center_writer);
        }
        fold(norm, readers);
    }
    Fused::new(block).unwrap_or_else(|_| unreachable!("`fold` made every norm bare"))
}

/// Folds the last norm into the head, which gets a bias if the norm had one.
pub fn fold_into_head(head: &mut Head) {
    fold(&mut head.norm, vec![&mut head.linear]);
}

/// Subtracts each token's mean from a stream, `[batch, tokens, width]`, if `norm` centres.
pub fn center(norm: &Norm, stream: Tensor<3>) -> Tensor<3> {
    if norm.centers { stream.clone() - stream.mean_dim(2) } else { stream }
}

/// `norm(x) W + b = bare(x) (diag(g) W) + (beta W + b)` for centred `x`.
fn fold(norm: &mut Norm, readers: Vec<&mut Linear>) {
    let weight = norm.weight.take().map(|weight| weight.val());
    let bias = norm.bias.take().map(|bias| bias.val());
    norm.centers = false;
    for reader in readers {
        if let Some(bias) = &bias {
            shift(reader, bias.clone());
        }
        if let Some(weight) = &weight {
            scale(reader, weight.clone());
        }
    }
}

/// `W <- diag(g) W`. There is one product per element, rounded once: float64 would gain nothing.
fn scale(reader: &mut Linear, g: Tensor<1>) {
    let g = g.unsqueeze_dim::<2>(1);
    reader.weight = reader.weight.clone().map(|w| w * g);
}

/// `b <- b + beta W`.
fn shift(reader: &mut Linear, beta: Tensor<1>) {
    let weight = reader.weight.val();
    let dtype = weight.dtype();
    let shift: Tensor<1> = product(beta.unsqueeze::<2>(), weight).squeeze_dim(0);
    match &mut reader.bias {
        Some(bias) => replace_param(bias, |bias| (widen(bias) + shift).cast(dtype)),
        None => reader.bias = Some(Param::from_tensor(shift.cast(dtype))),
    }
}

/// `W <- W (I - 11^T / D)`, and the same for the bias.
fn center_writer(writer: &mut Linear) {
    replace_param(&mut writer.weight, |w| subtract_mean(w, 1));
    if let Some(bias) = &mut writer.bias {
        replace_param(bias, |b| subtract_mean(b, 0));
    }
}

/// Subtracts from `w` its mean over dimension `dim`.
fn subtract_mean<const D: usize>(w: Tensor<D>, dim: usize) -> Tensor<D> {
    let dtype = w.dtype();
    let w = widen(w);
    (w.clone() - w.mean_dim(dim)).cast(dtype)
}
