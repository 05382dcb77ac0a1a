//! One basis for the whole model: the statistics of the dense model, the basis and channels that a
//! split keeps, and the pass that cuts.

use slicegpt_calibrate::{Directions, Orientation, align};
use slicegpt_core::{Basis, Block, SublayerMut, TokenBatch};
use slicegpt_invariance::TableEdit;
use slicegpt_slice::{
    BlockChannels, KeptChannels, PairedPass, Profile, Refit, Settings, Split, Stages, cut_block,
    profile,
};

use crate::dense::{ContextOf, Dense};
use crate::error::{CompressError, Result};
use crate::{Dimensions, Intermediate, Shape, SharedCut, Sink, Tables};

/// A model, how it is cut, and its refit.
pub(crate) struct Shared<'a, D> {
    pub dense: &'a Dense<'a, D>,
    pub dimensions: &'a dyn Dimensions,
    pub cut: &'a SharedCut,
    pub refit: Option<Refit>,
}

/// Everything that follows from a split and the statistics, before anything is rewritten.
pub(crate) struct Frame {
    pub split: Split,
    /// The shape of the cut model.
    pub shape: Shape,
    pub basis: Basis,
    /// The weight of the last norm in the basis, for a head that is the embedding.
    pub gain: Vec<f64>,
    /// The channels that stay.
    pub kept: Kept,
    /// Whether norms of the cut model still subtract means: a stream of full width is not rotated.
    pub centers: bool,
}

/// The channels that stay.
pub(crate) enum Kept {
    /// These.
    Chosen(KeptChannels),
    /// This many in every group, which the pass that cuts will choose.
    Count(usize),
}

impl Kept {
    /// The channels that stay in block `index`.
    pub fn in_block<B: Block>(&self, index: usize, block: &B) -> BlockChannels {
        match self {
            Self::Chosen(kept) => kept.block(index).clone(),
            Self::Count(count) => BlockChannels::first(block, *count),
        }
    }
}

/// Runs the dense model on `batches`, once.
pub(crate) fn statistics<D: Tables>(
    dense: &Dense<'_, D>,
    batches: &[TokenBatch],
    settings: Settings,
) -> Result<Profile> {
    let signals = dense.signals(batches, &[]);
    dense.observer.begin("profiling", dense.sublayers() * batches.len());
    let mut found = dense.with_blocks(batches, |blocks| profile(signals, settings, blocks))?;
    dense.observer.end();
    // The head is a reader too.
    let (gain, _) = dense.norm_vectors();
    let device = dense.decoder.device();
    let table = dense.head_table();
    dense.each_rows(table, |rows| {
        found.readers.add_rows(scaled(rows, &gain), &device);
        Ok(())
    })?;
    if !found.readers.is_finite() {
        return Err(CompressError::HeadOverflow { table: dense.decoder.name(table) });
    }
    Ok(found)
}

impl<D: Tables> Shared<'_, D> {
    /// The frame of `split`: the directions and the channels that stay.
    pub fn frame(
        &self,
        profile: &Profile,
        directions: &Directions,
        split: Split,
        orientation: &mut Orientation,
    ) -> Result<Frame> {
        let basis = directions.basis(split.width, orientation);
        self.framed(split, &basis, Kept::Chosen(self.channels(profile, split)))
    }

    /// The frame of a split with a stream of full width, for a pass that chooses the channels. No
    /// statistics are needed.
    pub fn full_width(&self, split: Split) -> Result<Frame> {
        let width = self.dense.width();
        self.framed(split, &Basis::axes(width, width), Kept::Count(split.intermediate))
    }

    fn framed(&self, split: Split, basis: &Basis, kept: Kept) -> Result<Frame> {
        let SharedCut { tied, free, .. } = *self.cut;
        let (basis, gain) = if tied {
            align(basis, &self.dense.norm_vectors().0)?
        } else {
            (basis.clone(), Vec::new())
        };
        let intermediate = match &kept {
            Kept::Chosen(kept) if free.is_some() => {
                Intermediate::Each(kept.groups().map(<[usize]>::len).collect())
            }
            _ => Intermediate::Uniform(split.intermediate),
        };
        let shape = Shape::shared(self.dimensions, split.width, intermediate, tied);
        let centers = self.dense.norm.centers && split.width == self.dense.width();
        Ok(Frame { split, shape, basis, gain, kept, centers })
    }

    /// The channels that stay.
    pub fn channels(&self, profile: &Profile, split: Split) -> KeptChannels {
        match self.cut.free {
            Some(step) => {
                profile.allocate_channels(split.intermediate * profile.groups().count(), step)
            }
            None => profile.most_important(split.intermediate),
        }
    }

    /// Cuts the model to `frame`, refitting it on `batches`, and hands over every part of it. The
    /// result is where the time went, and [`PairedPass::held_out_ratio`].
    pub fn write<S: Sink<D::Block>>(
        &self,
        frame: &Frame,
        batches: &[TokenBatch],
        settings: Settings,
        sink: &mut S,
    ) -> Result<(Stages, Option<f64>)> {
        self.dense.rewrite_embeddings(&self.embedding_edit(frame), sink)?;
        let mut write = |index: usize, mut block: D::Block| {
            self.finish_norms(&mut block, frame);
            self.dense.write(sink, index, block)
        };
        // Without a refit nothing has to be run.
        let mut pass = if self.refit.is_some() {
            Some(self.run(frame, batches, &[], settings, write)?)
        } else {
            self.dense.observer.begin("slicing", self.dense.decoder.blocks());
            let columns = frame.basis.on(&self.dense.decoder.device());
            self.dense.with_blocks(batches, |blocks| {
                for (index, block) in blocks.enumerate() {
                    let block = block?;
                    let kept = frame.kept.in_block(index, block.get());
                    write(index, cut_block(block, &columns, &kept))?;
                    self.dense.step()?;
                }
                Result::Ok(())
            })?;
            self.dense.observer.end();
            None
        };
        let norm = self.dense.bare_norm();
        let here = pass.as_mut().map(|pass| pass.moments(&norm)).transpose()?;
        let head = self.head(frame, here)?;
        self.write_head(frame, &head, sink)?;
        Ok(pass.map_or_else(Default::default, |pass| (pass.stages(), pass.held_out_ratio())))
    }

    /// Cuts one block after the other in a [`PairedPass`], and passes each to `sink`.
    pub fn run(
        &self,
        frame: &Frame,
        batches: &[TokenBatch],
        held_out: &[TokenBatch],
        settings: Settings,
        mut sink: impl FnMut(usize, D::Block) -> Result<()>,
    ) -> Result<PairedPass<ContextOf<D>>> {
        let dense = self.dense;
        let passes = if self.refit.is_some() { 2 } else { 1 };
        let count = passes * (batches.len() + held_out.len());
        let signals = dense.signals(batches, held_out);
        dense.observer.begin("slicing", dense.sublayers() * count);
        let norm = dense.bare_norm();
        let basis = frame.basis.clone();
        let mut pass = PairedPass::begin(signals, settings, basis, &norm, self.refit)?;
        dense.with_blocks(batches, |blocks| {
            for (index, block) in blocks.enumerate() {
                let block = block?;
                let kept = frame.kept.in_block(index, block.get());
                sink(index, pass.block(block, index, &kept)?)?;
            }
            Result::Ok(())
        })?;
        dense.observer.end();
        Ok(pass)
    }

    /// How rows of the embedding are rewritten: centred if the norms of the cut model no longer
    /// subtract means.
    pub fn embedding_edit(&self, frame: &Frame) -> TableEdit {
        let centers = self.centers_rows(frame);
        TableEdit::writer(centers, &frame.basis, &self.dense.decoder.device())
    }

    /// Whether rows of the embedding are centred, because the norms of the cut model no longer
    /// subtract means.
    pub fn centers_rows(&self, frame: &Frame) -> bool {
        self.dense.norm.centers && !frame.centers
    }

    /// Gives a cut block the norms that the cut model has.
    fn finish_norms(&self, block: &mut D::Block, frame: &Frame) {
        for index in 0..block.sublayers() {
            let SublayerMut { norm, .. } = block.sublayer_mut(index);
            if frame.shape.rms_norms {
                *norm = norm.to_rms_norm(frame.split.width, &self.dense.decoder.device());
            }
            norm.centers |= frame.centers;
        }
    }
}

/// `rows diag(gain)`.
pub(crate) fn scaled(mut rows: Vec<f32>, gain: &[f64]) -> Vec<f32> {
    for row in rows.chunks_exact_mut(gain.len()) {
        row.iter_mut().zip(gain).for_each(|(x, g)| *x = (f64::from(*x) * g) as f32);
    }
    rows
}
