//! [`Sink`]: where the parts of a compressed model go, one at a time; and [`InMemory`], which
//! collects them.

use std::convert::Infallible;

use burn::tensor::Device;
use slicegpt_core::{Head, Norm};

use crate::{Shape, Table};

/// Receives the parts of a compressed model in the order in which they are finished: the shape, the
/// rows of the embeddings, the blocks in their order, the last norm, the rows of the head, its
/// bias.
///
/// The compression keeps no part in memory once it has handed it over.
pub trait Sink<B> {
    /// Why a part could not be taken.
    type Error: Into<Box<dyn std::error::Error + Send + Sync>>;

    /// The model will have this shape. Called once, before everything else.
    ///
    /// # Errors
    ///
    /// If the parts of such a model cannot be taken.
    fn begin(&mut self, shape: &Shape) -> Result<(), Self::Error>;

    /// The next rows of a table, row-major, `[rows, width]`. A tied head has no table.
    ///
    /// # Errors
    ///
    /// If they cannot be taken.
    fn rows(&mut self, table: Table, rows: &[f32]) -> Result<(), Self::Error>;

    /// Block `index`, cut. Its norms are bare, or RMSNorms if [`Shape::rms_norms`] says so.
    ///
    /// # Errors
    ///
    /// If it cannot be taken.
    fn block(&mut self, index: usize, block: B) -> Result<(), Self::Error>;

    /// The norm before the head. It has a weight where the head is tied or norms are RMSNorms.
    ///
    /// # Errors
    ///
    /// If it cannot be taken.
    fn norm(&mut self, norm: &Norm) -> Result<(), Self::Error>;

    /// The bias of the head, `[vocab_size]`. Called only if the head has one after the cut: if it
    /// had one before, or the last norm had a bias.
    ///
    /// # Errors
    ///
    /// If it cannot be taken.
    fn head_bias(&mut self, bias: &[f32]) -> Result<(), Self::Error>;
}

/// The parts of a compressed model, in memory.
#[derive(Clone, Debug)]
pub struct InMemory<B> {
    /// The shape of the compressed model; `None` until the compression has begun.
    pub shape: Option<Shape>,
    /// The token embedding, row-major, `[vocab_size, width]`.
    pub embedding: Vec<f32>,
    /// The position embedding, row-major, `[positions, width]`; empty where there is none.
    pub positions: Vec<f32>,
    /// The blocks.
    pub blocks: Vec<B>,
    /// The norm before the head; `None` until the blocks are complete.
    pub norm: Option<Norm>,
    /// The head, row-major, `[vocab_size, width]`; empty where it is the embedding.
    pub head: Vec<f32>,
    /// The bias of the head, `[vocab_size]`, if it has one.
    pub head_bias: Option<Vec<f32>>,
}

impl<B> Default for InMemory<B> {
    fn default() -> Self {
        Self {
            shape: None,
            embedding: Vec::new(),
            positions: Vec::new(),
            blocks: Vec::new(),
            norm: None,
            head: Vec::new(),
            head_bias: None,
        }
    }
}

impl<B> InMemory<B> {
    /// The last norm and the head on `device`, with the embedding as its matrix where it is tied.
    /// `None` until the model is complete.
    pub fn to_head(&self, device: &Device) -> Option<Head> {
        let (shape, norm) = (self.shape.as_ref()?, self.norm.clone()?);
        let rows = if shape.tied { &self.embedding } else { &self.head };
        let width = shape.widths.head();
        let size = [rows.len() / width, width];
        Some(Head::from_rows(norm, rows.clone(), self.head_bias.clone(), size, device))
    }
}

impl<B> Sink<B> for InMemory<B> {
    type Error = Infallible;

    fn begin(&mut self, shape: &Shape) -> Result<(), Infallible> {
        self.shape = Some(shape.clone());
        Ok(())
    }

    fn rows(&mut self, table: Table, rows: &[f32]) -> Result<(), Infallible> {
        let values = match table {
            Table::Embedding => &mut self.embedding,
            Table::Positions => &mut self.positions,
            Table::Head => &mut self.head,
        };
        values.extend_from_slice(rows);
        Ok(())
    }

    fn block(&mut self, _: usize, block: B) -> Result<(), Infallible> {
        self.blocks.push(block);
        Ok(())
    }

    fn norm(&mut self, norm: &Norm) -> Result<(), Infallible> {
        self.norm = Some(norm.clone());
        Ok(())
    }

    fn head_bias(&mut self, bias: &[f32]) -> Result<(), Infallible> {
        self.head_bias = Some(bias.to_vec());
        Ok(())
    }
}
