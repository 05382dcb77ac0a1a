//! [`DecoderBlock`]: the block that all families share. Its topology is the shape of a nested list.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{DType, Tensor};
use slicegpt_core::{Axis, Block, Norm, PrunableUnits, Shortcut, SublayerMut};
use slicegpt_kernels::{multiply, normalise, project_onto};

use crate::{Attention, Context, Mlp};

/// A decoder block: `[[attention], [mlp]]`, or `[[attention, mlp]]` where they run in parallel.
#[derive(Module, Debug)]
pub struct DecoderBlock {
    /// In the order of the stream.
    pub sublayers: Vec<Sublayer>,
}

/// One residual update.
#[derive(Module, Debug)]
pub struct Sublayer {
    /// The norm between the stream and the branches.
    pub norm: Norm,
    /// Attention and MLP, which read the normalised stream and write the stream.
    pub branches: Vec<Branch>,
    /// How the residual crosses the sublayer.
    pub shortcut: Shortcut,
}

/// A branch, which reads the normalised stream and writes the stream.
// There are two per block, and their tensors are far larger than the enum.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum Branch {
    /// Mixes tokens.
    Attention(Attention),
    /// Works on each token separately.
    Mlp(Mlp),
}

impl Block for DecoderBlock {
    type Context = Context;

    fn sublayers(&self) -> usize {
        self.sublayers.len()
    }

    fn writer_inputs(&self, index: usize, normed: Tensor<3>, context: &Context) -> Vec<Tensor<3>> {
        self.sublayers[index]
            .branches
            .iter()
            .map(|branch| match branch {
                Branch::Attention(attention) => attention.hidden(normed.clone(), context),
                Branch::Mlp(mlp) => mlp.hidden(normed.clone()),
            })
            .collect()
    }

    fn normed(&self, index: usize, stream: Tensor<3>) -> Tensor<3> {
        normalise(&self.sublayers[index].norm, stream)
    }

    /// As the provided method, by the CPU kernels where they apply.
    fn write(&self, index: usize, stream: Tensor<3>, inputs: Vec<Tensor<3>>) -> Tensor<3> {
        let slicegpt_core::Sublayer { writers, shortcut, .. } = self.sublayer(index);
        assert_eq!(inputs.len(), writers.len(), "one input per writer");
        let residual = match &shortcut.weight {
            Some(weight) => multiply(&weight.val(), None, stream),
            None => stream,
        };
        let writers = writers.into_iter().zip(inputs);
        writers.fold(residual, |sum, (writer, input)| project_onto(sum, writer, input))
    }

    fn prunable(&self, index: usize) -> Vec<PrunableUnits> {
        let mut first = 0;
        let mut groups = Vec::new();
        for (writer, branch) in self.sublayers[index].branches.iter().enumerate() {
            let (readers, _) = branch.ports();
            let readers = first..first + readers.len();
            first = readers.end;
            groups.push(match branch {
                Branch::Mlp(_) => PrunableUnits::channels(writer, readers),
                Branch::Attention(attention) => {
                    let (queries, head) = (attention.queries_per_unit(), attention.head_dim);
                    let outputs = [queries, head, head];
                    let readers = readers.zip(outputs).collect();
                    PrunableUnits { axis: Axis::Heads, writer, inputs: queries, readers }
                }
            });
        }
        groups
    }

    fn sublayer(&self, index: usize) -> slicegpt_core::Sublayer<'_> {
        let Sublayer { norm, branches, shortcut } = &self.sublayers[index];
        let (readers, writers): (Vec<_>, Vec<_>) = branches.iter().map(Branch::ports).unzip();
        slicegpt_core::Sublayer { norm, readers: readers.concat(), writers, shortcut }
    }

    fn sublayer_mut(&mut self, index: usize) -> SublayerMut<'_> {
        let Sublayer { norm, branches, shortcut } = &mut self.sublayers[index];
        let (readers, writers): (Vec<_>, Vec<_>) =
            branches.iter_mut().map(Branch::ports_mut).unzip();
        SublayerMut { norm, readers: readers.into_iter().flatten().collect(), writers, shortcut }
    }
}

/// A matrix, `[inputs, outputs]`, as type `dtype` in output-major (transposed) layout, which is
/// fastest for few rows.
pub fn output_major(weight: Tensor<2>, dtype: DType) -> Tensor<2> {
    // The layout of the transposed matrix: nothing is copied if it is that already.
    let stored = weight.transpose().cast(dtype);
    let [outputs, inputs] = stored.dims();
    stored.reshape([outputs * inputs]).reshape([outputs, inputs]).transpose()
}

/// A block with its matrices as type `dtype` in [`output_major`] layout; vectors stay as they are.
///
/// On Burn's Flex backend, activations may be float32 while weights are float16 or bfloat16.
pub fn cast_and_pack(mut block: DecoderBlock, dtype: DType) -> DecoderBlock {
    let output_major = |weight: Tensor<2>| output_major(weight, dtype);
    for index in 0..block.sublayers() {
        let SublayerMut { readers, writers, shortcut, .. } = block.sublayer_mut(index);
        for linear in readers.into_iter().chain(writers) {
            linear.weight = linear.weight.clone().map(output_major);
        }
        shortcut.weight = shortcut.weight.take().map(|weight| weight.map(output_major));
    }
    block
}

impl Branch {
    /// The linears that read the stream, and the one that writes it.
    fn ports(&self) -> (Vec<&Linear>, &Linear) {
        match self {
            Branch::Attention(Attention { query, key, value, output, .. }) => {
                (vec![query, key, value], output)
            }
            Branch::Mlp(Mlp { gate, up, down, .. }) => (gate.iter().chain([up]).collect(), down),
        }
    }

    /// [`Branch::ports`], mutable.
    fn ports_mut(&mut self) -> (Vec<&mut Linear>, &mut Linear) {
        match self {
            Branch::Attention(Attention { query, key, value, output, .. }) => {
                (vec![query, key, value], output)
            }
            Branch::Mlp(Mlp { gate, up, down, .. }) => {
                (gate.iter_mut().chain([up]).collect(), down)
            }
        }
    }
}
