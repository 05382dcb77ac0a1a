//! [`with_own_head`]: a head that the config calls tied, and the weights do not.

use anyhow::Result;
use slicegpt_checkpoint::Checkpoint;
use slicegpt_core::TensorSource;
use slicegpt_models::{DecoderSpec, Model};

use crate::show::progress::warn;

/// Rows that are compared at once.
const ROWS: usize = 1024;

/// `spec` with a head of its own if the weights have one that is not the embedding, though the
/// config calls it tied. transformers 5 takes the head then; older versions lose it.
pub fn with_own_head(mut spec: DecoderSpec, checkpoint: &Checkpoint) -> Result<DecoderSpec> {
    let head = format!("{}.weight", spec.names.head);
    if !spec.tied || spec.slicing.is_some() || !checkpoint.contains(&head) {
        return Ok(spec);
    }
    let device = slicegpt_device::OpenDevice::cpu().device;
    let model = Model::new(spec.clone(), checkpoint, device);
    let embedding = model.stored_name(&format!("{}.weight", spec.names.embedding));
    let shape = [spec.vocab_size, spec.hidden_size];
    for first in (0..spec.vocab_size).step_by(ROWS) {
        let rows = first..(first + ROWS).min(spec.vocab_size);
        let own = checkpoint.rows(&head, shape, rows.clone())?;
        if own != checkpoint.rows(&embedding, shape, rows)? {
            warn(format!(
                "{}: tie_word_embeddings is true, but {head} is not the embedding: it is used, as \
                 in transformers 5",
                checkpoint.directory().join("config.json").display()
            ));
            spec.tied = false;
            break;
        }
    }
    Ok(spec)
}
