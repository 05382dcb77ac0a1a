//! [`Counted`]: the sizes of any decoder, from what its blocks declare.

use burn::nn::Linear;
use slicegpt_core::{Axis, Block, Norm, PrunableUnits, Sublayer};

use crate::{Dimensions, Intermediate, PrunableLayer, Shape, Split, Tables};

/// The sizes of a decoder, counted block by block.
///
/// Parameters of a block outside the readers, the writers and the norms of its sublayers do not
/// depend on the cut, and are not counted.
#[derive(Clone, Debug)]
pub struct Counted {
    hidden_size: usize,
    vocab_size: usize,
    positions: usize,
    is_tied: bool,
    head_bias: bool,
    norm: Vectors,
    sublayers_per_block: usize,
    /// In the order of the decoder.
    sublayers: Vec<SublayerSizes>,
    blocks: usize,
}

/// Which vectors a norm has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Vectors {
    weight: bool,
    bias: bool,
}

/// The sizes that a sublayer declares.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SublayerSizes {
    norm: Vectors,
    /// Outputs of each reader, and whether it has a bias.
    readers: Vec<(usize, bool)>,
    /// Inputs of each writer, and whether it has a bias.
    writers: Vec<(usize, bool)>,
    /// The groups of prunable units.
    prunable: Vec<PrunableUnits>,
}

impl Counted {
    /// Loads each block of `decoder` once and counts what it declares.
    ///
    /// # Errors
    ///
    /// If a part of the decoder cannot be read.
    pub fn of<D: Tables>(decoder: &D) -> Result<Self, D::Error> {
        let norm = decoder.norm()?;
        let mut sublayers = Vec::new();
        for index in 0..decoder.blocks() {
            let block = decoder.block(index)?;
            sublayers.extend((0..block.sublayers()).map(|index| SublayerSizes::of(&block, index)));
        }
        Ok(Self {
            hidden_size: norm.hidden_size,
            vocab_size: decoder.vocab_size(),
            positions: decoder.positions(),
            is_tied: decoder.is_tied(),
            head_bias: decoder.head_bias()?.is_some(),
            norm: Vectors::of(&norm),
            sublayers_per_block: decoder.sublayers_per_block(),
            sublayers,
            blocks: decoder.blocks(),
        })
    }
}

impl Vectors {
    fn of(norm: &Norm) -> Self {
        Self { weight: norm.weight.is_some(), bias: norm.bias.is_some() }
    }

    fn count(self) -> usize {
        usize::from(self.weight) + usize::from(self.bias)
    }
}

impl SublayerSizes {
    fn of<B: Block>(block: &B, index: usize) -> Self {
        let Sublayer { norm, readers, writers, .. } = block.sublayer(index);
        let sizes = |linears: Vec<&Linear>, dimension: usize| {
            let size = |linear: &Linear| (linear.weight.dims()[dimension], linear.bias.is_some());
            linears.into_iter().map(size).collect()
        };
        Self {
            norm: Vectors::of(norm),
            readers: sizes(readers, 1),
            writers: sizes(writers, 0),
            prunable: block.prunable(index),
        }
    }

    /// The number of units of a group.
    fn units(&self, group: &PrunableUnits) -> usize {
        self.writers[group.writer].0 / group.inputs
    }

    /// Narrows each group of prunable units to the number that `counts` gives for its axis and its
    /// number of units.
    fn narrow(&mut self, counts: &mut impl FnMut(Axis, usize) -> usize) {
        for group in &self.prunable {
            let removed = self.units(group);
            let removed = removed - counts(group.axis, removed);
            self.writers[group.writer].0 -= removed * group.inputs;
            let readers = group.readers.iter();
            readers.for_each(|(reader, outputs)| self.readers[*reader].0 -= removed * outputs);
        }
    }

    /// Parameters of the linears between streams of these widths.
    fn linears(&self, [from, to]: [usize; 2]) -> usize {
        let bias = |has: bool, size: usize| if has { size } else { 0 };
        let readers =
            self.readers.iter().map(|(outputs, has)| from * outputs + bias(*has, *outputs));
        let writers = self.writers.iter().map(|(inputs, has)| inputs * to + bias(*has, to));
        readers.sum::<usize>() + writers.sum::<usize>()
    }
}

impl Dimensions for Counted {
    fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    fn blocks(&self) -> usize {
        self.blocks
    }

    fn sublayers_per_block(&self) -> usize {
        self.sublayers_per_block
    }

    fn prunable_layers(&self) -> Vec<PrunableLayer> {
        let layers = self.sublayers.iter().enumerate().flat_map(|(index, sublayer)| {
            sublayer.prunable.iter().map(move |group| {
                let units = sublayer.units(group);
                PrunableLayer { sublayer: index, axis: group.axis, units }
            })
        });
        layers.collect()
    }

    fn has_equal_blocks(&self) -> bool {
        let mut blocks = self.sublayers.chunks(self.sublayers_per_block);
        let first = blocks.next();
        blocks.all(|block| Some(block) == first)
    }

    fn is_tied(&self) -> bool {
        self.is_tied
    }

    fn dense_parameters(&self) -> u64 {
        let width = self.hidden_size;
        let tables = self.vocab_size * if self.is_tied { 1 } else { 2 } + self.positions;
        let bias = if self.head_bias { self.vocab_size } else { 0 };
        let sublayer =
            |sublayer: &SublayerSizes| sublayer.linears([width; 2]) + sublayer.norm.count() * width;
        let sublayers: usize = self.sublayers.iter().map(sublayer).sum();
        (tables * width + sublayers + self.norm.count() * width + bias) as u64
    }

    fn parameters_of(&self, shape: &Shape) -> u64 {
        let widths = shape.widths.as_slice();
        let mut number = 0;
        let mut units = |axis: Axis, full: usize| match (axis, &shape.intermediate) {
            (Axis::Heads, _) => shape.heads.unwrap_or(full).min(full),
            (Axis::Mlp, Intermediate::Dense) => full,
            (Axis::Mlp, Intermediate::Uniform(width)) => (*width).min(full),
            (Axis::Mlp, Intermediate::Each(widths)) => {
                number += 1;
                widths[number - 1].min(full)
            }
        };
        let mut count = (self.vocab_size + self.positions) * shape.widths.embedding();
        let blocks = self.sublayers.chunks(self.sublayers_per_block).enumerate();
        let kept = blocks.filter(|(index, _)| shape.removed.binary_search(index).is_err());
        for (sublayer, ends) in kept.flat_map(|(_, block)| block).zip(widths.windows(2)) {
            let mut sublayer = sublayer.clone();
            sublayer.narrow(&mut units);
            // Fusing turns a bias of the norm into biases of its readers.
            sublayer.readers.iter_mut().for_each(|(_, bias)| *bias |= sublayer.norm.bias);
            count += sublayer.linears([ends[0], ends[1]]);
            count += if shape.shortcuts { ends[0] * ends[1] } else { 0 };
            count += if shape.rms_norms { ends[0] } else { 0 };
        }
        let head = shape.widths.head();
        count += if shape.rms_norms || shape.tied { head } else { 0 };
        count += if shape.tied { 0 } else { self.vocab_size * head };
        count += if self.head_bias || self.norm.bias { self.vocab_size } else { 0 };
        count as u64
    }
    fn parameters_of_split(&self, split: Split, tied: bool, free: bool) -> u64 {
        self.parameters_of(&Shape::of_split(self, split, tied, free))
    }
}
