//! [`Counted`]: the sizes of any decoder, from what its blocks declare.

use burn::nn::Linear;
use slicegpt_core::{Block, Norm, Sublayer};

use crate::{Dimensions, Intermediate, Shape, Tables};

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
#[derive(Clone, Copy, Debug)]
struct Vectors {
    weight: bool,
    bias: bool,
}

/// The sizes that a sublayer declares.
#[derive(Clone, Debug)]
struct SublayerSizes {
    norm: Vectors,
    /// Outputs of each reader, and whether it has a bias.
    readers: Vec<(usize, bool)>,
    /// Inputs of each writer, and whether it has a bias.
    writers: Vec<(usize, bool)>,
    /// The writer and the readers of each group of prunable channels.
    prunable: Vec<(usize, Vec<usize>)>,
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
        let prunable = block.prunable(index).into_iter().map(|group| (group.writer, group.readers));
        Self {
            norm: Vectors::of(norm),
            readers: sizes(readers, 1),
            writers: sizes(writers, 0),
            prunable: prunable.collect(),
        }
    }

    /// Narrows each group of prunable channels to the width that `widths` gives for its full width.
    fn narrow(&mut self, widths: &mut impl FnMut(usize) -> usize) {
        for (writer, readers) in &self.prunable {
            let full = self.writers[*writer].0;
            let width = widths(full);
            self.writers[*writer].0 = width;
            readers.iter().for_each(|reader| self.readers[*reader].0 -= full - width);
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

    fn prunable_layers(&self) -> Vec<(usize, usize)> {
        let layers = self.sublayers.iter().enumerate().flat_map(|(index, sublayer)| {
            sublayer.prunable.iter().map(move |(writer, _)| (index, sublayer.writers[*writer].0))
        });
        layers.collect()
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
        let mut width_of = |full: usize| {
            let width = match &shape.intermediate {
                Intermediate::Dense => full,
                Intermediate::Uniform(width) => *width,
                Intermediate::Each(widths) => widths[number],
            };
            number += 1;
            width.min(full)
        };
        let mut count = (self.vocab_size + self.positions) * shape.widths.embedding();
        for (sublayer, ends) in self.sublayers.iter().zip(widths.windows(2)) {
            let mut sublayer = sublayer.clone();
            sublayer.narrow(&mut width_of);
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
}
