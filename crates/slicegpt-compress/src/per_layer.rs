//! The method of the paper, one basis per cut: embedding, blocks and head are read, rewritten and
//! handed to the sink one after the other.

use slicegpt_calibrate::{Covariance, Orientation, Spectrum, principal};
use slicegpt_core::{Basis, TokenBatch, Widths};
use slicegpt_invariance::TableEdit;
use slicegpt_slice::{
    Arithmetic, Batch, PairedPass, ReaderFit, Refit, Settings, SliceError, Spectra, Stages, Stream,
};

use crate::dense::Dense;
use crate::error::{CompressError, Result};
use crate::{Sink, Table, Tables};

/// A model, the widths it is cut to, and how.
pub(crate) struct PerLayer<'a, D> {
    pub dense: &'a Dense<'a, D>,
    pub widths: &'a Widths,
    pub refit: Option<Refit>,
    pub spectra: Spectra,
}

impl<D: Tables> PerLayer<'_, D> {
    /// Slices the model, calibrating on `batches`. Gives the spectrum of the full-width signal at
    /// the cuts, and where the time went.
    pub fn run<S: Sink<D::Block>>(
        &self,
        batches: &[TokenBatch],
        settings: Settings,
        orientation: &mut Orientation,
        sink: &mut S,
    ) -> Result<(Vec<Spectrum>, Stages)> {
        match self.refit {
            Some(refit) => self.refitted(refit, batches, settings, orientation, sink),
            None => self.plain(batches, settings, orientation, sink),
        }
    }

    /// The paper's recipe.
    fn plain<S: Sink<D::Block>>(
        &self,
        batches: &[TokenBatch],
        settings: Settings,
        orientation: &mut Orientation,
        sink: &mut S,
    ) -> Result<(Vec<Spectrum>, Stages)> {
        let Self { dense, widths, spectra: wanted, .. } = *self;
        let signals = dense.signals(batches, &[]);
        let (stream, spectrum) = Stream::begin(signals, settings, widths.embedding(), orientation)?;
        dense.rewrite_embeddings(&self.embedding_edit(stream.basis()), sink)?;
        let mut spectra = vec![spectrum];
        dense.observer.begin("slicing", dense.sublayers() * batches.len());
        let (basis, stages) = dense.with_blocks(batches, |blocks| {
            slicegpt_slice::run(stream, blocks, widths, orientation, wanted, |done| {
                spectra.extend(done.spectra);
                dense.write(sink, done.index, done.block)
            })
        })?;
        dense.observer.end();
        let edit = TableEdit::reader(&dense.norm, &basis, &dense.decoder.device());
        self.write_head(&edit, sink)?;
        Ok((spectra, stages))
    }

    /// The paper's recipe with a refit of every linear.
    fn refitted<S: Sink<D::Block>>(
        &self,
        refit: Refit,
        batches: &[TokenBatch],
        settings: Settings,
        orientation: &mut Orientation,
        sink: &mut S,
    ) -> Result<(Vec<Spectrum>, Stages)> {
        let Self { dense, widths, .. } = *self;
        let device = dense.decoder.device();
        let arithmetic = settings.arithmetic.unwrap_or_else(|| Arithmetic::of(&device));
        let mut covariance = Covariance::new(dense.width(), arithmetic);
        for batch in dense.signals(batches, &[]) {
            let Batch { signal, keep, .. } = batch?;
            covariance.add(signal, keep.as_deref());
        }
        let found = principal(&covariance, widths.embedding(), orientation);
        let (basis, spectrum) = found.map_err(SliceError::Embedding)?;
        dense.rewrite_embeddings(&self.embedding_edit(&basis), sink)?;
        let mut spectra = vec![spectrum];
        let signals = dense.signals(batches, &[]);
        let mut pass =
            PairedPass::begin(signals, settings, basis, &dense.bare_norm(), Some(refit))?;
        dense.observer.begin("slicing", 2 * dense.sublayers() * batches.len());
        dense.with_blocks(batches, |blocks| {
            for (index, block) in blocks.enumerate() {
                let around = widths.block(index, dense.decoder.sublayers_per_block());
                let (block, found) = pass.block_per_cut(block?, index, around, orientation)?;
                spectra.extend(found);
                dense.write(sink, index, block)?;
            }
            Result::Ok(())
        })?;
        dense.observer.end();
        let (basis, bias) = (pass.basis().clone(), self.head_has_bias()?);
        let here = pass.moments(&dense.bare_norm())?;
        let fit = ReaderFit::new(&refit.ridge(), here, &basis, bias)?;
        let edit = TableEdit::refitted(&dense.norm, &fit.matrix, fit.shift.as_deref(), &device);
        self.write_head(&edit, sink)?;
        Ok((spectra, pass.stages()))
    }

    fn embedding_edit(&self, basis: &Basis) -> TableEdit {
        let Dense { decoder, norm, .. } = self.dense;
        TableEdit::writer(norm.centers, basis, &decoder.device())
    }

    /// Whether the head has a bias after the cut.
    fn head_has_bias(&self) -> Result<bool> {
        let dense = self.dense.decoder.head_bias().map_err(CompressError::model)?;
        Ok(dense.is_some() || self.dense.norm.bias.is_some())
    }

    /// Hands over the last norm and the head, which is untied.
    fn write_head<S: Sink<D::Block>>(&self, edit: &TableEdit, sink: &mut S) -> Result<()> {
        let dense = self.dense;
        dense.observer.at("the head");
        sink.norm(&dense.bare_norm()).map_err(CompressError::sink)?;
        let mut shifts = Vec::new();
        dense.rewrite(dense.head_table(), edit, |rows, shift| {
            shifts.extend(shift.into_iter().flatten());
            sink.rows(Table::Head, &rows).map_err(CompressError::sink)
        })?;
        if self.head_has_bias()? {
            let vocab_size = dense.decoder.vocab_size();
            let bias = dense.decoder.head_bias().map_err(CompressError::model)?;
            let bias = bias.unwrap_or_else(|| vec![0.0; vocab_size]);
            shifts.resize(vocab_size, 0.0);
            let sum: Vec<f32> = bias.iter().zip(shifts).map(|(a, b)| a + b).collect();
            sink.head_bias(&sum).map_err(CompressError::sink)?;
        }
        Ok(())
    }
}
