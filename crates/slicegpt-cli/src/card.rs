//! The model card of a sliced checkpoint.

use serde_json::Value;
use slicegpt_checkpoint::{Dtype, Manifest};
use slicegpt_hub::ModelId;

use crate::model::Described;
use crate::size::{show_count, show_percent};

/// How a checkpoint that any tool loads is used.
const STOCK: &str = "It is a model of its family like any other:\n\n\
     ```python\n\
     from transformers import AutoModelForCausalLM\n\
     model = AutoModelForCausalLM.from_pretrained(\".\")\n\
     ```\n\n\
     How it was made is also in `slicegpt.json`.\n";

/// How a checkpoint that comes with the code to run it is used.
const OWN: &str = "Its shape is not one of its family: `modeling_slicegpt.py` beside it runs it in \
     transformers (4.53 or later).\n\n\
     ```python\n\
     from transformers import AutoModelForCausalLM\n\
     model = AutoModelForCausalLM.from_pretrained(\".\", trust_remote_code=True)\n\
     ```\n\n\
     The checkpoint says everything about itself in the `slicegpt` section of `config.json`:\n\n\
     ```sh\n\
     slicegpt inspect .\n\
     slicegpt eval ppl . --text FILE\n\
     ```\n";

/// `README.md`: what was cut, with what, and how to use and reproduce it.
pub fn card(described: &Described, manifest: &Manifest, dtype: Dtype) -> String {
    let directory = described.directory.canonicalize().ok();
    let last = || Some(directory?.file_name()?.to_string_lossy().into_owned());
    let name = ModelId::of_snapshot(&described.directory).or_else(last);
    let name = name.unwrap_or_else(|| "a model".into());
    let origin = described.config.get("_name_or_path").and_then(Value::as_str);
    let origin = origin.filter(|origin| !origin.is_empty()).unwrap_or(&name);
    let widths: Vec<String> = manifest.widths.iter().map(usize::to_string).collect();
    let calibration = &manifest.calibration;
    let row = |name: &str, value: Option<String>| {
        value.map_or_else(String::new, |value| format!("| {name} | {value} |\n"))
    };
    let nominal = row(
        "nominal sparsity (fraction of the stream cut)",
        match (manifest.nominal_sparsity, manifest.method.as_str()) {
            (Some(nominal), _) => Some(show_percent(nominal)),
            (None, "per-layer") => Some("set by a plan file or a size".into()),
            (None, _) => None,
        },
    );
    let inner = manifest
        .intermediate_size
        .map(|width| format!("{width} of {}", described.spec.mlp.intermediate_size));
    let own = manifest.intermediate_sizes.as_ref().map(|sizes| {
        let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
        format!("{} of {}", sizes.join(", "), described.spec.mlp.intermediate_size)
    });
    let inner = row("MLP width", inner.or(own));
    let refit = row("refit towards the dense model", manifest.refit.clone());
    let stream = match manifest.method.as_str() {
        "shared" => format!(
            "Width of the stream: {} of {}, in one basis for the whole model.",
            manifest.widths[0], described.spec.hidden_size
        ),
        _ => format!(
            "Width of the stream at every cut (embedding, then after every sublayer), of {}: {}.",
            described.spec.hidden_size,
            widths.join(", ")
        ),
    };
    let (library, usage) = match manifest.stock {
        true => ("transformers", STOCK),
        false => ("transformers", OWN),
    };
    format!(
        "---\n\
         tags:\n- slicegpt\n\
         library_name: {library}\n\
         ---\n\n\
         # {name}, sliced\n\n\
         `{origin}` with its residual stream rotated and cut (after SliceGPT, arXiv 2401.15024). \
         The weights are dense; nothing is masked or quantised.\n\n\
         | | |\n|---|---|\n\
         | model type | {model_type} |\n\
         | method | {method} |\n\
         {nominal}\
         | real reduction (fraction of parameters gone, all tensors counted) | {real} |\n\
         | parameters | {before} before, {after} after |\n\
         {inner}\
         {refit}\
         | type | {dtype} |\n\
         | orientation | {orientation} |\n\
         | calibration | {source}: {samples} sequences of {seqlen} tokens ({tokens} counted) |\n\
         | calibration digest | sha256 {digest} |\n\
         | seed | {seed} |\n\
         | tool | {tool} |\n\n\
         {stream}\n\n\
         ## Use\n\n\
         {usage}",
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
    )
}
