//! Models of the known families, with weights in a checkpoint, as decoders to compress: their
//! tables and sizes, and the tensors of the result by name.

mod config;
mod directory;
mod manifest;
mod shards;
mod tensors;

use std::ops::Range;

use burn::tensor::Device;
use slicegpt_core::{Axis, TensorSource};
use slicegpt_models::{AttentionSpec, DecoderSpec, Model, Positions, Rope, Scaling};

pub use self::config::sliced_config;
pub use self::directory::finish_checkpoint;
pub use self::manifest::About;
pub use self::shards::Shards;
pub use self::tensors::{ByName, TensorSink};
use crate::{Dimensions, Intermediate, PrunableLayer, Shape, Split, Table, Tables};

impl<S> Tables for Model<S>
where
    S: TensorSource + Sync,
    S::Error: std::error::Error + Send + Sync + 'static,
{
    fn device(&self) -> Device {
        Model::device(self).clone()
    }

    fn rows(&self, table: Table, rows: Range<usize>) -> Result<Vec<f32>, S::Error> {
        let (name, shape) = stored(self, table);
        self.source().rows(&name, shape, rows)
    }

    fn is_tied(&self) -> bool {
        self.spec().tied
    }

    fn positions(&self) -> usize {
        self.spec().position_entry().map_or(0, |entry| entry.shape[0])
    }

    fn head_bias(&self) -> Result<Option<Vec<f32>>, S::Error> {
        Model::head_bias(self)
    }

    fn name(&self, table: Table) -> String {
        format!("tensor `{}`", stored(self, table).0)
    }

    fn dimensions(&self) -> Result<Box<dyn Dimensions + '_>, S::Error> {
        Ok(Box::new(self.spec().clone()))
    }
}

/// The name of a table in the checkpoint, and its shape.
fn stored<S: TensorSource>(model: &Model<S>, table: Table) -> (String, [usize; 2]) {
    let spec = model.spec();
    let entry = match table {
        Table::Embedding => spec.embedding_entry(),
        Table::Positions => spec.position_entry().expect("asked for only where there is one"),
        Table::Head => return model.head_table(),
    };
    (model.stored_name(&entry.name), [entry.shape[0], entry.shape[1]])
}

/// The decoder `spec`, cut to `shape`.
pub fn cut_spec(spec: &DecoderSpec, shape: &Shape) -> DecoderSpec {
    let width = shape.widths.embedding();
    let mut spec = spec.with_layers(&shape.kept_blocks(spec.layers));
    if let Some(heads) = shape.heads {
        spec = spec.with_kv_heads(heads);
    }
    match &shape.intermediate {
        _ if shape.shortcuts => spec.in_per_layer_bases(shape.widths.clone()),
        Intermediate::Each(widths) => {
            spec.in_shared_basis_with_widths(width, widths.clone(), shape.tied)
        }
        Intermediate::Uniform(intermediate) => {
            spec.in_shared_basis(width, *intermediate, shape.tied)
        }
        Intermediate::Dense => spec.in_shared_basis(width, spec.mlp.intermediate_size, shape.tied),
    }
}

impl Dimensions for DecoderSpec {
    fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    fn blocks(&self) -> usize {
        self.layers
    }

    fn sublayers_per_block(&self) -> usize {
        DecoderSpec::sublayers_per_block(self)
    }

    fn prunable_layers(&self) -> Vec<PrunableLayer> {
        let per_block = DecoderSpec::sublayers_per_block(self);
        // The attention is in the first sublayer of each block, the MLP in the last one.
        let layers = |block: usize| {
            let (first, last) = (block * per_block, (block + 1) * per_block - 1);
            let channels = DecoderSpec::intermediate_size(self, block);
            let heads = self.attention.kv_heads;
            [
                PrunableLayer { sublayer: first, axis: Axis::Heads, units: heads },
                PrunableLayer { sublayer: last, axis: Axis::Mlp, units: channels },
            ]
        };
        (0..self.layers).flat_map(layers).collect()
    }

    fn is_tied(&self) -> bool {
        self.tied
    }

    fn is_rms_only(&self) -> bool {
        DecoderSpec::is_rms_only(self)
    }

    fn width_multiple(&self, heads: usize) -> usize {
        // Some families require it, and every one of these may become one that does.
        if DecoderSpec::is_rms_only(self) { query_heads(self, heads) } else { 1 }
    }

    fn required_multiple(&self, heads: usize) -> usize {
        match self.width_of_heads {
            true => query_heads(self, heads),
            false => 1,
        }
    }

    fn dense_parameters(&self) -> u64 {
        DecoderSpec::parameters(self) as u64
    }

    fn parameters_of(&self, shape: &Shape) -> u64 {
        DecoderSpec::parameters(&cut_spec(self, shape)) as u64
    }
    fn parameters_of_split(&self, split: Split, tied: bool, free: bool) -> u64 {
        // All blocks are equal, so that two of them tell how many parameters one more has.
        let of = |layers: usize| {
            let few = outline(self, layers);
            few.parameters_of(&Shape::of_split(&few, Split { layers, ..split }, tied, free))
        };
        match split.layers {
            0..=2 => of(split.layers),
            more => {
                let [one, two] = [of(1), of(2)];
                two + (more as u64 - 2) * (two - one)
            }
        }
    }
}

/// The number of query heads that share so many key heads.
fn query_heads(dense: &DecoderSpec, kv_heads: usize) -> usize {
    dense.attention.heads / dense.attention.kv_heads * kv_heads
}

/// The decoder `dense` with `layers` blocks and without what its number of parameters does not
/// depend on, which may be long lists.
fn outline(dense: &DecoderSpec, layers: usize) -> DecoderSpec {
    let positions = match &dense.positions {
        Positions::Rotary(Rope { dim, theta, .. }) => {
            Positions::Rotary(Rope { dim: *dim, theta: *theta, scaling: Scaling::None })
        }
        Positions::Learned { offset } => Positions::Learned { offset: *offset },
    };
    let AttentionSpec { heads, kv_heads, head_dim, input_bias, output_bias, head_norm, .. } =
        dense.attention;
    let windows = vec![None; layers];
    let attention =
        AttentionSpec { heads, kv_heads, head_dim, input_bias, output_bias, head_norm, windows };
    DecoderSpec {
        model_type: dense.model_type,
        names: dense.names,
        vocab_size: dense.vocab_size,
        hidden_size: dense.hidden_size,
        layers,
        context_length: dense.context_length,
        norm: dense.norm.clone(),
        attention,
        mlp: dense.mlp.clone(),
        positions,
        topology: dense.topology,
        tied: dense.tied,
        width_of_heads: dense.width_of_heads,
        head_bias: dense.head_bias,
        slicing: dense.slicing.clone(),
    }
}
