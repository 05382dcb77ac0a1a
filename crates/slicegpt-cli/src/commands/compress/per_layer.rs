//! The method of the paper, one basis per cut: embedding, blocks, head, each read, rewritten and written before the next.

use anyhow::{Context, Result};
use slicegpt_calibrate::{Orientation, Spectrum};
use slicegpt_checkpoint::{Checkpoint, Writer};
use slicegpt_core::{Basis, Decoder, Norm, TokenBatch};
use slicegpt_invariance::{TableEdit, center, fuse};
use slicegpt_models::{DecoderBlock, DecoderSpec, Model};
use slicegpt_slice::{
    Arithmetic, Batch, Covariance, PairedPass, ReaderFit, Ridge, Settings, SliceError, Spectra,
    Stages, Stream, principal,
};

use super::failure::Failure;
use super::tables::{rewrite, write_embeddings};
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
    /// How what is cut is refitted, if it is.
    pub ridge: Option<Ridge>,
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
        let Self { model, sliced, target, ridge } = *self;
        let spec = model.spec();
        let slicing = sliced.slicing.as_ref().context("a sliced spec says how")?;
        let widths = &slicing.widths;
        let norm = model.norm()?;
        let [size, seqlen] = batches.first().map_or([0, 0], TokenBatch::shape);
        target.doing(format!("embedding, {size} x {seqlen} tokens at a time"));
        let embed = |batch: &TokenBatch| {
            Ok::<_, Failure>(Batch {
                signal: center(&norm, model.embed(batch).map_err(Failure::new)?),
                context: model.context(batch),
                keep: batch.mask().map(<[bool]>::to_vec),
            })
        };
        let signals = || batches.iter().map(embed);
        let passes = if ridge.is_some() { 2 } else { 1 };
        let steps = passes * spec.layers * spec.depth() * batches.len();
        let progress = Progress::start("slicing", steps);
        let blocks = (0..spec.layers).map(|index| {
            progress.message(format!("block {}/{}", index + 1, spec.layers));
            target.doing(format!("block {index}, {size} x {seqlen} tokens at a time"));
            model.block(index).map(fuse).map_err(Failure::new)
        });
        let tick = &mut || progress.tick();

        if let Some(ridge) = ridge {
            let arithmetic = settings.arithmetic.unwrap_or_else(|| Arithmetic::of(model.device()));
            let mut covariance = Covariance::new(spec.hidden_size, arithmetic);
            for batch in signals() {
                let Batch { signal, keep, .. } = batch.map_err(Failure::of)?;
                covariance.add(signal, keep.as_deref());
            }
            let found = principal(&covariance, widths.embedding(), orientation);
            let (basis, spectrum) = found.map_err(SliceError::Embedding)?;
            self.write_tables(&basis, writer)?;
            let mut spectra = vec![spectrum];
            let bare = Norm::bare(norm.hidden_size, norm.eps);
            let mut walk = PairedPass::begin(signals(), settings, basis, &bare, Some(ridge))
                .map_err(Failure::of)?;
            for (index, block) in blocks.enumerate() {
                let block = block.map_err(Failure::of)?;
                let around = widths.block(index, spec.depth());
                let cut = walk.block_per_cut(block, index, around, orientation, tick);
                let (block, found) = cut.map_err(|error| Failure::of(error.into()))?;
                spectra.extend(found);
                self.write_block(index, &block, writer)?;
            }
            progress.finish();
            let fit = ReaderFit::new(&ridge, walk.moments(), walk.basis(), sliced.head_bias)?;
            let shift = fit.shift.as_deref();
            let edit = TableEdit::refitted(&norm, &fit.matrix, shift, model.device());
            self.write_head(&edit, writer)?;
            return Ok((spectra, walk.stages()));
        }

        let (stream, spectrum) =
            Stream::begin(signals(), settings, widths.embedding(), orientation)
                .map_err(Failure::of)?;
        self.write_tables(stream.basis(), writer)?;
        let mut spectra = vec![spectrum];
        let run = slicegpt_slice::run(stream, blocks, widths, orientation, wanted, tick, |done| {
            spectra.extend(done.spectra);
            self.write_block(done.index, &done.block, writer).map_err(Failure::new)
        });
        let (basis, stages) = run.map_err(Failure::of)?;
        progress.finish();
        self.write_head(&TableEdit::reader(&norm, &basis, model.device()), writer)?;
        Ok((spectra, stages))
    }

    /// Writes what writes the stream first.
    fn write_tables(&self, basis: &Basis, writer: &mut Writer) -> Result<()> {
        let Self { model, sliced, .. } = self;
        let edit = TableEdit::writer(model.spec().norm.centers, basis, model.device());
        write_embeddings(model, sliced, &edit, writer)
    }

    fn write_block(&self, index: usize, block: &DecoderBlock, writer: &mut Writer) -> Result<()> {
        for entry in self.sliced.block_entries(index) {
            writer.write(&entry.name, &block.tensor(&entry))?;
        }
        Ok(())
    }

    /// Writes the head, which becomes a table of its own.
    fn write_head(&self, edit: &TableEdit, writer: &mut Writer) -> Result<()> {
        let Self { model, sliced, target, .. } = self;
        let spec = model.spec();
        target.doing("the head".into());
        let [name, bias] = ["weight", "bias"].map(|kind| format!("{}.{kind}", spec.names.head));
        let mut shifts = Vec::new();
        rewrite(model, &model.head_table(), edit, |rows, shift| {
            shifts.extend(shift.into_iter().flatten());
            Ok(writer.write(&name, &rows)?)
        })?;
        if sliced.head_bias {
            let dense = model.head_bias()?.unwrap_or_else(|| vec![0.0; spec.vocab_size]);
            shifts.resize(spec.vocab_size, 0.0);
            let sum: Vec<f32> = dense.iter().zip(shifts).map(|(a, b)| a + b).collect();
            writer.write(&bias, &sum)?;
        }
        Ok(())
    }
}
