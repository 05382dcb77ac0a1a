//! [`Group`]: groups of weights by what they are in a sublayer, and their training.

use burn::tensor::Device;
use slicegpt_core::{Axis, Block, Role};

use crate::{Network, Place, Trainable};

/// A group of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The readers and writers of groups of heads.
    Attention,
    /// The readers and writers of channels of MLPs.
    Mlp,
    /// The weights and biases of all norms.
    Norms,
    /// The matrices of shortcuts.
    Shortcuts,
    /// The matrix of the head.
    Head,
}

/// How a matrix is trained. Vectors are always trained as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// As a whole.
    Whole,
    /// By a correction of this rank, or of the smaller side of the matrix if that is less.
    LowRank(usize),
}

impl Group {
    /// The weights of this group in a block, by sublayer and role.
    pub fn in_block<B: Block>(self, block: &B) -> Vec<(usize, Role)> {
        let of_sublayer = |sublayer| {
            let weights = block.sublayer(sublayer).weights();
            let has = |role: &Role| weights.iter().any(|(other, _)| other == role);
            let roles: Vec<Role> = match self {
                Self::Attention => linears(block, sublayer, Axis::Heads),
                Self::Mlp => linears(block, sublayer, Axis::Mlp),
                Self::Norms => vec![Role::NormWeight, Role::NormBias],
                Self::Shortcuts => vec![Role::Shortcut],
                Self::Head => Vec::new(),
            };
            roles.into_iter().filter(has).map(|role| (sublayer, role)).collect::<Vec<_>>()
        };
        (0..block.sublayers()).flat_map(of_sublayer).collect()
    }
}

/// The readers and the writer of the units of a sublayer that belong to an axis.
fn linears<B: Block>(block: &B, sublayer: usize, axis: Axis) -> Vec<Role> {
    let groups = block.prunable(sublayer).into_iter().filter(|group| group.axis == axis);
    groups
        .flat_map(|group| {
            let readers = group.readers.into_iter().map(|(reader, _)| Role::Reader(reader));
            readers.chain([Role::Writer(group.writer)])
        })
        .collect()
}

impl Trainable {
    /// Trains the weights of a group in all of `network`. Returns how many these are.
    pub fn add_group<B: Block>(
        &mut self,
        network: &Network<B>,
        group: Group,
        how: How,
        device: &Device,
    ) -> usize {
        let mut count = 0;
        for (number, block) in network.blocks.iter().enumerate() {
            for (sublayer, role) in group.in_block(block) {
                count += usize::from(self.add(network, (number, sublayer, role), how, device));
            }
        }
        let norm = &network.head.norm;
        let vectors = [(Place::LastNorm, &norm.weight), (Place::LastNormBias, &norm.bias)];
        for (place, vector) in vectors {
            if let (Group::Norms, Some(vector)) = (group, vector) {
                self.whole(place, vector.val().unsqueeze());
                count += 1;
            }
        }
        if group == Group::Head {
            let weight = network.head.linear.weight.val();
            match how {
                How::Whole => self.whole(Place::Head, weight),
                How::LowRank(rank) => self.low_rank(Place::Head, weight.dims(), rank, device),
            }
            count += 1;
        }
        count
    }

    /// Trains a weight of a block. Whether the block has it.
    pub fn add<B: Block>(
        &mut self,
        network: &Network<B>,
        (block, sublayer, role): (usize, usize, Role),
        how: How,
        device: &Device,
    ) -> bool {
        let weights = network.blocks[block].sublayer(sublayer).weights();
        let found = weights.into_iter().find(|(other, _)| *other == role);
        let Some((_, weight)) = found else { return false };
        let weight = weight.matrix();
        let place = Place::Block { block, sublayer, role };
        match (how, role) {
            (How::LowRank(rank), Role::Reader(_) | Role::Writer(_) | Role::Shortcut) => {
                self.low_rank(place, weight.dims(), rank, device);
            }
            _ => self.whole(place, weight),
        }
        true
    }
}
