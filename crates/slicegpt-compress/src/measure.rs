//! Measures how far the cut model of a frame is from the dense one, without writing it.

use burn::tensor::DType;
use slicegpt_core::{Head, TokenBatch};
use slicegpt_eval::{Divergence, DivergenceSum};
use slicegpt_slice::Settings;

use crate::Tables;
use crate::error::{CompressError, Result};
use crate::shared::{Frame, Shared};

impl<D: Tables> Shared<'_, D> {
    /// The KL divergence from the dense model, on `held_out`, of the model that is cut to `frame`
    /// and refitted on `batches` only. `None` if its logits are not finite.
    pub fn measure(
        &self,
        frame: &Frame,
        batches: &[TokenBatch],
        held_out: &[TokenBatch],
        settings: Settings,
    ) -> Result<Option<Divergence>> {
        let dense = self.dense;
        let mut pass = self.run(frame, batches, held_out, settings, |_| Ok(()))?;
        let head = self.head(frame, Some(pass.moments(&dense.bare_norm())?))?;
        let mut table = Vec::new();
        let bias = self.head_rows(&head, |rows| {
            table.extend(rows);
            Ok(())
        })?;
        if head.table.is_none() {
            let embedding = self.embedding_edit(frame);
            dense.rewrite(dense.head_table(), &embedding, |rows, _| {
                table.extend(rows);
                Ok(())
            })?;
        }
        let vocab_size = dense.decoder.vocab_size();
        let size = [vocab_size, frame.split.width];
        let device = dense.decoder.device();
        let sliced = Head::from_rows(self.last_norm(&head), table, bias, size, &device);
        let dense = dense.decoder.head().map_err(CompressError::model)?;
        let mut sum = DivergenceSum::default();
        for (number, batch) in held_out.iter().enumerate() {
            // The head is float32, whatever type the blocks are run in.
            let streams = pass.take(batches.len() + number)?;
            let [x, z] = streams.map(|stream| stream.cast(DType::F32));
            if !sum.add(batch, [(&dense, x), (&sliced, z)], vocab_size) {
                return Ok(None);
            }
        }
        let nothing = "no token of the calibration text is held out";
        sum.finish().map(Some).ok_or(CompressError::NoTokens(nothing))
    }
}
