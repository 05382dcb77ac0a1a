//! [`Cut`]: a plan resolved for a decoder, and the checks that refuse a plan.

use slicegpt_core::Widths;
use slicegpt_slice::Schedule;

use super::split::first;
use super::{HeadTying, Method, Plan, PlanError, Refit, Size, Split, field};
use crate::{Dimensions, Shape};

/// What a plan means for a decoder.
#[derive(Clone, Debug, PartialEq)]
pub enum Cut {
    /// A width at every cut, with a basis for each.
    PerLayer(Widths),
    /// One basis.
    Shared(SharedCut),
}

/// What a plan with one basis means for a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedCut {
    /// The split, or the candidates of one size: those with the most layers first, of these the
    /// ones with the most heads, and of these the ones with the widest stream.
    pub splits: Vec<Split>,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// If MLP widths may differ from block to block: the number of channels they are multiples of.
    pub free: Option<usize>,
}

impl Cut {
    /// The shapes that the decoder may get: several if a split is still to be chosen. Free MLP
    /// widths are shown as if they were equal, and blocks to be removed as if they were the last.
    pub fn shapes(&self, dense: &dyn Dimensions) -> Vec<Shape> {
        match self {
            Self::PerLayer(widths) => vec![Shape::per_layer(widths.clone())],
            Self::Shared(SharedCut { splits, tied, free }) => {
                let shape = |split: &Split| Shape::of_split(dense, *split, *tied, free.is_some());
                splits.iter().map(shape).collect()
            }
        }
    }
}

/// The size may differ from the one asked for by this fraction of the parameters.
pub(super) const SLACK: f64 = 0.005;

/// The fraction kept by default.
pub(super) const KEEP: f64 = 0.75;

/// Widths are multiples of this by default.
pub(super) const ROUND_TO: usize = 8;

impl Plan {
    /// What the plan means for a decoder.
    ///
    /// # Errors
    ///
    /// If the plan contradicts itself or the decoder.
    pub fn resolve(&self, dense: &dyn Dimensions) -> Result<Cut, PlanError> {
        self.refuse_misfits()?;
        match self.method {
            Method::PerLayer => self.per_layer(dense).map(Cut::PerLayer),
            Method::Shared => self.shared(dense).map(Cut::Shared),
        }
    }

    /// Refuses fields that do not apply to the method.
    fn refuse_misfits(&self) -> Result<(), PlanError> {
        let [layers, hidden_size, intermediate_size, kv_heads] =
            self.fixed.fields().map(|(field, size)| (field, None, size.is_some()));
        let ends = matches!(self.size, Some(Size::Sparsity { end: Some(_), .. }));
        let shared = [
            layers,
            hidden_size,
            intermediate_size,
            kv_heads,
            (field::AXES, None, self.axes.is_some()),
            (field::ALIGN, None, self.align.is_some()),
            (field::HEAD, Some("tied"), self.head == HeadTying::Tied),
            (field::MLP_WIDTHS, None, self.mlp_widths.is_some()),
            (field::REFIT, Some("held-out"), self.refit == Some(Refit::HeldOut)),
            (field::BASIS, None, self.ranking.is_some()),
            (field::SEARCH_BUDGET, None, self.search_budget.is_some()),
        ];
        let per_layer = [
            (field::SPARSITY_END, None, ends),
            (field::PLAN, None, matches!(self.size, Some(Size::PerCut(_)))),
            (field::SLICE_HEAD, None, self.slice_head),
        ];
        let (misfits, needs) = match self.method {
            Method::PerLayer => (shared.as_slice(), Method::Shared),
            Method::Shared => (per_layer.as_slice(), Method::PerLayer),
        };
        match misfits.iter().find(|(_, _, given)| *given) {
            Some((field, value, _)) => Err(PlanError::Method { field, value: *value, needs }),
            None => Ok(()),
        }
    }

    /// The number of parameters to keep, if the plan asks for one.
    pub(super) fn parameters(&self, dense: &dyn Dimensions) -> Result<Option<u64>, PlanError> {
        let before = dense.dense_parameters();
        let asked = match self.size {
            Some(Size::KeepParams(keep)) if !(keep > 0.0 && keep <= 1.0) => {
                return Err(PlanError::KeepParams(keep));
            }
            Some(Size::KeepParams(keep)) => (keep * before as f64).round() as u64,
            Some(Size::TargetParams(params)) => params,
            Some(Size::TargetBytes { bytes, per_parameter }) => bytes / per_parameter,
            _ => return Ok(None),
        };
        if asked > before {
            return Err(PlanError::TooMany { asked, before });
        }
        Ok(Some(asked))
    }

    /// Whether the size is a hard limit. A fraction to keep is met as nearly as possible.
    pub(super) fn is_bound(&self) -> bool {
        matches!(self.size, Some(Size::TargetParams(_) | Size::TargetBytes { .. }))
    }

    fn per_layer(&self, dense: &dyn Dimensions) -> Result<Widths, PlanError> {
        let full = dense.hidden_size();
        let widths =
            |schedule: Schedule| schedule.widths(full, dense.blocks(), dense.sublayers_per_block());
        let round_to = self.round_to.unwrap_or(ROUND_TO);
        let linear = |start: f64, end: f64| {
            let slice_head = self.slice_head;
            widths(Schedule::Linear { start, end, round_to, slice_head })
        };
        let asked = match &self.size {
            Some(Size::PerCut(list)) => return Ok(widths(Schedule::Widths(list.clone()))?),
            Some(Size::Sparsity { start, end }) => {
                return Ok(linear(*start, end.unwrap_or(*start))?);
            }
            _ => self.parameters(dense)?,
        };
        let Some(asked) = asked else { return Ok(linear(1.0 - KEEP, 1.0 - KEEP)?) };
        let step = round_to.max(1);
        let of = |multiple: usize| -> Result<(u64, Widths), PlanError> {
            let sparsity = 1.0 - (multiple * step) as f64 / full as f64;
            let widths = linear(sparsity, sparsity)?;
            Ok((dense.parameters_of(&Shape::per_layer(widths.clone())), widths))
        };
        let most = full / step;
        if most == 0 {
            return Err(PlanError::WideStep);
        }
        // Sizes grow with the width: the first one that is not too small, or the one before it.
        let is_enough = |multiple: usize| of(multiple).is_ok_and(|(count, _)| count >= asked);
        let above = first(1, most, is_enough);
        // Sizes above a hard limit only serve the error message, if nothing is below.
        let miss = |count: u64| (self.is_bound() && count > asked, count.abs_diff(asked));
        let (mut count, mut widths) = of(above)?;
        if above > 1 {
            let below = of(above - 1)?;
            if miss(below.0) <= miss(count) {
                (count, widths) = below;
            }
        }
        self.check_size(dense, asked, count)?;
        Ok(widths)
    }

    /// Refuses a size that is too far from the one asked for.
    pub(super) fn check_size(
        &self,
        dense: &dyn Dimensions,
        asked: u64,
        nearest: u64,
    ) -> Result<(), PlanError> {
        if self.is_bound() && nearest <= asked {
            // At most so many were asked for.
            return Ok(());
        }
        let before = dense.dense_parameters();
        let miss = asked.abs_diff(nearest) as f64 / before as f64;
        if miss <= SLACK && !(self.is_bound() && nearest > asked) {
            return Ok(());
        }
        let (tied, method) = (dense.is_tied(), self.method);
        let constrained = self.axes.is_some() || !self.fixed.is_empty();
        Err(PlanError::Unreachable { asked, nearest, before, tied, method, constrained })
    }
}
