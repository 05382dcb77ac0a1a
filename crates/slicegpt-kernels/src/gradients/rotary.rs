//! The gradient of rotary positions: the transposed rotation, which turns by the negative angle
//! (RoFormer, arXiv 2104.09864, equation 34).

use burn::backend::flex::FlexTensor;

use super::record::{Operation, host};
use crate::turn::{Tables, turn};
use crate::view::View;

/// What the backward pass of a rotation needs.
pub(crate) struct Rotation {
    pub tables: Tables,
    /// `[batch, tokens, heads, head_dim]`.
    pub shape: [usize; 4],
}

impl Operation<1> for Rotation {
    fn backward(&self, output: View, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let mut dx = output.values().to_vec();
        turn(&mut dx, self.shape, &self.tables, true);
        [Some(host(dx, self.shape))]
    }
}
