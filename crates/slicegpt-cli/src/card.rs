//! The model card of a sliced checkpoint.

use std::path::Path;

use serde_json::Value;
use slicegpt_checkpoint::{Dtype, Manifest};

use crate::model::Described;
use crate::size::{show_count, show_percent};

/// `README.md`: what was cut, with what, and how to use and reproduce it.
pub fn card(model: &Path, described: &Described, manifest: &Manifest, dtype: Dtype) -> String {
    let name = model
        .canonicalize()
        .ok()
        .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "a model".into());
    let origin = described.config.get("_name_or_path").and_then(Value::as_str);
    let origin = origin.filter(|origin| !origin.is_empty()).unwrap_or(&name);
    let nominal = manifest.nominal_sparsity.map_or("set by a plan file".into(), show_percent);
    let widths: Vec<String> = manifest.widths.iter().map(usize::to_string).collect();
    let calibration = &manifest.calibration;
    format!(
        "---\n\
         tags:\n- slicegpt\n\
         library_name: slicegpt\n\
         ---\n\n\
         # {name}, sliced\n\n\
         `{origin}` with its residual stream rotated by PCA and cut (SliceGPT, arXiv 2401.15024). \
         The weights are dense; nothing is masked or quantised.\n\n\
         | | |\n|---|---|\n\
         | model type | {model_type} |\n\
         | method | {method} |\n\
         | nominal sparsity (fraction of the stream cut) | {nominal} |\n\
         | real reduction (fraction of parameters gone, shortcut matrices counted) | {real} |\n\
         | parameters | {before} before, {after} after |\n\
         | type | {dtype} |\n\
         | orientation | {orientation} |\n\
         | calibration | {source}: {samples} sequences of {seqlen} tokens ({tokens} counted) |\n\
         | calibration digest | sha256 {digest} |\n\
         | seed | {seed} |\n\
         | tool | {tool} |\n\n\
         Width of the stream at every cut (embedding, then after every sublayer), of {hidden}: \
         {widths}.\n\n\
         ## Use\n\n\
         The checkpoint says everything about itself in the `slicegpt` section of `config.json`:\n\n\
         ```sh\n\
         slicegpt inspect .\n\
         slicegpt eval ppl . --text FILE\n\
         ```\n",
        model_type = described.spec.model_type,
        method = manifest.method,
        real = show_percent(manifest.real_reduction),
        before = show_count(manifest.params_before),
        after = show_count(manifest.params_after),
        orientation = manifest.orientation,
        source = calibration.source,
        samples = calibration.samples,
        seqlen = calibration.seqlen,
        tokens = calibration.tokens,
        digest = calibration.digest,
        seed = manifest.seed,
        tool = manifest.tool_version,
        hidden = described.spec.hidden_size,
        widths = widths.join(", "),
    )
}
