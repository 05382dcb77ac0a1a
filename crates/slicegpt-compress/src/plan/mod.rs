//! [`Plan`]: what to cut and how, as a user specifies it; resolved to a [`Cut`] for a decoder.

mod axes;
mod error;
mod resolve;
mod shared;
mod split;

pub use axes::{FixedSizes, FreeAxes};
pub use error::{PlanError, field};
pub use resolve::{Cut, SharedCut};
use slicegpt_slice::{Orientation, Ridge};
pub use split::Split;

/// What to cut and how. The default keeps 75 % of the parameters in one basis, refitted.
///
/// Fields that do not apply to the method must be left at their defaults, else [`Plan::resolve`]
/// returns an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// How the directions to keep are found.
    pub method: Method,
    /// How much to keep. `None`: 75 % of the parameters, or what [`Plan::fixed`] says if it fixes
    /// anything; with [`Method::PerLayer`] 75 % of the width of the stream.
    pub size: Option<Size>,
    /// Axes whose size is given; with one basis only. Together with a [`Plan::size`] in parameters
    /// or bytes the other axes are searched, without one they stay as they are.
    pub fixed: FixedSizes,
    /// The axes that a search may cut to reach the size; with one basis only. `None`: all that the
    /// model has and [`Plan::fixed`] does not fix.
    pub axes: Option<FreeAxes>,
    /// The width of the stream is a multiple of this. `None`: 8, or with one basis the least common
    /// multiple of 8 and the multiple that the family requires.
    pub round_to: Option<usize>,
    /// The widths of the stream and of the MLPs are multiples of this; with one basis only, and
    /// instead of `round_to`. 256 for the K-quants of llama.cpp.
    pub align: Option<usize>,
    /// Whether to cut the stream at the head too. With a basis per cut only; with one basis it is
    /// always cut there.
    pub slice_head: bool,
    /// Whether all MLPs become equally wide; with one basis only. `None`: uniform for models that
    /// are still of their family if all widths are equal, free for the others.
    pub mlp_widths: Option<MlpWidths>,
    /// Whether the head is the embedding.
    pub head: HeadTying,
    /// The axes inside the kept subspace. No effect with a tied head, which determines them.
    pub orientation: Axes,
    /// Seed of [`Axes::Random`].
    pub seed: u64,
    /// Whether linears are fitted to the dense model after the cut. `None`: with one basis yes,
    /// with a basis per cut no.
    pub refit: Option<Refit>,
    /// Which directions come first; with one basis only.
    pub ranking: Option<Ranking>,
    /// How long the search for the best split may take; with one basis only. `None`: without a
    /// limit for models below 1 B parameters, else [`SearchBudget::DEFAULT`].
    pub search_budget: Option<SearchBudget>,
    /// Whether to compute spectra even at cuts that keep the full width, at the cost of some time.
    pub all_spectra: bool,
}

/// How the directions to keep are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// One basis for the whole model, no shortcut matrices: Llama and its relatives stay models of
    /// their family.
    #[default]
    Shared,
    /// One basis per cut, with shortcut matrices between them: the method of the paper.
    PerLayer,
}

impl Method {
    /// Its name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::PerLayer => "per-layer",
        }
    }
}

/// How much to keep.
#[derive(Clone, Debug, PartialEq)]
pub enum Size {
    /// This fraction of the parameters of the dense model.
    KeepParams(f64),
    /// At most this many parameters.
    TargetParams(u64),
    /// At most this many bytes of weights.
    TargetBytes {
        /// The bytes.
        bytes: u64,
        /// Bytes of one parameter.
        per_parameter: u64,
    },
    /// Cut a fraction of the width of the stream and nothing else: the nominal sparsity of the
    /// paper.
    Sparsity {
        /// The fraction to cut at the first block, in `[0, 1)`.
        start: f64,
        /// The fraction to cut at the last block; linear in between. `None`: as at the first. With
        /// a basis per cut only.
        end: Option<f64>,
    },
    /// A width per cut. With a basis per cut only.
    PerCut(Vec<usize>),
}

/// Widths of the MLPs of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MlpWidths {
    /// All equal.
    Uniform,
    /// By the importance of their channels.
    Free,
}

/// Whether the head is the embedding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeadTying {
    /// As in the dense model.
    #[default]
    Auto,
    /// It stays the embedding.
    Tied,
    /// It gets a separate matrix.
    Untied,
}

/// The axes inside the kept subspace. The function of the model is the same with all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Axes {
    /// Along the eigenvectors.
    #[default]
    Pca,
    /// Along random directions: magnitudes are spread, for half precision and quantisation.
    Random,
}

/// Whether linears are fitted to the dense model after the cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refit {
    /// By regressions whose strength held-out calibration tokens decide; with one basis only.
    HeldOut,
    /// By ridge regression.
    Ridge(Ridge),
    /// Not at all.
    None,
}

/// Which directions of the stream come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ranking {
    /// Those whose removal costs the readers of the stream most.
    #[default]
    Read,
    /// Those with the most energy.
    Energy,
}

/// How long a search for the best split may take. At least one candidate is measured in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchBudget {
    /// As long as it takes.
    Unlimited,
    /// No measurement begins after this many seconds.
    Seconds(u64),
}

impl SearchBudget {
    /// The limit for models of [`SearchBudget::LARGE`] parameters and more: half an hour.
    pub const DEFAULT: Self = Self::Seconds(1800);

    /// From this many parameters on a search is limited by default.
    pub const LARGE: u64 = 1_000_000_000;
}

impl Plan {
    /// How linears are refitted, if they are.
    pub fn refit(&self) -> Option<slicegpt_slice::Refit> {
        match (self.method, self.refit) {
            (_, Some(Refit::None)) | (Method::PerLayer, None) => None,
            (_, Some(Refit::Ridge(ridge))) => Some(slicegpt_slice::Refit::Ridge(ridge)),
            (_, Some(Refit::HeldOut)) | (Method::Shared, None) => {
                Some(slicegpt_slice::Refit::HeldOut)
            }
        }
    }

    /// The fraction of the stream to cut, where the plan names one; the mean of both ends of a
    /// schedule.
    pub fn nominal_sparsity(&self) -> Option<f64> {
        match self.size {
            Some(Size::Sparsity { start, end: Some(end) }) => Some((start + end) / 2.0),
            Some(Size::Sparsity { start, end: None }) => Some(start),
            _ => None,
        }
    }

    /// A fresh orientation.
    pub(crate) fn axes(&self) -> Orientation {
        match self.orientation {
            Axes::Pca => Orientation::Pca,
            Axes::Random => Orientation::random(self.seed),
        }
    }
}
