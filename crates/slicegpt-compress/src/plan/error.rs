//! [`PlanError`]: a plan that contradicts itself or the model.

use crate::Method;

/// The names of the fields of a [`Plan`](crate::Plan) in error messages. A program whose users give
/// them by other names, such as options of a command line, translates them in
/// [`PlanError::message`].
pub mod field {
    #![allow(missing_docs)] // each is the name of a field
    pub const METHOD: &str = "method";
    pub const KEEP_PARAMS: &str = "keep_params";
    pub const SPARSITY_END: &str = "sparsity_end";
    pub const PLAN: &str = "plan";
    pub const KEEP_LAYERS: &str = "keep_layers";
    pub const KV_HEADS: &str = "kv_heads";
    pub const AXES: &str = "axes";
    pub const HIDDEN_SIZE: &str = "hidden_size";
    pub const INTERMEDIATE_SIZE: &str = "intermediate_size";
    pub const ROUND_TO: &str = "round_to";
    pub const ALIGN: &str = "align";
    pub const SLICE_HEAD: &str = "slice_head";
    pub const MLP_WIDTHS: &str = "mlp_widths";
    pub const HEAD: &str = "head";
    pub const BASIS: &str = "basis";
    pub const SEARCH_BUDGET: &str = "search_budget";
    pub const SPARSITY: &str = "sparsity";
    pub const REFIT: &str = "refit";
    pub const STATS: &str = "stats";
}

/// Why a plan cannot be carried out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", self.message(&|field| field.into()))]
pub enum PlanError {
    /// A field does not apply to the method.
    Method {
        /// The field.
        field: &'static str,
        /// Its value, if only this value does not apply.
        value: Option<&'static str>,
        /// The method that the field applies to.
        needs: Method,
    },
    /// The part to keep is not a fraction in `(0, 1]`.
    KeepParams(f64),
    /// More parameters are asked for than the model has.
    TooMany {
        /// The parameters asked for.
        asked: u64,
        /// Those of the model.
        before: u64,
    },
    /// A size above that of the model.
    TooLarge {
        /// The field.
        field: &'static str,
        /// The size asked for.
        asked: usize,
        /// That of the model.
        full: usize,
    },
    /// A multiple above the widths of the model.
    Align {
        /// The multiple.
        step: usize,
        /// Width of the stream.
        width: usize,
        /// Width of the MLPs.
        intermediate: usize,
    },
    /// A multiple or a width of 0.
    Zero(&'static str),
    /// A multiple above the width of the stream.
    WideStep,
    /// A head that is not tied in the dense model cannot be tied.
    NotTied,
    /// No widths give the size that was asked for.
    Unreachable {
        /// The parameters asked for.
        asked: u64,
        /// The nearest number of parameters.
        nearest: u64,
        /// Those of the model.
        before: u64,
        /// Whether the head of the model is tied.
        tied: bool,
        /// The method.
        method: Method,
        /// Whether the plan fixes axes, or says which are free.
        constrained: bool,
    },
    /// The model does not have an axis.
    NoAxis {
        /// The axis.
        axis: &'static str,
        /// The axes that it has.
        has: Vec<&'static str>,
    },
    /// The size of an axis is given, and the axis is said to be free.
    FixedAndFree {
        /// The field that fixes it.
        field: &'static str,
        /// The axis.
        axis: &'static str,
    },
    /// Axes are said to be free, and there is no size to reach.
    AxesWithoutSize,
    /// A field beside a sparsity, which cuts the stream only.
    Sparsity {
        /// The field.
        field: &'static str,
    },
    /// One block would stay.
    OneLayer,
    /// The width of the stream is not a multiple that the family asks for.
    Multiple {
        /// Groups of heads.
        heads: usize,
        /// Width of the stream.
        width: usize,
        /// What it has to be a multiple of: the query heads.
        multiple: usize,
    },
    /// The same, with the heads of the dense model.
    HiddenSize {
        /// Width of the stream.
        width: usize,
        /// What it has to be a multiple of: the query heads.
        multiple: usize,
    },
    /// A schedule of widths that does not fit the model.
    Schedule(#[from] slicegpt_slice::PlanError),
}

impl PlanError {
    /// The message, with fields called as `name` says.
    pub fn message(&self, name: &dyn Fn(&'static str) -> String) -> String {
        match self {
            Self::Method { field, value, needs } => {
                let value = value.map(|value| format!(" {value}")).unwrap_or_default();
                let method = name(field::METHOD);
                format!("{}{value} needs {method} {}", name(field), needs.name())
            }
            Self::KeepParams(keep) => format!(
                "{} {keep} is not in (0, 1]: it is the fraction to keep",
                name(field::KEEP_PARAMS)
            ),
            Self::TooMany { asked, before } => format!(
                "{asked} parameters are asked for, but the model has only {before}; nothing is to \
                 be cut"
            ),
            Self::TooLarge { field, asked, full } => {
                format!("{} {asked}: the model has only {full}; give less", name(field))
            }
            Self::Align { step, width, intermediate } => format!(
                "{} {step}: the stream is {width} wide and the MLPs {intermediate}; in some \
                 families the stream is a multiple of the number of heads too; give less",
                name(field::ALIGN)
            ),
            Self::Zero(field) => format!("{} is 0: it must be at least 1", name(field)),
            Self::WideStep => format!("{} is larger than the hidden size", name(field::ROUND_TO)),
            Self::NotTied => {
                let head = name(field::HEAD);
                format!("{head} tied: the head of this model is not its embedding; use {head} auto")
            }
            Self::Unreachable { .. } => self.unreachable(name),
            Self::Schedule(error) => error.to_string(),
            Self::NoAxis { axis, has } => {
                format!("this model has no axis `{axis}` to cut; it has {}", has.join(", "))
            }
            Self::FixedAndFree { field, axis } => format!(
                "{} fixes the axis `{axis}`, and {} says that it is free; leave out one",
                name(field),
                name(field::AXES)
            ),
            Self::AxesWithoutSize => format!(
                "{} says what a search may cut, and there is no size to search for; give {}, or \
                 leave it out",
                name(field::AXES),
                name(field::KEEP_PARAMS)
            ),
            Self::Sparsity { field } => format!(
                "{} cuts the width of the stream and nothing else; leave out {}, or give {} \
                 instead",
                name(field::SPARSITY),
                name(field),
                name(field::KEEP_PARAMS)
            ),
            Self::OneLayer => {
                format!("{} 1: at least two layers must stay; give more", name(field::KEEP_LAYERS))
            }
            Self::Multiple { heads, width, multiple } => format!(
                "{} {heads} leaves {multiple} query heads, and a stream of {width} is no multiple \
                 of them, which transformers requires; give another number, or {} as a multiple of \
                 {multiple}",
                name(field::KV_HEADS),
                name(field::HIDDEN_SIZE)
            ),
            Self::HiddenSize { width, multiple } => format!(
                "{} {width} is no multiple of the {multiple} query heads, which transformers \
                 requires; give {}",
                name(field::HIDDEN_SIZE),
                (width / multiple).max(1) * multiple
            ),
        }
    }

    fn unreachable(&self, name: &dyn Fn(&'static str) -> String) -> String {
        let Self::Unreachable { asked, nearest, before, tied, method, constrained } = self else {
            unreachable!("called for this variant only")
        };
        let reduction =
            |count: &u64| format!("{:.1} %", 100.0 * (1.0 - *count as f64 / *before as f64));
        let untied = if *tied {
            " (an untied head adds a matrix as large as the embedding, so that small cuts grow \
             the model)"
        } else {
            ""
        };
        let steps = match method {
            Method::Shared => format!("{} or {}", name(field::ROUND_TO), name(field::ALIGN)),
            Method::PerLayer => name(field::ROUND_TO),
        };
        let free = if *constrained { ", or leave more axes free" } else { "" };
        format!(
            "no shape keeps {asked} parameters, a reduction of {}; the nearest possible is \
             {nearest}, a reduction of {}{untied}; ask for that, or change {steps}{free}",
            reduction(asked),
            reduction(nearest)
        )
    }
}
