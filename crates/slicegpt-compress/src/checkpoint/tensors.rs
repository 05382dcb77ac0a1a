//! [`ByName`]: the parts of a compressed model of a known family as named tensors.

use slicegpt_core::Norm;
use slicegpt_models::{DecoderBlock, DecoderSpec};

use crate::checkpoint::cut_spec;
use crate::{Shape, Sink, Table};

/// Receives named tensors, whole or in pieces.
pub trait TensorSink {
    /// Why a tensor could not be taken.
    type Error: Into<Box<dyn std::error::Error + Send + Sync>>;

    /// The tensors that will follow, name and shape of each. Called once, before everything else.
    ///
    /// # Errors
    ///
    /// If such tensors cannot be taken.
    fn begin(&mut self, tensors: Vec<(String, Vec<usize>)>) -> Result<(), Self::Error>;

    /// The next values of a tensor, row-major.
    ///
    /// # Errors
    ///
    /// If they cannot be taken.
    fn write(&mut self, name: &str, values: &[f32]) -> Result<(), Self::Error>;
}

/// Turns the parts of a compressed model of a known family into the tensors that the family has, as
/// [`DecoderSpec::entries`] lists them.
pub struct ByName<'a, T> {
    dense: &'a DecoderSpec,
    sliced: Option<DecoderSpec>,
    tensors: T,
}

impl<'a, T: TensorSink> ByName<'a, T> {
    /// A sink for the parts of the compressed `dense`, which writes them to `tensors`.
    pub fn new(dense: &'a DecoderSpec, tensors: T) -> Self {
        Self { dense, sliced: None, tensors }
    }

    /// The decoder after the cut, `None` until the compression has begun, and the sink of its
    /// tensors.
    pub fn into_inner(self) -> (Option<DecoderSpec>, T) {
        (self.sliced, self.tensors)
    }

    fn sliced(&self) -> &DecoderSpec {
        self.sliced.as_ref().expect("the shape comes before the parts")
    }
}

impl<T: TensorSink> Sink<DecoderBlock> for ByName<'_, T> {
    type Error = T::Error;

    fn begin(&mut self, shape: &Shape) -> Result<(), T::Error> {
        let sliced = self.sliced.insert(cut_spec(self.dense, shape));
        let entries = sliced.entries().into_iter();
        self.tensors.begin(entries.map(|entry| (entry.name, entry.shape)).collect())
    }

    fn rows(&mut self, table: Table, rows: &[f32]) -> Result<(), T::Error> {
        let spec = self.sliced();
        let name = match table {
            Table::Embedding => spec.embedding_entry().name,
            Table::Positions => spec.position_entry().expect("as in the dense model").name,
            Table::Head => format!("{}.weight", spec.names.head),
        };
        self.tensors.write(&name, rows)
    }

    fn block(&mut self, index: usize, block: DecoderBlock) -> Result<(), T::Error> {
        for entry in self.sliced().block_entries(index) {
            self.tensors.write(&entry.name, &block.tensor(&entry))?;
        }
        Ok(())
    }

    fn norm(&mut self, norm: &Norm) -> Result<(), T::Error> {
        let entries = self.sliced().norm_entries();
        let vectors = norm.vectors().into_iter().flatten();
        for (entry, values) in entries.iter().zip(vectors) {
            // Exact: the values were rounded to float32 before.
            let values: Vec<f32> = values.into_iter().map(|x| x as f32).collect();
            self.tensors.write(&entry.name, &values)?;
        }
        Ok(())
    }

    fn head_bias(&mut self, bias: &[f32]) -> Result<(), T::Error> {
        let name = format!("{}.bias", self.sliced().names.head);
        self.tensors.write(&name, bias)
    }
}
