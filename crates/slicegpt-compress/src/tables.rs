//! [`Tables`]: the two ends of a decoder, embedding and head, as tables of rows.

use std::ops::Range;

use burn::tensor::Device;
use slicegpt_core::Decoder;

use crate::Dimensions;

/// A table at one end of a decoder, `[rows, hidden_size]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// The token embedding, one row per token id.
    Embedding,
    /// The position embedding, whose rows are added to those of the token embedding (OPT).
    Positions,
    /// The matrix of the head, one row per token id. A tied head is the token embedding and has no
    /// table.
    Head,
}

/// A decoder whose embedding and head can be read a few rows at a time.
///
/// They are the largest matrices of a model. A compression rewrites them a few rows at a time. Only
/// measuring a split needs the whole head in memory. On an accelerator the next block is loaded on
/// another thread while one is computed.
pub trait Tables:
    Decoder<Block: Clone + Send, Error: std::error::Error + Send + Sync + 'static> + Sized + Sync
{
    /// The device that the decoder runs on.
    fn device(&self) -> Device;

    /// Rows `rows` of a table, row-major, `[rows, hidden_size]`.
    ///
    /// [`Table::Positions`] is read only if [`Tables::positions`] is above 0, and [`Table::Head`]
    /// only if the head is not tied.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    fn rows(&self, table: Table, rows: Range<usize>) -> Result<Vec<f32>, Self::Error>;

    /// Whether the matrix of the head is the token embedding.
    fn is_tied(&self) -> bool;

    /// The number of rows of the position embedding; 0 for a decoder without one.
    fn positions(&self) -> usize {
        0
    }

    /// The bias of the head, `[vocab_size]`, if it has one.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn head_bias(&self) -> Result<Option<Vec<f32>>, Self::Error> {
        Ok(None)
    }

    /// The name of a table in error messages.
    fn name(&self, table: Table) -> String {
        match table {
            Table::Embedding => "the token embedding".into(),
            Table::Positions => "the position embedding".into(),
            Table::Head => "the head".into(),
        }
    }

    /// The sizes of this decoder, from which a plan is resolved. For a decoder of your own blocks,
    /// `Counted::of(self)` counts what the blocks declare.
    ///
    /// # Errors
    ///
    /// If a part of the decoder cannot be read.
    fn dimensions(&self) -> Result<Box<dyn Dimensions + '_>, Self::Error>;
}
