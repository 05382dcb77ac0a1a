//! [`Dense`]: the dense model as every pass reads it: the stream after the embedding, fused blocks,
//! and tables a few rows at a time. Every read is reported to the observer.

use std::sync::Arc;

use slicegpt_core::precise::has_own_memory;
use slicegpt_core::{Block, Decoder, Fused, Norm, Observer, TokenBatch};
use slicegpt_invariance::{TableEdit, center, fuse};
use slicegpt_slice::Batch;

use crate::ahead::with_items;
use crate::error::{CompressError, Result};
use crate::times::Clock;
use crate::{Sink, Table, Tables};

/// Elements of a table rewritten at a time.
const CHUNK: usize = 4 << 20;

/// The context of the blocks of `D`.
pub(crate) type ContextOf<D> = <<D as Decoder>::Block as Block>::Context;

/// The dense model, its last norm, and the observer.
pub(crate) struct Dense<'a, D> {
    pub decoder: &'a D,
    /// The norm before the head. All norms over the stream are of the same kind.
    pub norm: Norm,
    pub observer: &'a Arc<dyn Observer>,
    pub clock: Clock,
}

impl<'a, D: Tables> Dense<'a, D> {
    pub fn new(decoder: &'a D, observer: &'a Arc<dyn Observer>) -> Result<Self> {
        let norm = decoder.norm().map_err(CompressError::model)?;
        Ok(Self { decoder, norm, observer, clock: Clock::default() })
    }

    /// Width of the stream.
    pub fn width(&self) -> usize {
        self.norm.hidden_size
    }

    /// The number of sublayers of all blocks.
    pub fn sublayers(&self) -> usize {
        self.decoder.blocks() * self.decoder.sublayers_per_block()
    }

    /// The norm of the fused model.
    pub fn bare_norm(&self) -> Norm {
        Norm::bare(self.norm.hidden_size, self.norm.eps)
    }

    /// The weight of the last norm, ones where it has none, and its bias.
    pub fn norm_vectors(&self) -> (Vec<f64>, Option<Vec<f64>>) {
        let [weight, bias] = self.norm.vectors();
        (weight.unwrap_or_else(|| vec![1.0; self.norm.hidden_size]), bias)
    }

    /// Reports a step to the observer; an error if it cancels.
    pub fn step(&self) -> Result<()> {
        if self.observer.step().is_break() { Err(CompressError::Interrupted) } else { Ok(()) }
    }

    /// The stream after the embedding, centred if the norms centre it: first for `batches`, then
    /// for `held_out`, whose tokens are all masked out.
    pub fn signals<'s>(
        &'s self,
        batches: &'s [TokenBatch],
        held_out: &'s [TokenBatch],
    ) -> impl Iterator<Item = Result<Batch<ContextOf<D>>>> + 's {
        self.observer.at(&format!("embedding, {}", at_a_time(batches)));
        let batch = |batch: &TokenBatch, counts: bool| {
            let embedded = self.clock.time(|times| &mut times.tables, || self.decoder.embed(batch));
            let signal = embedded.map_err(CompressError::model)?;
            Ok(Batch {
                signal: center(&self.norm, signal),
                context: self.decoder.context(batch),
                keep: if counts {
                    batch.mask().map(<[bool]>::to_vec)
                } else {
                    Some(vec![false; batch.ids().len()])
                },
            })
        };
        let counted = batches.iter().map(|batch| (batch, true));
        let all = counted.chain(held_out.iter().map(|batch| (batch, false)));
        all.map(move |(tokens, counts)| batch(tokens, counts))
    }

    /// Calls `work` with the dense blocks, fused. On the CPU each is loaded when it is asked for.
    /// On an accelerator the host reads, widens and uploads the next block while the device
    /// computes.
    pub fn with_blocks<R>(
        &self,
        batches: &[TokenBatch],
        work: impl FnOnce(&mut dyn Iterator<Item = Result<Fused<D::Block>>>) -> R,
    ) -> R {
        let count = self.decoder.blocks();
        let at_a_time = at_a_time(batches);
        let ahead = has_own_memory(&self.decoder.device());
        let make = |index| self.decoder.block(index).map(fuse).map_err(CompressError::model);
        with_items(count, ahead, make, |blocks| {
            let mut blocks = (1..=count).map_while(|number| {
                self.observer.at(&format!("block {number}/{count}, {at_a_time}"));
                self.clock.time(|times| &mut times.read, || blocks.next())
            });
            work(&mut blocks)
        })
    }

    /// Hands over a block of the cut model.
    pub fn write<S: Sink<D::Block>>(
        &self,
        sink: &mut S,
        index: usize,
        block: D::Block,
    ) -> Result<()> {
        let written = self.clock.time(|times| &mut times.write, || sink.block(index, block));
        written.map_err(CompressError::sink)
    }

    /// The table that the head multiplies by.
    pub fn head_table(&self) -> Table {
        if self.decoder.is_tied() { Table::Embedding } else { Table::Head }
    }

    /// Passes the rows of a table to `sink`, a few at a time, as one stage of the work.
    pub fn each_rows(
        &self,
        table: Table,
        mut sink: impl FnMut(Vec<f32>) -> Result<()>,
    ) -> Result<()> {
        let rows = match table {
            Table::Embedding | Table::Head => self.decoder.vocab_size(),
            Table::Positions => self.decoder.positions(),
        };
        let step = (CHUNK / self.width()).max(1);
        let name = if table == Table::Head { "head" } else { "embedding" };
        self.observer.begin(name, rows.div_ceil(step));
        for start in (0..rows).step_by(step) {
            let range = start..rows.min(start + step);
            self.clock.time(
                |times| &mut times.tables,
                || sink(self.decoder.rows(table, range).map_err(CompressError::model)?),
            )?;
            self.step()?;
        }
        self.observer.end();
        Ok(())
    }

    /// Rewrites a table. `sink` gets the new rows, and what is to be added to the biases of their
    /// outputs.
    pub fn rewrite(
        &self,
        table: Table,
        edit: &TableEdit,
        mut sink: impl FnMut(Vec<f32>, Option<Vec<f32>>) -> Result<()>,
    ) -> Result<()> {
        let width = self.width();
        self.each_rows(table, |rows| {
            let (rows, shift) = edit.apply(rows, width);
            sink(rows, shift)
        })
    }

    /// Rewrites the token embedding and the position embedding.
    pub fn rewrite_embeddings<S: Sink<D::Block>>(
        &self,
        edit: &TableEdit,
        sink: &mut S,
    ) -> Result<()> {
        let positions = (self.decoder.positions() > 0).then_some(Table::Positions);
        for table in std::iter::once(Table::Embedding).chain(positions) {
            self.rewrite(table, edit, |rows, _| {
                sink.rows(table, &rows).map_err(CompressError::sink)
            })?;
        }
        Ok(())
    }
}

/// The size of a batch, for messages.
fn at_a_time(batches: &[TokenBatch]) -> String {
    let [size, seqlen] = batches.first().map_or([0, 0], TokenBatch::shape);
    format!("{size} x {seqlen} tokens at a time")
}
