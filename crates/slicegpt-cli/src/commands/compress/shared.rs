//! One basis for the whole model: what it is cut to, refitted, and how far that is from the dense model.

use anyhow::{Context, Result, bail};
use slicegpt_checkpoint::{Checkpoint, Writer};
use slicegpt_core::{Basis, Block, Decoder, Head, Norm, SublayerMut, TokenBatch};
use slicegpt_eval::{Divergence, DivergenceSum};
use slicegpt_invariance::{TableEdit, center, fuse};
use slicegpt_models::{DecoderBlock, DecoderSpec, Model};
use slicegpt_slice::{
    Batch, BlockChannels, Directions, KeptChannels, Moments, Orientation, PairedPass, Profile,
    ReaderFit, Ridge, Settings, Split, Stages, TiedHead, align, cut_block, profile,
};

use super::failure::Failure;
use super::tables::{each, rewrite, write_embeddings};
use crate::device::Target;
use crate::progress::{self, Progress};

/// A model, how it is cut, and where.
pub struct Shared<'a> {
    /// The dense model.
    pub model: &'a Model<&'a Checkpoint>,
    /// Where it is computed.
    pub target: &'a Target,
    /// How what is cut is refitted, if it is.
    pub ridge: Option<Ridge>,
    /// Whether the head stays the embedding.
    pub tied: bool,
    /// Whether MLP widths differ from block to block, and by how many channels at a time.
    pub free: Option<usize>,
}

/// Everything a split decides before anything is rewritten.
pub struct Frame {
    split: Split,
    /// What the model becomes.
    pub sliced: DecoderSpec,
    basis: Basis,
    /// The weight of the last norm in the basis, for a head that is the embedding.
    gain: Vec<f64>,
    /// The channels that stay.
    kept: KeptChannels,
}

/// How the head is rewritten.
struct HeadEdit {
    /// What becomes of a row of the dense table; nothing where the head is the embedding.
    table: Option<TableEdit>,
    /// The weight of the last norm, where it keeps one.
    weight: Option<Vec<f64>>,
    /// What the bias of the logit of a row gains, if the head has one: told by the dense row.
    shift: Option<TableEdit>,
}

impl Shared<'_> {
    /// Runs the dense model on `batches`, once.
    pub fn profile(&self, batches: &[TokenBatch], settings: Settings) -> Result<Profile> {
        let spec = self.model.spec();
        let progress = Progress::start("surveying", spec.layers * spec.depth() * batches.len());
        let signals = self.signals(batches, &[])?;
        let blocks = self.blocks(&progress, batches);
        let found = profile(signals, settings, blocks, &mut || progress.tick());
        progress.finish();
        let mut found = found.map_err(Failure::of)?;
        // The head is a reader too.
        let (gain, _) = self.norm()?;
        each(self.model, &self.model.head_table(), |rows| {
            found.readers.add_rows(scaled(rows, &gain), self.model.device());
            Ok(())
        })?;
        if found.readers.lower().is_err() {
            let (name, _) = self.model.head_table();
            bail!("tensor `{name}`: its values times those of the last norm are beyond float32");
        }
        Ok(found)
    }

    /// What `split` means: in which directions, and with which channels.
    pub fn frame(
        &self,
        profile: &Profile,
        directions: &Directions,
        split: Split,
        orientation: &mut Orientation,
    ) -> Result<Frame> {
        let spec = self.model.spec();
        let basis = directions.basis(split.width, orientation);
        let (basis, gain) = match self.tied {
            true => align(&basis, &self.norm()?.0)?,
            false => (basis, Vec::new()),
        };
        let kept = self.channels(profile, split);
        let Split { width, intermediate } = split;
        let sliced = match self.free {
            None => spec.shared(width, intermediate, self.tied),
            Some(_) => {
                let widths = kept.blocks().map(BlockChannels::count);
                spec.shared_freely(width, widths.collect(), self.tied)
            }
        };
        Ok(Frame { split, sliced, basis, gain, kept })
    }

    /// The channels that stay.
    pub fn channels(&self, profile: &Profile, split: Split) -> KeptChannels {
        match self.free {
            Some(step) => {
                profile.allocate_channels(split.intermediate * profile.groups().count(), step)
            }
            None => profile.most_important(split.intermediate),
        }
    }

    /// Cuts the model to `frame`, refitting it on `batches`, and writes every tensor of it.
    pub fn write(
        &self,
        frame: &Frame,
        batches: &[TokenBatch],
        settings: Settings,
        writer: &mut Writer,
    ) -> Result<Stages> {
        let spec = self.model.spec();
        let Frame { sliced, .. } = frame;
        write_embeddings(self.model, sliced, &self.embedding_edit(frame), writer)?;
        let mut write = |index: usize, mut block: DecoderBlock| {
            self.finish_norms(&mut block, frame);
            for entry in sliced.block_entries(index) {
                writer.write(&entry.name, &block.tensor(&entry))?;
            }
            Ok(())
        };
        let walk = match self.ridge {
            Some(_) => Some(self.walk(frame, batches, &[], settings, write)?),
            // Without a refit nothing need be run.
            None => {
                let progress = Progress::start("slicing", spec.layers);
                let columns = frame.basis.on(self.model.device());
                for (index, block) in self.blocks(&progress, batches).enumerate() {
                    let block = block.map_err(Failure::of)?;
                    write(index, cut_block(block, &columns, frame.kept.block(index)))?;
                    let _ = progress.tick();
                    progress::check()?;
                }
                progress.finish();
                None
            }
        };
        let head = self.head(frame, walk.as_ref().map(PairedPass::moments))?;
        if let [weight] = sliced.norm_entries().as_slice() {
            let bare = self.bare_norm()?;
            let stock = match sliced.slicing.is_none() {
                true => bare.rms_weight(frame.split.width),
                false => 1.0,
            };
            let values =
                head.weight.as_deref().map_or(vec![1.0; frame.split.width], <[f64]>::to_vec);
            let values: Vec<f32> = values.into_iter().map(|x| (x * stock) as f32).collect();
            writer.write(&weight.name, &values)?;
        }
        let [name, bias] = ["weight", "bias"].map(|kind| format!("{}.{kind}", spec.names.head));
        self.head_rows(&head, |rows| match rows {
            Some(rows) => Ok(writer.write(&name, &rows)?),
            None => Ok(()),
        })
        .and_then(|shift| match sliced.head_bias {
            true => Ok(writer.write(&bias, &shift)?),
            false => Ok(()),
        })?;
        Ok(walk.map_or_else(Stages::default, |walk| walk.stages()))
    }

    /// How far the model cut to `frame` and refitted on `batches` is from the dense one on
    /// `held_out`, which nothing is fitted to; nothing if its logits are not finite.
    pub fn measure(
        &self,
        frame: &Frame,
        batches: &[TokenBatch],
        held_out: &[TokenBatch],
        settings: Settings,
    ) -> Result<Option<Divergence>> {
        let mut walk = self.walk(frame, batches, held_out, settings, |_, _| Ok(()))?;
        let head = self.head(frame, Some(walk.moments()))?;
        let device = self.model.device();
        let width = frame.split.width;
        let mut table = Vec::new();
        let embedding = self.embedding_edit(frame);
        let hidden_size = self.model.spec().hidden_size;
        let shift = self.head_rows(&head, |rows| {
            table.extend(rows.into_iter().flatten());
            Ok(())
        })?;
        if head.table.is_none() {
            each(self.model, &self.model.head_table(), |rows| {
                table.extend(embedding.apply(rows, hidden_size).0);
                Ok(())
            })?;
        }
        let vocab_size = self.model.vocab_size();
        let mut norm = self.bare_norm()?;
        if let Some(weight) = &head.weight {
            norm = norm.with_weight(weight, device);
        }
        let bias = frame.sliced.head_bias.then_some(shift);
        let sliced = Head::from_rows(norm, table, bias, [vocab_size, width], device);
        let dense = self.model.head()?;
        let mut sum = DivergenceSum::default();
        for (number, batch) in held_out.iter().enumerate() {
            let [x, z] = walk.take(batches.len() + number)?;
            if !sum.add(batch, [(&dense, x), (&sliced, z)], vocab_size) {
                return Ok(None);
            }
        }
        sum.finish().map(Some).context("no token of the calibration text is held out")
    }

    /// The dense stream behind the embedding; of those held out, nothing counts.
    fn signals<'a>(
        &'a self,
        batches: &'a [TokenBatch],
        held_out: &'a [TokenBatch],
    ) -> Result<impl Iterator<Item = Result<Batch<slicegpt_models::Context>, Failure>> + 'a> {
        let norm = self.model.norm()?;
        let [size, seqlen] = batches.first().map_or([0, 0], TokenBatch::shape);
        self.target.doing(format!("embedding, {size} x {seqlen} tokens at a time"));
        let batch = move |batch: &TokenBatch, counts: bool| {
            Ok(Batch {
                signal: center(&norm, self.model.embed(batch).map_err(Failure::new)?),
                context: self.model.context(batch),
                keep: match counts {
                    true => batch.mask().map(<[bool]>::to_vec),
                    false => Some(vec![false; batch.ids().len()]),
                },
            })
        };
        let counted = batches.iter().map(|batch| (batch, true));
        let all = counted.chain(held_out.iter().map(|batch| (batch, false)));
        Ok(all.map(move |(tokens, counts)| batch(tokens, counts)))
    }

    /// The dense blocks, fused, as they are asked for.
    fn blocks<'a>(
        &'a self,
        progress: &'a Progress,
        batches: &[TokenBatch],
    ) -> impl Iterator<Item = Result<slicegpt_core::Fused<DecoderBlock>, Failure>> + 'a {
        let layers = self.model.spec().layers;
        let [size, seqlen] = batches.first().map_or([0, 0], TokenBatch::shape);
        (0..layers).map(move |index| {
            progress.message(format!("block {}/{layers}", index + 1));
            self.target.doing(format!("block {index}, {size} x {seqlen} tokens at a time"));
            self.model.block(index).map(fuse).map_err(Failure::new)
        })
    }

    /// Cuts block after block, the streams of both models side by side.
    fn walk(
        &self,
        frame: &Frame,
        batches: &[TokenBatch],
        held_out: &[TokenBatch],
        settings: Settings,
        mut sink: impl FnMut(usize, DecoderBlock) -> Result<()>,
    ) -> Result<PairedPass<slicegpt_models::Context>> {
        let spec = self.model.spec();
        let passes = if self.ridge.is_some() { 2 } else { 1 };
        let count = passes * (batches.len() + held_out.len());
        let progress = Progress::start("slicing", spec.layers * spec.depth() * count);
        let signals = self.signals(batches, held_out)?;
        let norm = self.bare_norm()?;
        let basis = frame.basis.clone();
        let mut walk =
            PairedPass::begin(signals, settings, basis, &norm, self.ridge).map_err(Failure::of)?;
        for (index, block) in self.blocks(&progress, batches).enumerate() {
            let block = block.map_err(Failure::of)?;
            let cut = walk.block(block, index, frame.kept.block(index), &mut || progress.tick());
            sink(index, cut.map_err(|error| Failure::of(error.into()))?)?;
        }
        progress.finish();
        Ok(walk)
    }

    /// The head that fits the basis, from what is read before it.
    fn head(&self, frame: &Frame, here: Option<&Moments>) -> Result<HeadEdit> {
        self.target.doing("the head".into());
        let norm = self.model.norm()?;
        let device = self.model.device();
        let refit = self.ridge.as_ref().zip(here);
        if self.tied {
            let (gain, bias) = self.norm()?;
            let mut head = TiedHead::plain(frame.gain.clone(), bias);
            if let Some((ridge, here)) = refit {
                let table = self.table_moments(frame, &gain)?;
                let centers = self.centers_rows(frame);
                head = head.refit(ridge, here, &table, &frame.basis, &gain, centers)?;
            }
            let TiedHead { weight, shift } = head;
            let shift = shift.map(|shift| TableEdit::product(shift, device));
            return Ok(HeadEdit { table: None, weight: Some(weight), shift });
        }
        let table = match refit {
            None => TableEdit::reader(&norm, &frame.basis, device),
            Some((ridge, here)) => {
                let fit = ReaderFit::new(ridge, here, &frame.basis, frame.sliced.head_bias)?;
                TableEdit::refitted(&norm, &fit.matrix, fit.shift.as_deref(), device)
            }
        };
        Ok(HeadEdit { table: Some(table), weight: None, shift: None })
    }

    /// Rewrites the head, a few rows at a time; nothing in place of rows where it is the embedding.
    /// Gives its bias, zero where it has none.
    fn head_rows(
        &self,
        head: &HeadEdit,
        mut sink: impl FnMut(Option<Vec<f32>>) -> Result<()>,
    ) -> Result<Vec<f32>> {
        let vocab_size = self.model.vocab_size();
        let mut bias = Vec::with_capacity(vocab_size);
        if let Some(edit) = head.table.as_ref().or(head.shift.as_ref()) {
            rewrite(self.model, &self.model.head_table(), edit, |rows, shift| {
                bias.extend(shift.into_iter().flatten());
                sink(head.table.is_some().then_some(rows))
            })?;
        }
        bias.resize(vocab_size, 0.0);
        if let Some(dense) = self.model.head_bias()? {
            bias.iter_mut().zip(dense).for_each(|(sum, dense)| *sum += dense);
        }
        Ok(bias)
    }

    /// Moments of the rows of the cut embedding on those of the dense head.
    fn table_moments(&self, frame: &Frame, gain: &[f64]) -> Result<Moments> {
        let width = self.model.spec().hidden_size;
        let rank = frame.split.width;
        let mut moments = Moments::new(rank, width);
        let embedding = self.embedding_edit(frame);
        each(self.model, &self.model.head_table(), |rows| {
            let read = scaled(rows.clone(), gain);
            let (cut, _) = embedding.apply(rows, width);
            moments.add_rows(cut, read, self.model.device());
            Ok(())
        })?;
        Ok(moments)
    }

    fn embedding_edit(&self, frame: &Frame) -> TableEdit {
        TableEdit::writer(self.centers_rows(frame), &frame.basis, self.model.device())
    }

    /// Whether rows of the embedding are centred, because norms no longer do it.
    fn centers_rows(&self, frame: &Frame) -> bool {
        self.model.spec().norm.centers && !frame.sliced.norm.centers
    }

    /// The weight and the bias of the last norm.
    fn norm(&self) -> Result<(Vec<f64>, Option<Vec<f64>>)> {
        let norm = self.model.norm()?;
        let [weight, bias] = norm.vectors();
        Ok((weight.unwrap_or_else(|| vec![1.0; norm.hidden_size]), bias))
    }

    /// The norm of the fused model.
    fn bare_norm(&self) -> Result<Norm> {
        let Norm { hidden_size, eps, .. } = self.model.norm()?;
        Ok(Norm::bare(hidden_size, eps))
    }

    /// Gives a cut block the norms its checkpoint has.
    fn finish_norms(&self, block: &mut DecoderBlock, frame: &Frame) {
        if frame.sliced.slicing.is_some() {
            return;
        }
        for index in 0..block.sublayers() {
            let SublayerMut { norm, .. } = block.sublayer_mut(index);
            *norm = norm.to_rms_norm(frame.split.width, self.model.device());
        }
    }
}

/// `rows diag(gain)`.
fn scaled(mut rows: Vec<f32>, gain: &[f64]) -> Vec<f32> {
    for row in rows.chunks_exact_mut(gain.len()) {
        row.iter_mut().zip(gain).for_each(|(x, g)| *x = (f64::from(*x) * g) as f32);
    }
    rows
}
