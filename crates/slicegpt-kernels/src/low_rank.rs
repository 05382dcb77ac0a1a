//! Weights with a trainable part of low rank, `W + c A B` (LoRA, Hu et al., arXiv 2106.09685).
//!
//! Such a weight is a tensor like any other. Linears of this crate know its factors as well, and
//! compute their gradients without that of the whole matrix.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::backend::autodiff::NodeId;
use burn::tensor::{DType, Tensor};

use crate::gradients::low_rank::{Factors, Merge};
use crate::gradients::record::{Node, node_id, part, record};
use crate::view::{View, has_kernels};

/// The factors of the weights that exist, by the node of the weight in the graph.
static KNOWN: Mutex<Option<HashMap<NodeId, Known>>> = Mutex::new(None);

/// `A`, `B` and the factor of their product.
#[derive(Clone)]
pub(crate) struct Known {
    pub a: Tensor<2>,
    pub b: Tensor<2>,
    pub scale: f32,
}

/// A weight `W + c A B`, and the note of its factors. Linears know the factors as long as this
/// value lives; without it, [`LowRankWeight::tensor`] has the same gradients, at a higher cost.
#[derive(Debug)]
pub struct LowRankWeight {
    merged: Tensor<2>,
    /// `None` on devices without kernels.
    node: Option<NodeId>,
}

impl LowRankWeight {
    /// `W + c A B`, `[inputs, outputs]`: not a leaf of the graph, so that a parameter is made of it
    /// by `Param::initialized` and not by `Param::from_tensor`.
    pub fn tensor(&self) -> Tensor<2> {
        self.merged.clone()
    }
}

impl Drop for LowRankWeight {
    fn drop(&mut self) {
        let node = self.node.take();
        let known = node.and_then(|node| registry().as_mut().and_then(|all| all.remove(&node)));
        // Outside of the lock: the last reference to a tensor may free a graph.
        drop(known);
    }
}

/// `weight + scale a b`, of which only `a` and `b` are trained.
///
/// # Shapes
/// - `weight`: `[inputs, outputs]`, without autodiff, of any float type
/// - `a`: `[inputs, rank]`
/// - `b`: `[rank, outputs]`
///
/// # Panics
///
/// If the shapes do not fit.
pub fn low_rank(weight: Tensor<2>, a: Tensor<2>, b: Tensor<2>, scale: f64) -> LowRankWeight {
    let [inputs, outputs] = weight.dims();
    assert_eq!([a.dims()[0], b.dims()[1]], [inputs, outputs], "the factors fit the weight");
    assert_eq!(a.dims()[1], b.dims()[0], "the factors fit each other");
    if !has_kernels(&a) || !has_kernels(&b) || weight.is_autodiff() {
        let weight = weight.cast(a.dtype());
        return LowRankWeight { merged: weight + a.matmul(b).mul_scalar(scale), node: None };
    }
    let scale = scale as f32;
    let known = Known { a: a.clone(), b: b.clone(), scale };
    let ((a, of_a), (b, of_b)) = (part(a), part(b));
    let device = a.device();
    let factors = Factors { a: View::of(a), b: View::of(b), scale };
    let mut merged = weight.transpose().cast(DType::F32).into_data();
    factors.add_to(merged.as_mut_slice().expect("it is float32"));
    let merged = Tensor::<2>::from_data(merged, &device).transpose();
    let nodes = [of_a, of_b];
    let tracked = nodes.iter().any(Node::is_tracked);
    let merged = record(nodes, merged, tracked.then_some(Merge(factors)));
    let node = tracked.then(|| node_id(&merged));
    if let Some(node) = node {
        registry().get_or_insert_default().insert(node, known);
    }
    LowRankWeight { merged, node }
}

/// The factors of a weight, if it is a [`LowRankWeight`].
pub(crate) fn known(weight: &Tensor<2>) -> Option<Known> {
    if !weight.is_tracked() {
        return None;
    }
    registry().as_ref()?.get(&node_id(weight)).cloned()
}

/// A panic elsewhere leaves the registry as it was before or after a change.
fn registry() -> MutexGuard<'static, Option<HashMap<NodeId, Known>>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}
