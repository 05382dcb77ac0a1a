//! Gradients of blocks through the CPU kernels, against Burn's own autodiff without them.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::Linear;
use burn::tensor::module::{attention, linear};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Device, Distribution, Gradients, Tensor, activation};
use slicegpt_core::{Block, Decoder, TokenBatch};
use slicegpt_models::{Branch, Context, DecoderBlock, Model, QUERIES};
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

/// A block of Llama's family by Burn's operations, without a cache and padding.
fn generic(block: &DecoderBlock, mut stream: Tensor<3>, tables: &[Tensor<2>; 2]) -> Tensor<3> {
    let of = |layer: &Linear, x: Tensor<3>| linear(x, layer.weight.val(), None);
    let rotate = |x: Tensor<4>| {
        let [_, tokens, _, dim] = x.dims();
        let [cos, sin] = tables.clone().map(|table| table.reshape([1, tokens, 1, dim]));
        let half = |start| x.clone().narrow(3, start, dim / 2);
        let swapped = Tensor::cat(vec![half(dim / 2), half(0)], 3);
        x.clone() * cos + swapped * sin
    };
    for sublayer in &block.sublayers {
        let normed = sublayer.norm.forward(stream.clone());
        stream = stream
            + match &sublayer.branches[0] {
                Branch::Mlp(mlp) => {
                    let gate = of(mlp.gate.as_ref().unwrap(), normed.clone());
                    of(&mlp.down, activation::silu(gate) * of(&mlp.up, normed))
                }
                Branch::Attention(layer) => {
                    let shape @ [batch, tokens, width] = normed.dims();
                    let split = |x: Tensor<3>| {
                        x.reshape([batch, tokens, width / layer.head_dim, layer.head_dim])
                    };
                    let query = rotate(split(of(&layer.query, normed.clone()))).swap_dims(1, 2);
                    let key = rotate(split(of(&layer.key, normed.clone()))).swap_dims(1, 2);
                    let value = split(of(&layer.value, normed)).swap_dims(1, 2);
                    let pieces = (0..tokens).step_by(QUERIES).map(|start| {
                        let length = QUERIES.min(tokens - start);
                        let query = query.clone().narrow(2, start, length);
                        let [key, value] =
                            [&key, &value].map(|x| x.clone().narrow(2, 0, start + length));
                        let options =
                            AttentionModuleOptions { is_causal: true, ..Default::default() };
                        attention(query, key, value, None, None, options)
                    });
                    let mixed = Tensor::cat(pieces.collect(), 2).swap_dims(1, 2);
                    of(&layer.output, mixed.reshape(shape))
                }
            };
    }
    stream
}
