//! One basis for the whole model: the statistics of the dense model, the basis, the blocks and the
//! units that a split keeps, and the pass that cuts.

use slicegpt_calibrate::{Directions, Orientation, align};
use slicegpt_core::{Axis, Basis, Block, SublayerMut, TokenBatch};
use slicegpt_invariance::TableEdit;
use slicegpt_slice::{
    BlockUnits, KeptUnits, PairedPass, Profile, Refit, Settings, Stages, allocate_units, cut_block,
    most_important, profile,
};

use crate::candidates::Candidate;
use crate::dense::{ContextOf, Dense};
use crate::error::{CompressError, Result};
use crate::{Dimensions, Intermediate, Shape, SharedCut, Sink, Split, Tables};

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
    /// The units that stay.
    pub kept: Kept,
    /// Whether norms of the cut model still subtract means: a stream of full width is not rotated.
    pub centers: bool,
}

/// The units that stay.
pub(crate) enum Kept {
    /// These.
    Chosen(KeptUnits),
    /// As many in every group as the split says, which the pass that cuts will choose.
    Counted,
}

impl Frame {
    /// The units that stay in block `index` of the dense model.
    fn units<B: Block>(&self, index: usize, block: &B) -> BlockUnits {
        match &self.kept {
            Kept::Chosen(kept) => kept.block(index).clone(),
            Kept::Counted => BlockUnits::first(block, |axis| self.split.units(axis)),
        }
    }

    /// The number of removed blocks that follow block `index` of the dense model.
    fn removed_after(&self, index: usize) -> usize {
        (index + 1..).take_while(|next| self.shape.removed.contains(next)).count()
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
    /// The frame of a candidate: the directions and the units that stay.
    pub fn frame(
        &self,
        profile: &Profile,
        directions: &Directions,
        candidate: &Candidate,
        orientation: &mut Orientation,
    ) -> Result<Frame> {
        let basis = directions.basis(candidate.split.width, orientation);
        let kept = self.units(profile, candidate);
        self.framed(candidate, &basis, Kept::Chosen(kept))
    }

    /// The frame of a candidate with a stream of full width, for a pass that chooses the units. No
    /// statistics are needed.
    pub fn counted(&self, candidate: &Candidate) -> Result<Frame> {
        let width = self.dense.width();
        self.framed(candidate, &Basis::axes(width, width), Kept::Counted)
    }

    fn framed(&self, candidate: &Candidate, basis: &Basis, kept: Kept) -> Result<Frame> {
        let Candidate { split, ref removed } = *candidate;
        let SharedCut { tied, free, .. } = *self.cut;
        let (basis, gain) = if tied {
            align(basis, &self.dense.norm_vectors().0)?
        } else {
            (basis.clone(), Vec::new())
        };
        let intermediate = match &kept {
            Kept::Chosen(kept) if free.is_some() => {
                let groups = self.dimensions.prunable_layers().into_iter().zip(kept.groups());
                let mlps = groups.filter(|(layer, _)| {
                    layer.axis == Axis::Mlp && !removed.contains(&self.block_of(layer.sublayer))
                });
                Intermediate::Each(mlps.map(|(_, kept)| kept.len()).collect())
            }
            _ => Intermediate::Uniform(split.intermediate),
        };
        let shape = Shape::shared(self.dimensions, split, removed.clone(), intermediate, tied);
        let centers = self.dense.norm.centers && split.width == self.dense.width();
        Ok(Frame { split, shape, basis, gain, kept, centers })
    }

    /// The units that stay: the most important ones, in every group or, on MLPs whose widths may
    /// differ, in all groups of the blocks that stay together.
    fn units(&self, profile: &Profile, Candidate { split, removed }: &Candidate) -> KeptUnits {
        let layers = self.dimensions.prunable_layers();
        let stays = |number: usize| !removed.contains(&self.block_of(layers[number].sublayer));
        let mut kept: Vec<Vec<usize>> = profile
            .groups()
            .map(|(axis, group)| most_important(group, split.units(axis).min(group.len())))
            .collect();
        if let Some(step) = self.cut.free {
            let groups: Vec<(usize, &[f64])> = profile
                .groups()
                .enumerate()
                .filter(|(number, (axis, _))| *axis == Axis::Mlp && stays(*number))
                .map(|(number, (_, group))| (number, group))
                .collect();
            let total = split.intermediate * groups.len();
            let all: Vec<&[f64]> = groups.iter().map(|(_, group)| *group).collect();
            let allocated = allocate_units(&all, total, step);
            for ((number, _), units) in groups.into_iter().zip(allocated) {
                kept[number] = units;
            }
        }
        profile.arrange(kept)
    }

    /// The block of a sublayer that is counted through all blocks.
    fn block_of(&self, sublayer: usize) -> usize {
        sublayer / self.dimensions.sublayers_per_block()
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
        let mut written = 0;
        let mut write = |mut block: D::Block| {
            self.finish_norms(&mut block, frame);
            written += 1;
            self.dense.write(sink, written - 1, block)
        };
        // Without a refit nothing has to be run.
        let mut pass = if self.refit.is_some() {
            Some(self.run(frame, batches, &[], settings, write)?)
        } else {
            self.cut_only(frame, batches, &mut write)?;
            None
        };
        let norm = self.dense.bare_norm();
        let here = pass.as_mut().map(|pass| pass.moments(&norm)).transpose()?;
        let head = self.head(frame, here)?;
        self.write_head(frame, &head, sink)?;
        Ok(pass.map_or_else(Default::default, |pass| (pass.stages(), pass.held_out_ratio())))
    }

    /// Cuts one block after the other without running it, and passes each to `sink`.
    fn cut_only(
        &self,
        frame: &Frame,
        batches: &[TokenBatch],
        sink: &mut impl FnMut(D::Block) -> Result<()>,
    ) -> Result<()> {
        self.dense.observer.begin("slicing", self.dense.decoder.blocks());
        let columns = frame.basis.on(&self.dense.decoder.device());
        self.dense.with_blocks(batches, |blocks| {
            for (index, block) in blocks.enumerate() {
                let block = block?;
                if !frame.shape.removed.contains(&index) {
                    let kept = frame.units(index, block.get());
                    sink(cut_block(block, &columns, &kept))?;
                }
                self.dense.step()?;
            }
            Result::Ok(())
        })?;
        self.dense.observer.end();
        Ok(())
    }

    /// Cuts one block after the other in a [`PairedPass`], and passes each to `sink`.
    pub fn run(
        &self,
        frame: &Frame,
        batches: &[TokenBatch],
        held_out: &[TokenBatch],
        settings: Settings,
        mut sink: impl FnMut(D::Block) -> Result<()>,
    ) -> Result<PairedPass<ContextOf<D>>> {
        let dense = self.dense;
        let passes = if self.refit.is_some() { 2 } else { 1 };
        let removed = &frame.shape.removed;
        let per_block = dense.decoder.sublayers_per_block();
        // A block that stands for removed ones runs its last sublayer once more.
        let spans = removed.iter().filter(|block| !removed.contains(&(**block - 1))).count();
        let kept = (dense.decoder.blocks() - removed.len()) * per_block;
        let steps = passes * kept + removed.len() * per_block + spans;
        let signals = dense.signals(batches, held_out);
        dense.observer.begin("slicing", steps * (batches.len() + held_out.len()));
        let norm = dense.bare_norm();
        let basis = frame.basis.clone();
        let mut pass = PairedPass::begin(signals, settings, basis, &norm, self.refit)?;
        dense.with_blocks(batches, |blocks| {
            let mut index = 0;
            while let Some(block) = blocks.next() {
                let block = block?;
                let kept = frame.units(index, block.get());
                let removed = frame.removed_after(index);
                let span = (&mut *blocks).take(removed);
                sink(pass.block_for(block, index, &kept, span)?)?;
                index += 1 + removed;
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
