//! [`Decoder`]: a whole model, loaded one block at a time.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::{Block, Norm, TokenBatch};

/// A decoder that loads its parts one at a time, so that the caller decides how much of it is in
/// memory.
pub trait Decoder {
    /// The type of its blocks.
    type Block: Block;
    /// Why a part cannot be loaded.
    type Error;

    /// The number of blocks.
    fn blocks(&self) -> usize;

    /// The number of sublayers of each block.
    fn sublayers_per_block(&self) -> usize;

    /// The number of different token ids.
    fn vocab_size(&self) -> usize;

    /// What a forward pass over `batch` needs in addition to the stream.
    fn context(&self, batch: &TokenBatch) -> <Self::Block as Block>::Context;

    /// The embedding output: the stream before the first block, `[batch, tokens, width]`.
    ///
    /// # Errors
    ///
    /// If the embedding cannot be read.
    fn embed(&self, batch: &TokenBatch) -> Result<Tensor<3>, Self::Error>;

    /// Block `index`, loaded.
    ///
    /// # Errors
    ///
    /// If its weights cannot be read.
    fn block(&self, index: usize) -> Result<Self::Block, Self::Error>;

    /// The norm before the head, loaded. All norms over the stream are of the same kind.
    ///
    /// # Errors
    ///
    /// If its weights cannot be read.
    fn norm(&self) -> Result<Norm, Self::Error>;

    /// The last norm and the head, loaded.
    ///
    /// # Errors
    ///
    /// If its weights cannot be read.
    fn head(&self) -> Result<Head, Self::Error>;
}

/// The last norm and the linear from the stream to the logits.
#[derive(Clone, Debug)]
pub struct Head {
    /// The norm of the stream after the last block.
    pub norm: Norm,
    /// `[width, vocab_size]`: a reader of the stream.
    pub linear: Linear,
}

impl Head {
    /// A head from the rows of a table, row-major, `shape` being `[vocab_size, width]`, and the
    /// bias of each row, `[vocab_size]`.
    ///
    /// # Panics
    ///
    /// If the number of values does not match the shape.
    pub fn from_rows(
        norm: Norm,
        rows: Vec<f32>,
        bias: Option<Vec<f32>>,
        shape: [usize; 2],
        device: &Device,
    ) -> Self {
        let table = Tensor::<2>::from_data(TensorData::new(rows, shape), (device, DType::F32));
        let bias = bias.map(|bias| {
            let data = TensorData::new(bias, [shape[0]]);
            Param::from_tensor(Tensor::from_data(data, (device, DType::F32)))
        });
        Self { norm, linear: Linear { weight: Param::from_tensor(table.transpose()), bias } }
    }

    /// The logits of every token.
    ///
    /// # Shapes
    /// - `stream`: `[batch, tokens, width]`
    /// - output: `[batch, tokens, vocab_size]`
    pub fn forward(&self, stream: Tensor<3>) -> Tensor<3> {
        self.linear.forward(self.norm.forward(stream))
    }
}
