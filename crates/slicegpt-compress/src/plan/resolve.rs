//! [`Cut`]: a plan resolved for a decoder, and the checks that refuse a plan.

use slicegpt_core::Widths;
use slicegpt_slice::{Grid, Schedule, Split};

use super::{HeadTying, Method, MlpWidths, Plan, PlanError, Refit, Size, field};
use crate::{Dimensions, Intermediate, Shape};

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
    /// The split between stream and MLPs, or the candidates of one size, the widest stream first.
    pub splits: Vec<Split>,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// If MLP widths may differ from block to block: the number of channels they are multiples of.
    pub free: Option<usize>,
}

impl Cut {
    /// The shapes that the decoder may get: several if a split is still to be chosen. Free MLP
    /// widths are shown as if they were equal.
    pub fn shapes(&self, dense: &dyn Dimensions) -> Vec<Shape> {
        match self {
            Self::PerLayer(widths) => vec![Shape::per_layer(widths.clone())],
            Self::Shared(SharedCut { splits, tied, free }) => {
                let shape = |split: &Split| equal(dense, *split, *tied, free.is_some());
                splits.iter().map(shape).collect()
            }
        }
    }
}

/// The size may differ from the one asked for by this fraction of the parameters.
const SLACK: f64 = 0.005;

/// The fraction kept by default.
const KEEP: f64 = 0.75;

/// Widths are multiples of this by default.
const ROUND_TO: usize = 8;

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
        let widths = match self.size {
            Some(Size::Widths { hidden_size, intermediate_size }) => {
                [hidden_size.is_some(), intermediate_size.is_some()]
            }
            _ => [false; 2],
        };
        let ends = matches!(self.size, Some(Size::Sparsity { end: Some(_), .. }));
        let shared = [
            (field::HIDDEN_SIZE, None, widths[0]),
            (field::INTERMEDIATE_SIZE, None, widths[1]),
            (field::ALIGN, None, self.align.is_some()),
            (field::HEAD, Some("tied"), self.head == HeadTying::Tied),
            (field::MLP_WIDTHS, None, self.mlp_widths.is_some()),
            (field::REFIT, Some("held-out"), self.refit == Some(Refit::HeldOut)),
            (field::BASIS, None, self.ranking.is_some()),
            (field::SPLIT_SEARCH, None, self.split_search.is_some()),
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
    fn parameters(&self, dense: &dyn Dimensions) -> Result<Option<u64>, PlanError> {
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
    fn is_bound(&self) -> bool {
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
        let mut best: Option<(u64, Widths)> = None;
        for width in (step..=full).step_by(step) {
            let sparsity = 1.0 - width as f64 / full as f64;
            let widths = linear(sparsity, sparsity)?;
            let count = dense.parameters_of(&Shape::per_layer(widths.clone()));
            // Sizes above a hard limit only serve the error message, if nothing is below.
            let miss = |count: u64| (self.is_bound() && count > asked, count.abs_diff(asked));
            if best.as_ref().is_none_or(|(other, _)| miss(count) < miss(*other)) {
                best = Some((count, widths));
            }
        }
        let (count, widths) = best.ok_or(PlanError::WideStep)?;
        self.check_size(dense, asked, count)?;
        Ok(widths)
    }

    fn shared(&self, dense: &dyn Dimensions) -> Result<SharedCut, PlanError> {
        let tied = match self.head {
            HeadTying::Auto => dense.is_tied(),
            HeadTying::Tied if !dense.is_tied() => return Err(PlanError::NotTied),
            HeadTying::Tied => true,
            HeadTying::Untied => false,
        };
        let is_free = match self.mlp_widths {
            Some(widths) => widths == MlpWidths::Free,
            None => !dense.is_rms_only(),
        };
        let full = Split { width: dense.hidden_size(), intermediate: dense.widest_prunable() };
        let count = |split: Split| dense.parameters_of(&equal(dense, split, tied, is_free));
        let round_to = match self.align.or(self.round_to) {
            Some(0) => return Err(PlanError::Zero(field::ROUND_TO)),
            Some(step) => step,
            None => lcm(ROUND_TO, dense.width_multiple()),
        };
        let before = dense.dense_parameters();
        let multiple = self.align.unwrap_or_else(|| channel_step(full, before, count));
        let free = is_free.then_some(multiple);
        let one = |split: Split| Ok(SharedCut { splits: vec![split], tied, free });
        match self.size {
            Some(Size::Widths { hidden_size, intermediate_size }) => {
                let split = Split {
                    width: hidden_size.unwrap_or(full.width),
                    intermediate: intermediate_size.unwrap_or(full.intermediate),
                };
                check_width(field::HIDDEN_SIZE, split.width, full.width)?;
                check_width(field::INTERMEDIATE_SIZE, split.intermediate, full.intermediate)?;
                return one(split);
            }
            Some(Size::Sparsity { start, .. }) => {
                let schedule = Schedule::Linear { start, end: start, round_to, slice_head: true };
                return one(Split { width: schedule.widths(full.width, 1, 1)?.head(), ..full });
            }
            _ => {}
        }
        let default = (KEEP * before as f64).round() as u64;
        let asked = self.parameters(dense)?.unwrap_or(default);
        let slack = (SLACK * before as f64) as u64;
        let step = Split { width: round_to, intermediate: multiple };
        let grid = Grid { full: self.widest(full)?, step };
        let mut splits = grid.of_size(asked, slack, count);
        if splits.is_empty() {
            // Slightly above the size, within the slack.
            let nearest = grid.nearest(asked, count);
            self.check_size(dense, asked, count(nearest))?;
            splits.push(nearest);
        }
        Ok(SharedCut { splits, tied, free })
    }

    /// The widest split that is allowed: the dense one, or with `align` the largest multiples
    /// within it.
    fn widest(&self, full: Split) -> Result<Split, PlanError> {
        let Some(step) = self.align else { return Ok(full) };
        let Split { width, intermediate } = full;
        if step > width.min(intermediate) {
            return Err(PlanError::Align { step, width, intermediate });
        }
        Ok(Split { width: width / step * step, intermediate: intermediate / step * step })
    }

    /// Refuses a size that is too far from the one asked for.
    fn check_size(
        &self,
        dense: &dyn Dimensions,
        asked: u64,
        nearest: u64,
    ) -> Result<(), PlanError> {
        let before = dense.dense_parameters();
        let miss = asked.abs_diff(nearest) as f64 / before as f64;
        if miss <= SLACK && !(self.is_bound() && nearest > asked) {
            return Ok(());
        }
        let (tied, method) = (dense.is_tied(), self.method);
        Err(PlanError::Unreachable { asked, nearest, before, tied, method })
    }
}

fn check_width(field: &'static str, asked: usize, full: usize) -> Result<(), PlanError> {
    match asked {
        0 if full > 0 => Err(PlanError::Zero(field)),
        _ if asked > full => Err(PlanError::TooWide { field, asked, full }),
        _ => Ok(()),
    }
}

/// The shape of a split; with free MLP widths, as if they were equal.
fn equal(dense: &dyn Dimensions, split: Split, tied: bool, free: bool) -> Shape {
    let Split { width, intermediate } = split;
    let intermediate = if free {
        Intermediate::Each(vec![intermediate; dense.prunable_layers().len()])
    } else {
        Intermediate::Uniform(intermediate)
    };
    Shape::shared(dense, width, intermediate, tied)
}

/// The largest power of two, up to 64, such that one step of MLP width is at most a thousandth of
/// the model.
fn channel_step(full: Split, before: u64, count: impl Fn(Split) -> u64) -> usize {
    if full.intermediate < 2 {
        return 1;
    }
    let one = count(full) - count(Split { intermediate: full.intermediate - 1, ..full });
    let steps = std::iter::successors(Some(64), |step| Some(step / 2));
    steps
        .take_while(|step| *step > 1)
        .find(|step| step * 1000 * one as usize <= before as usize)
        .unwrap_or(1)
}

fn lcm(a: usize, b: usize) -> usize {
    let gcd = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    a / gcd(a, b) * b
}
