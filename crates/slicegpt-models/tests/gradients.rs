//! Gradients of blocks through the CPU kernels, against Burn's own autodiff without them.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Distribution, Gradients, Tensor};
use slicegpt_core::{Block, Decoder, TokenBatch};
use slicegpt_models::{Context, DecoderBlock, Model};
use slicegpt_testkit::{ToySource, largest_difference, spec};

/// Makes every parameter a leaf with a gradient, in the given type.
struct Tracked(DType);

impl ModuleMapper for Tracked {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        Param::from_tensor(param.val().cast(self.0).autodiff())
    }
}

/// The gradient of every parameter, in the order of the module.
struct Collected<'a> {
    grads: &'a Gradients,
    all: Vec<Vec<f64>>,
}

impl ModuleVisitor for Collected<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let grad = param.val().grad(self.grads).expect("every parameter has a gradient");
        assert_eq!(grad.dims(), param.val().dims());
        self.all.push(values(grad));
    }
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data_dtype(DType::F64).try_into_vec().unwrap()
}

/// The gradients of all parameters of `block`, then that of the stream.
fn gradients(
    block: DecoderBlock,
    stream: &Tensor<3>,
    context: &Context,
    dtype: DType,
) -> Vec<Vec<f64>> {
    let block = block.map(&mut Tracked(dtype));
    let stream = stream.clone().cast(dtype).autodiff().require_grad();
    let y = block.forward(stream.clone(), context);
    let [_, tokens, width] = y.dims();
    let c = Tensor::arange(0..(tokens * width) as i64, &Device::flex()).float().sin();
    let c = c.cast(dtype).reshape([1, tokens, width]).autodiff();
    let grads = (y * c).sum().backward();
    let mut collected = Collected { grads: &grads, all: Vec::new() };
    block.visit(&mut collected);
    let mut all = collected.all;
    all.push(values(stream.grad(&grads).unwrap()));
    all
}

/// Kernels take float32 only, so float64 has the gradients of Burn's own operations.
#[test]
fn gradients_of_all_families_are_those_of_burn_in_float64() {
    for family in ["llama", "mistral", "qwen2", "qwen3", "opt", "phi", "phi3"] {
        for shortcut in [false, true] {
            let model = Model::new(spec(family), ToySource { seed: 5 }, Device::flex());
            let ids = (0..2 * 9).map(|i| (i * 13 + i / 7) % 40).collect();
            let batch = TokenBatch::new(ids, None, 9);
            let (stream, context) = (model.embed(&batch).unwrap(), model.context(&batch));
            let mut block = model.block(1).unwrap();
            if shortcut {
                Device::flex().seed(11);
                let normal = Distribution::Normal(0.0, 0.3);
                let weight = Tensor::random([16, 16], normal, &Device::flex());
                let first = block.sublayer_mut(0).shortcut;
                first.weight = Some(Param::from_tensor(weight));
            }
            let found = gradients(block.clone(), &stream, &context, DType::F32);
            let exact = gradients(block, &stream, &context, DType::F64);
            assert_eq!(found.len(), exact.len());
            // The bias of keys has the gradient zero: it moves all scores of a query alike.
            let largest = |of: &[f64]| of.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            let least = 1e-2 * largest(&exact.concat());
            for (index, (found, exact)) in found.iter().zip(&exact).enumerate() {
                let difference = largest_difference(exact, found) / largest(exact).max(least);
                assert!(difference < 1e-4, "{family}, {shortcut}, {index}: {difference}");
            }
        }
    }
}
