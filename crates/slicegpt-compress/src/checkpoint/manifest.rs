//! The manifest of a compressed model of a known family.

use slicegpt_models::DecoderSpec;
use slicegpt_provenance::{self as provenance, CalibrationRecord, Manifest, TriedSplit};
use slicegpt_slice::Refit;

use crate::{Axes, Compressed, Method, Plan, Split, Trial};

/// What a manifest holds in addition to the result of a compression.
pub struct About<'a> {
    /// The decoder before the cut.
    pub dense: &'a DecoderSpec,
    /// The decoder after the cut.
    pub sliced: &'a DecoderSpec,
    /// The plan.
    pub plan: &'a Plan,
    /// The calibration text.
    pub calibration: CalibrationRecord,
    /// The program, and its version.
    pub tool_version: String,
}

impl Compressed {
    /// The manifest of the checkpoint: what it is and how it was made.
    pub fn manifest(&self, about: &About<'_>) -> Manifest {
        let About { dense, sliced, plan, .. } = *about;
        let [params_before, params_after] = [dense, sliced].map(|spec| spec.parameters() as u64);
        let own = sliced.slicing.as_ref().and_then(|slicing| slicing.intermediate_sizes.clone());
        let uniform = !self.shape.shortcuts && own.is_none();
        Manifest {
            format: Manifest::FORMAT,
            method: plan.method.into(),
            stock: sliced.slicing.is_none(),
            widths: (0..sliced.cuts()).map(|cut| sliced.width(cut)).collect(),
            intermediate_size: uniform.then_some(sliced.mlp.intermediate_size),
            intermediate_sizes: own,
            removed_layers: self.shape.removed.clone(),
            kv_heads: self.shape.heads,
            refit: self.refit.map(recorded),
            tried: self.tried.iter().map(Into::into).collect(),
            imported: None,
            nominal_sparsity: plan.nominal_sparsity(),
            real_reduction: 1.0 - params_after as f64 / params_before as f64,
            params_before,
            params_after,
            orientation: match plan.orientation {
                Axes::Pca => provenance::Orientation::Pca,
                Axes::Random => provenance::Orientation::Random,
            },
            seed: plan.seed,
            calibration: about.calibration.clone(),
            tool_version: about.tool_version.clone(),
        }
    }
}

impl From<&Trial> for TriedSplit {
    fn from(trial: &Trial) -> Self {
        let Trial { split, ref removed, tokens, kl } = *trial;
        let Split { layers, width, heads, intermediate } = split;
        Self {
            layers: Some(layers),
            removed_layers: removed.clone(),
            hidden_size: width,
            intermediate_size: intermediate,
            kv_heads: (heads > 0).then_some(heads),
            tokens: Some(tokens),
            kl,
        }
    }
}

fn recorded(refit: Refit) -> provenance::Refit {
    match refit {
        Refit::Ridge(ridge) => provenance::Refit::Ridge { lambda: ridge.lambda },
        Refit::HeldOut => provenance::Refit::HeldOut,
    }
}

impl From<Method> for provenance::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Shared => Self::Shared,
            Method::PerLayer => Self::PerLayer,
        }
    }
}
