//! [`FreeAxes`] and [`FixedSizes`]: the axes of a decoder's size that a search may cut, and those
//! whose size is given.

use super::{PlanError, Split, field};
use crate::Dimensions;

/// Axes that a search may cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FreeAxes {
    /// The number of blocks.
    pub layers: bool,
    /// The width of the stream.
    pub stream: bool,
    /// The width of the MLPs.
    pub mlp: bool,
    /// Groups of attention heads.
    pub heads: bool,
}

/// Sizes of axes that are given; `None` where an axis is free or stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FixedSizes {
    /// The number of blocks.
    pub layers: Option<usize>,
    /// The width of the stream.
    pub hidden_size: Option<usize>,
    /// Groups of heads of every attention: its key and value heads.
    pub kv_heads: Option<usize>,
    /// The width of the hidden layer of the MLPs.
    pub intermediate_size: Option<usize>,
}

impl FreeAxes {
    /// The names of the axes, in the order of the fields.
    pub const NAMES: [&str; 4] = ["layers", "stream", "mlp", "heads"];

    /// Every axis.
    pub const ALL: Self = Self::of([true; 4]);

    /// In the order of [`FreeAxes::NAMES`].
    pub const fn of([layers, stream, mlp, heads]: [bool; 4]) -> Self {
        Self { layers, stream, mlp, heads }
    }

    /// In the order of [`FreeAxes::NAMES`].
    pub const fn flags(self) -> [bool; 4] {
        [self.layers, self.stream, self.mlp, self.heads]
    }

    /// The axes that a decoder has with more than one possible size.
    pub(crate) fn has(dense: &dyn Dimensions, full: Split) -> Self {
        Self {
            // The first block always stays, and one alone is no decoder worth having.
            layers: full.layers > 2 && dense.has_equal_blocks(),
            stream: true,
            mlp: full.intermediate > 1,
            heads: full.heads > 1,
        }
    }

    /// The names of the axes that are in this set.
    pub(crate) fn names(self) -> Vec<&'static str> {
        Self::NAMES
            .into_iter()
            .zip(self.flags())
            .filter_map(|(name, is)| is.then_some(name))
            .collect()
    }
}

impl FixedSizes {
    /// The sizes and the names of their fields, in the order of [`FreeAxes::NAMES`].
    pub(crate) fn fields(self) -> [(&'static str, Option<usize>); 4] {
        [
            (field::KEEP_LAYERS, self.layers),
            (field::HIDDEN_SIZE, self.hidden_size),
            (field::INTERMEDIATE_SIZE, self.intermediate_size),
            (field::KV_HEADS, self.kv_heads),
        ]
    }

    /// Whether no axis is fixed.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The split `full` with the sizes that are given.
    ///
    /// # Errors
    ///
    /// If a size is 0 or above that of the model, the model does not have the axis, or fewer than
    /// two blocks would stay.
    pub(crate) fn within(self, dense: &dyn Dimensions, full: Split) -> Result<Split, PlanError> {
        let has = FreeAxes::has(dense, full);
        let size = |number: usize, full: usize| {
            let (field, asked) = self.fields()[number];
            match asked {
                None => Ok(full),
                Some(asked) if asked == full => Ok(full),
                Some(_) if !has.flags()[number] => {
                    Err(PlanError::NoAxis { axis: FreeAxes::NAMES[number], has: has.names() })
                }
                Some(0) => Err(PlanError::Zero(field)),
                Some(asked) if asked > full => Err(PlanError::TooLarge { field, asked, full }),
                Some(asked) => Ok(asked),
            }
        };
        let split = Split {
            layers: size(0, full.layers)?,
            width: size(1, full.width)?,
            intermediate: size(2, full.intermediate)?,
            heads: size(3, full.heads)?,
        };
        if split.layers == 1 && full.layers > 1 {
            return Err(PlanError::OneLayer);
        }
        Ok(split)
    }
}
