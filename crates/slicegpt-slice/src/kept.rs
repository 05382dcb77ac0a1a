//! [`KeptUnits`]: which prunable units of a decoder stay.

use slicegpt_core::{Axis, Block, PrunableUnits};

use crate::units::narrow;

/// The prunable units that stay in a decoder, block after block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptUnits(Vec<BlockUnits>);

/// The units that stay in one block: for every sublayer, for every group of units that
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
/// use slicegpt_slice::BlockUnits;
///
/// let kept = BlockUnits::new(vec![vec![vec![0, 2, 3]]]);
/// assert_eq!(kept.counts(0), [3]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockUnits(Vec<Vec<Vec<usize>>>);

impl KeptUnits {
    /// The units that stay in block `index`.
    ///
    /// # Panics
    ///
    /// If there is no such block.
    pub fn block(&self, index: usize) -> &BlockUnits {
        &self.0[index]
    }

    /// The units that stay in each block, in the order of the decoder.
    pub fn blocks(&self) -> impl Iterator<Item = &BlockUnits> {
        self.0.iter()
    }

    /// The units that stay in each group, in the order of the decoder.
    pub fn groups(&self) -> impl Iterator<Item = &[usize]> {
        self.0.iter().flat_map(BlockUnits::groups)
    }
}

impl FromIterator<BlockUnits> for KeptUnits {
    fn from_iter<I: IntoIterator<Item = BlockUnits>>(blocks: I) -> Self {
        Self(blocks.into_iter().collect())
    }
}

impl BlockUnits {
    /// From indices by sublayer and by group.
    pub fn new(by_sublayer: Vec<Vec<Vec<usize>>>) -> Self {
        Self(by_sublayer)
    }

    /// The first units of every group of `block`, as many as `count` gives for the axis; all of a
    /// group with fewer units.
    pub fn first<B: Block>(block: &B, count: impl Fn(Axis) -> usize) -> Self {
        let sublayer = |index: usize| {
            let sublayer = block.sublayer(index);
            let kept = |group: &PrunableUnits| count(group.axis).min(group.count(&sublayer));
            block.prunable(index).iter().map(|group| (0..kept(group)).collect()).collect()
        };
        Self((0..block.sublayers()).map(sublayer).collect())
    }

    /// The units that stay in each group, in the order of the block.
    pub fn groups(&self) -> impl Iterator<Item = &[usize]> {
        self.0.iter().flatten().map(Vec::as_slice)
    }

    /// The number of units that stay in each group of sublayer `index`; none if nothing is said
    /// about the sublayer, and all stay.
    pub fn counts(&self, index: usize) -> Vec<usize> {
        self.0.get(index).map_or_else(Vec::new, |groups| groups.iter().map(Vec::len).collect())
    }

    /// Removes all other units from `block`.
    ///
    /// # Panics
    ///
    /// If a unit does not exist.
    pub fn narrow<B: Block>(&self, block: &mut B) {
        for (index, kept) in self.0.iter().enumerate() {
            for (group, kept) in block.prunable(index).iter().zip(kept) {
                narrow(block, index, group, kept);
            }
        }
    }
}
