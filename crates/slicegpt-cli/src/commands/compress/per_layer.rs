//! The method of the paper, one basis per cut: embedding, blocks, head, each read, rewritten and written before the next.

use anyhow::{Context, Result};
use slicegpt_calibrate::{Orientation, Spectrum};
use slicegpt_checkpoint::{Checkpoint, Writer};
use slicegpt_core::{Decoder, TokenBatch};
use slicegpt_invariance::{TableEdit, center, fuse};
use slicegpt_models::{DecoderSpec, Model};
use slicegpt_slice::{Batch, Settings, Spectra, Stages, Stream};

use super::failure::Failure;
use super::tables::rewrite;
use crate::device::Target;
use crate::progress::Progress;

/// A model, what it is to become, and where.
pub struct PerLayer<'a> {
    /// The dense model.
    pub model: &'a Model<&'a Checkpoint>,
    /// What it becomes.
    pub sliced: &'a DecoderSpec,
    /// Where it is computed.
    pub target: &'a Target,
}

impl PerLayer<'_> {
    /// Slices the model, calibrating on `batches`, and writes every tensor of it to `writer`. Gives
    /// the spectrum of the full-width signal at the cuts that `wanted` says, and where the time went.
    pub fn run(
        &self,
        batches: &[TokenBatch],
        settings: Settings,
        orientation: &mut Orientation,
        wanted: Spectra,
        writer: &mut Writer,
    ) -> Result<(Vec<Spectrum>, Stages)> {
        let Self { model, sliced, target } = *self;
        let spec = model.spec();
        let slicing = sliced.slicing.as_ref().context("a sliced spec says how")?;
        let widths = &slicing.widths;
        let [size, seqlen] = batches.first().map_or([0, 0], TokenBatch::shape);
        target.doing(format!("embedding, {size} x {seqlen} tokens at a time"));
        let norm = model.norm()?;
        let embed = |batch: &TokenBatch| {
            Ok::<_, Failure>(Batch {
                signal: center(&norm, model.embed(batch).map_err(Failure::new)?),
                context: model.context(batch),
                keep: batch.mask().map(<[bool]>::to_vec),
            })
        };
        let signals = batches.iter().map(embed);
        let (stream, spectrum) = Stream::begin(signals, settings, widths.embedding(), orientation)
            .map_err(Failure::of)?;

        let edit = TableEdit::writer(spec.norm.centers, stream.basis(), model.device());
        let dense = [Some(spec.embedding_entry()), spec.position_entry()];
        let cut = [Some(sliced.embedding_entry()), sliced.position_entry()];
        for (dense, cut) in dense.into_iter().flatten().zip(cut.into_iter().flatten()) {
            let table = (model.stored_name(&dense.name), [dense.shape[0], dense.shape[1]]);
            rewrite(model, &table, &edit, |rows, _| Ok(writer.write(&cut.name, &rows)?))?;
        }

        let mut spectra = vec![spectrum];
        let progress = Progress::start("slicing", spec.layers * spec.depth() * batches.len());
        let blocks = (0..spec.layers).map(|index| {
            progress.message(format!("block {}/{}", index + 1, spec.layers));
            target.doing(format!("block {index}, {size} x {seqlen} tokens at a time"));
            model.block(index).map(fuse).map_err(Failure::new)
        });
        let tick = &mut || progress.tick();
        let run = slicegpt_slice::run(stream, blocks, widths, orientation, wanted, tick, |done| {
            spectra.extend(done.spectra);
            for entry in sliced.block_entries(done.index) {
                writer.write(&entry.name, &done.block.tensor(&entry)).map_err(Failure::new)?;
            }
            Ok(())
        });
        let (basis, stages) = run.map_err(Failure::of)?;
        progress.finish();

        target.doing("the head".into());
        let edit = TableEdit::reader(&norm, &basis, model.device());
        let [name, bias] = ["weight", "bias"].map(|kind| format!("{}.{kind}", spec.names.head));
        let mut shifts = Vec::new();
        rewrite(model, &model.head_table(), &edit, |rows, shift| {
            shifts.extend(shift.into_iter().flatten());
            Ok(writer.write(&name, &rows)?)
        })?;
        if sliced.head_bias {
            let dense = model.head_bias()?.unwrap_or_else(|| vec![0.0; spec.vocab_size]);
            shifts.resize(spec.vocab_size, 0.0);
            let sum: Vec<f32> = dense.iter().zip(shifts).map(|(a, b)| a + b).collect();
            writer.write(&bias, &sum)?;
        }
        Ok((spectra, stages))
    }
}
