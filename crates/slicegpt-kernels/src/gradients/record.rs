//! Operations with a gradient of their own, recorded in the graph of Burn's autodiff.
//!
//! A kernel takes its tensors apart with [`part`], computes its output from plain tensors, and
//! joins the output to the graph with [`record`]. What the backward pass needs is a value that
//! implements [`Operation`], which sees plain numbers only.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{GradientCheckpointingStrategy, Tensor, TensorData};

use crate::view::View;

/// An operation as its backward pass sees it.
pub(crate) trait Operation<const N: usize>: Send + Sync + 'static {
    /// The gradients of the inputs that are `needed`, in their shapes, from that of the output.
    fn backward(&self, output: View, needed: [bool; N]) -> [Option<FlexTensor>; N];
}

/// The place of an input in the graph.
#[derive(Default)]
pub(crate) struct Node {
    /// Absent for a plain tensor, which is a constant.
    guard: Option<(NodeGuard, GradientCheckpointingStrategy)>,
    tracked: bool,
}

impl Node {
    /// Whether a gradient must reach this input.
    pub fn is_tracked(&self) -> bool {
        self.tracked
    }
}

/// A tensor of the Flex backend as a plain tensor, and its place in the graph.
///
/// # Panics
///
/// If it is not on the Flex backend.
pub(crate) fn part<const D: usize>(x: Tensor<D>) -> (Tensor<D>, Node) {
    let Some(strategy) = x.gradient_checkpointing_strategy() else { return (x, Node::default()) };
    let tracked = x.is_tracked();
    let (plain, guard) = into_autodiff(x).into_parts();
    (Tensor::from_primitive::<Flex>(plain), Node { guard: Some((guard, strategy)), tracked })
}

/// [`part`] of a tensor that may be absent.
pub(crate) fn part_of<const D: usize>(x: Option<Tensor<D>>) -> (Option<Tensor<D>>, Node) {
    x.map(part).map_or_else(Default::default, |(x, node)| (Some(x), node))
}

/// The identity of a tensor of the Flex backend with autodiff; clones have the same.
pub(crate) fn node_id<const D: usize>(x: &Tensor<D>) -> NodeId {
    into_autodiff(x.clone()).id()
}

/// A tensor of the Flex backend with autodiff as the type that operations are recorded on.
///
/// # Panics
///
/// If it is not a tensor of the Flex backend with autodiff.
fn into_autodiff<const D: usize>(
    x: Tensor<D>,
) -> burn::backend::tensor::FloatTensor<Autodiff<Flex>> {
    // The type is that without checkpointing; kernels keep what they need themselves.
    x.with_gradient_checkpointing_strategy(GradientCheckpointingStrategy::Disabled)
        .try_into_primitive::<Autodiff<Flex>>()
        .expect("kernels are called with tensors of the Flex backend")
}

/// Joins `output` to the graph as the output of `operation` on `nodes`. It stays a plain tensor if
/// no input has autodiff, and becomes a constant of the graph if there is no `operation`.
pub(crate) fn record<const N: usize, const D: usize, O: Operation<N>>(
    nodes: [Node; N],
    output: Tensor<D>,
    operation: Option<O>,
) -> Tensor<D> {
    let strategy = nodes.iter().find_map(|node| node.guard.as_ref()).map(|(_, strategy)| *strategy);
    let Some(strategy) = strategy else { return output };
    let output = match operation {
        None => output.autodiff(),
        Some(operation) => {
            let guards = nodes.map(|node| match node.guard {
                Some((guard, _)) => guard,
                None => constant(),
            });
            let output = output
                .try_into_primitive::<Flex>()
                .expect("kernels compute tensors of the Flex backend");
            let step = Step::<O, N>(PhantomData).prepare::<NoCheckpointing>(guards);
            let output = match step.compute_bound().stateful() {
                OpsKind::Tracked(step) => step.finish(Saved(Arc::new(operation)), output),
                OpsKind::UnTracked(step) => step.finish(output),
            };
            Tensor::from_primitive::<Autodiff<Flex>>(output)
        }
    };
    output.with_gradient_checkpointing_strategy(strategy)
}

/// The node of an input that is no part of the graph.
fn constant() -> NodeGuard {
    let nothing = Tensor::<1>::from_primitive::<Flex>(host(vec![0.0], [1]));
    into_autodiff(nothing.autodiff()).node()
}

/// A new tensor of the Flex backend, row-major.
pub(crate) fn host<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The step of the backward pass for an operation.
struct Step<O, const N: usize>(PhantomData<fn() -> O>);

/// The operation, kept until the backward pass.
struct Saved<O>(Arc<O>);

impl<O> Clone for Saved<O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<O> fmt::Debug for Saved<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<O>())
    }
}

impl<O, const N: usize> fmt::Debug for Step<O, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<O>())
    }
}

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Step<O, N> {
    type State = Saved<O>;

    fn backward(self, ops: Ops<Saved<O>, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let output = View::of_primitive(grads.consume::<Flex>(&ops.node));
        let needed = ops.parents.each_ref().map(Option::is_some);
        let found = ops.state.0.backward(output, needed);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}
