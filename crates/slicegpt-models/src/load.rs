//! Blocks from tensors, and tensors from blocks.

use std::collections::HashMap;

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{DType, Device, Tensor, TensorData};
use slicegpt_core::{Norm, Shortcut, TensorSource};

use crate::attention::head_norm;
use crate::names::{Entry, Kind, Part};
use crate::{Attention, Branch, DecoderBlock, DecoderSpec, Mlp, Sublayer, Topology};

impl DecoderBlock {
    /// Block `index` of the decoder that `spec` describes, with weights from `source`. `rename`
    /// maps the family's name of a tensor to that of the checkpoint.
    ///
    /// # Errors
    ///
    /// If a tensor cannot be read.
    pub fn load<S: TensorSource>(
        spec: &DecoderSpec,
        index: usize,
        source: &S,
        rename: impl Fn(&str) -> String,
        device: &Device,
    ) -> Result<Self, S::Error> {
        let mut tensors = HashMap::new();
        for Entry { name, shape, parts } in spec.block_entries(index) {
            let mut values = source.tensor(&rename(&name), &shape)?;
            // Packed projections are stacked by rows: split them off, last first.
            for (part, kind) in parts.into_iter().rev() {
                let size = spec.numel(index, part, kind);
                let rest = values.split_off(values.len() - size);
                tensors.insert((part, kind), rest);
            }
        }
        Ok(Parts { spec, index, tensors, device }.block())
    }

    /// The values of tensor `entry` of this block, row-major in the shape the checkpoint stores.
    ///
    /// # Panics
    ///
    /// If the block has no such tensor: `entry` must come from the spec that describes it.
    pub fn tensor(&self, entry: &Entry) -> Vec<f32> {
        let mut parts = entry.parts.iter().map(|(part, kind)| self.part(*part, *kind));
        let first = parts.next().expect("an entry of a block has at least one part");
        parts.fold(first, |mut all, next| {
            all.extend(next);
            all
        })
    }

    fn part(&self, part: Part, kind: Kind) -> Vec<f32> {
        let missing = "the spec that made the entry describes this block";
        let linear = |linear: &Linear| match kind {
            Kind::Weight => values(linear.weight.val().transpose()),
            Kind::Bias => values(linear.bias.as_ref().expect(missing).val()),
        };
        let vector = |norm: &Norm| match kind {
            Kind::Weight => values(norm.weight.as_ref().expect(missing).val()),
            Kind::Bias => values(norm.bias.as_ref().expect(missing).val()),
        };
        let branches = || self.sublayers.iter().flat_map(|sublayer| &sublayer.branches);
        let attention = || {
            branches()
                .find_map(|branch| match branch {
                    Branch::Attention(attention) => Some(attention),
                    Branch::Mlp(_) => None,
                })
                .expect("every block has an attention")
        };
        let mlp = || {
            branches()
                .find_map(|branch| match branch {
                    Branch::Mlp(mlp) => Some(mlp),
                    Branch::Attention(_) => None,
                })
                .expect("every block has an MLP")
        };
        match part {
            Part::Norm(sublayer) => vector(&self.sublayers[sublayer].norm),
            Part::Query => linear(&attention().query),
            Part::Key => linear(&attention().key),
            Part::Value => linear(&attention().value),
            Part::Output => linear(&attention().output),
            Part::QueryNorm => vector(&attention().head_norms.as_ref().expect(missing)[0]),
            Part::KeyNorm => vector(&attention().head_norms.as_ref().expect(missing)[1]),
            Part::Gate => linear(mlp().gate.as_ref().expect(missing)),
            Part::Up => linear(&mlp().up),
            Part::Down => linear(&mlp().down),
            Part::Shortcut(sublayer) => {
                values(self.sublayers[sublayer].shortcut.weight.as_ref().expect(missing).val())
            }
        }
    }
}

/// The values of a tensor on the host, row-major, as float32.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data_dtype(DType::F32).try_into_vec().expect("it was just made float32")
}

/// The tensors of one block while it is built.
struct Parts<'a> {
    spec: &'a DecoderSpec,
    index: usize,
    tensors: HashMap<(Part, Kind), Vec<f32>>,
    device: &'a Device,
}

impl Parts<'_> {
    fn block(mut self) -> DecoderBlock {
        let attention = Branch::Attention(self.attention());
        let mlp = Branch::Mlp(self.mlp());
        let branches = match self.spec.topology {
            Topology::Sequential => vec![vec![attention], vec![mlp]],
            Topology::Parallel => vec![vec![attention, mlp]],
        };
        let sublayers = branches.into_iter().enumerate();
        DecoderBlock { sublayers: sublayers.map(|(i, b)| self.sublayer(i, b)).collect() }
    }

    fn sublayer(&mut self, index: usize, branches: Vec<Branch>) -> Sublayer {
        let part = Part::Norm(index);
        let norm = Norm {
            centers: self.spec.norm.centers,
            weight: self.vector(part, Kind::Weight).map(Param::from_tensor),
            bias: self.vector(part, Kind::Bias).map(Param::from_tensor),
            hidden_size: self.spec.hidden_size,
            eps: self.spec.norm.eps,
        };
        let shortcut = match self.tensors.remove(&(Part::Shortcut(index), Kind::Weight)) {
            Some(values) => Shortcut::new(Tensor::from_data(
                TensorData::new(values, self.spec.stream_widths_around(self.index, index)),
                self.device,
            )),
            None => Shortcut::identity(),
        };
        Sublayer { norm, branches, shortcut }
    }

    fn attention(&mut self) -> Attention {
        let spec = &self.spec.attention;
        let head_norms = spec.head_norm.map(|eps| {
            [Part::QueryNorm, Part::KeyNorm].map(|part| {
                let weight = self.vector(part, Kind::Weight);
                head_norm(weight.expect("the layout lists it"), eps)
            })
        });
        Attention {
            query: self.linear(Part::Query),
            key: self.linear(Part::Key),
            value: self.linear(Part::Value),
            output: self.linear(Part::Output),
            head_norms,
            head_dim: self.spec.attention.head_dim,
            window: self.spec.attention.windows[self.index],
            layer: self.index,
        }
    }

    fn mlp(&mut self) -> Mlp {
        Mlp {
            gate: self.spec.mlp.gated.then(|| self.linear(Part::Gate)),
            up: self.linear(Part::Up),
            down: self.linear(Part::Down),
            activation: self.spec.mlp.activation,
        }
    }

    fn linear(&mut self, part: Part) -> Linear {
        let ([inputs, outputs], _) = self.spec.linear(self.index, part);
        let values = self.tensors.remove(&(part, Kind::Weight)).expect("the layout lists it");
        let weight = linear_weight(values, [outputs, inputs], self.device);
        let bias = self.vector(part, Kind::Bias).map(Param::from_tensor);
        Linear { weight: Param::from_tensor(weight), bias }
    }

    fn vector(&mut self, part: Part, kind: Kind) -> Option<Tensor<1>> {
        let values = self.tensors.remove(&(part, kind))?;
        let length = values.len();
        Some(Tensor::from_data(TensorData::new(values, [length]), self.device))
    }
}

/// `[out, in]` as stored to `[in, out]` as used: a view, no copy.
pub(crate) fn linear_weight(values: Vec<f32>, stored: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, stored), device).transpose()
}

impl DecoderSpec {
    /// Elements of one part of an entry of block `block`.
    fn numel(&self, block: usize, part: Part, kind: Kind) -> usize {
        match part {
            Part::Norm(sublayer) => self.stream_widths_around(block, sublayer)[0],
            Part::QueryNorm | Part::KeyNorm => self.attention.head_dim,
            Part::Shortcut(sublayer) => self.stream_widths_around(block, sublayer).iter().product(),
            linear => {
                let ([inputs, outputs], _) = self.linear(block, linear);
                match kind {
                    Kind::Weight => inputs * outputs,
                    Kind::Bias => outputs,
                }
            }
        }
    }
}
