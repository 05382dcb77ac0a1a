//! The embedding and the head, rewritten a few rows at a time.

use anyhow::Result;
use slicegpt_checkpoint::{Checkpoint, Writer};
use slicegpt_core::TensorSource;
use slicegpt_invariance::TableEdit;
use slicegpt_models::{DecoderSpec, Model};

use crate::progress;

/// Elements of a table rewritten at a time.
const CHUNK: usize = 4 << 20;

/// Rows of a table, `[rows, hidden_size]`, a few at a time.
pub fn each(
    model: &Model<&Checkpoint>,
    (name, shape): &(String, [usize; 2]),
    mut sink: impl FnMut(Vec<f32>) -> Result<()>,
) -> Result<()> {
    let [rows, hidden_size] = *shape;
    let step = (CHUNK / hidden_size).max(1);
    for start in (0..rows).step_by(step) {
        progress::check()?;
        sink(model.source().rows(name, *shape, start..rows.min(start + step))?)?;
    }
    Ok(())
}

/// Rewrites a table: gives the new rows, and what the biases of their outputs gain.
pub fn rewrite(
    model: &Model<&Checkpoint>,
    table: &(String, [usize; 2]),
    edit: &TableEdit,
    mut sink: impl FnMut(Vec<f32>, Option<Vec<f32>>) -> Result<()>,
) -> Result<()> {
    let [_, hidden_size] = table.1;
    each(model, table, |rows| {
        let (rows, shift) = edit.apply(rows, hidden_size);
        sink(rows, shift)
    })
}

/// Rewrites the tables that write the stream first, the embeddings, to what `sliced` holds of them.
pub fn write_embeddings(
    model: &Model<&Checkpoint>,
    sliced: &DecoderSpec,
    edit: &TableEdit,
    writer: &mut Writer,
) -> Result<()> {
    let spec = model.spec();
    let dense = [Some(spec.embedding_entry()), spec.position_entry()];
    let cut = [Some(sliced.embedding_entry()), sliced.position_entry()];
    for (dense, cut) in dense.into_iter().flatten().zip(cut.into_iter().flatten()) {
        let table = (model.stored_name(&dense.name), [dense.shape[0], dense.shape[1]]);
        rewrite(model, &table, edit, |rows, _| Ok(writer.write(&cut.name, &rows)?))?;
    }
    Ok(())
}
