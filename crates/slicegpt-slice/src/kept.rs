//! [`KeptChannels`]: which channels of a decoder stay.

use slicegpt_core::{Block, PrunableChannels};

use crate::channels::narrow;

/// The channels that stay in a decoder, block after block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptChannels(Vec<BlockChannels>);

/// The channels that stay in one block: for every sublayer, for every group of channels that
/// [`Block::prunable`] lists there, the indices that stay, ascending.
///
/// The default removes nothing.
///
/// # Example
///
/// A block with one sublayer has one group of prunable channels. Keep the first, the third and the
/// fourth channel:
///
/// ```
/// use slicegpt_slice::BlockChannels;
///
/// let kept = BlockChannels::new(vec![vec![vec![0, 2, 3]]]);
/// assert_eq!(kept.count(), 3);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockChannels(Vec<Vec<Vec<usize>>>);

impl KeptChannels {
    /// The channels that stay in block `index`.
    ///
    /// # Panics
    ///
    /// If there is no such block.
    pub fn block(&self, index: usize) -> &BlockChannels {
        &self.0[index]
    }

    /// The channels that stay in each block, in the order of the decoder.
    pub fn blocks(&self) -> impl Iterator<Item = &BlockChannels> {
        self.0.iter()
    }

    /// The channels that stay in each group, in the order of the decoder.
    pub fn groups(&self) -> impl Iterator<Item = &[usize]> {
        self.0.iter().flat_map(BlockChannels::groups)
    }
}

impl FromIterator<BlockChannels> for KeptChannels {
    fn from_iter<I: IntoIterator<Item = BlockChannels>>(blocks: I) -> Self {
        Self(blocks.into_iter().collect())
    }
}

impl BlockChannels {
    /// From indices by sublayer and by group.
    pub fn new(by_sublayer: Vec<Vec<Vec<usize>>>) -> Self {
        Self(by_sublayer)
    }

    /// The first `count` channels of every group of `block`; all of a group with fewer channels.
    pub fn first<B: Block>(block: &B, count: usize) -> Self {
        let sublayer = |index: usize| {
            let writers = block.sublayer(index).writers;
            let size = |writer: usize| writers[writer].weight.dims()[0];
            let groups = block.prunable(index).into_iter();
            groups.map(|group| (0..count.min(size(group.writer))).collect()).collect()
        };
        Self((0..block.sublayers()).map(sublayer).collect())
    }

    /// The channels that stay in each group, in the order of the block.
    pub fn groups(&self) -> impl Iterator<Item = &[usize]> {
        self.0.iter().flatten().map(Vec::as_slice)
    }

    /// The number of channels that stay in each group of sublayer `index`; none if nothing is said
    /// about the sublayer, and all stay.
    pub fn counts(&self, index: usize) -> Vec<usize> {
        self.0.get(index).map_or_else(Vec::new, |groups| groups.iter().map(Vec::len).collect())
    }

    /// The number of channels that stay, all groups together.
    pub fn count(&self) -> usize {
        self.groups().map(<[usize]>::len).sum()
    }

    /// Removes all other channels from `block`.
    ///
    /// # Panics
    ///
    /// If a channel does not exist.
    pub fn narrow<B: Block>(&self, block: &mut B) {
        for (index, kept) in self.0.iter().enumerate() {
            let groups: Vec<PrunableChannels> = block.prunable(index);
            for (group, kept) in groups.iter().zip(kept) {
                narrow(block, index, group, kept);
            }
        }
    }
}
