//! The `config.json` of a sliced checkpoint.

use serde_json::{Map, Value, json};
use slicegpt_checkpoint::Dtype;
use slicegpt_models::{DecoderSpec, portable};
use slicegpt_provenance::Manifest;

/// The config of the dense model with the fields that slicing changes. If the result is not a model
/// of its family, it also has the `slicegpt` section, and the fields by which transformers finds
/// the code in the checkpoint.
pub fn sliced_config(
    config: &Value,
    spec: &DecoderSpec,
    dtype: Dtype,
    manifest: &Manifest,
) -> Value {
    let mut config = config.clone();
    let fields = config.as_object_mut().expect("it was parsed as a config before");
    // Newer files call it `dtype`, older ones `torch_dtype`: both must agree with the weights.
    for field in ["dtype", "torch_dtype"] {
        if fields.contains_key(field) || (field == "torch_dtype" && !fields.contains_key("dtype")) {
            fields.insert(field.into(), json!(dtype.torch_name()));
        }
    }
    // Written always, because families differ in the default.
    fields.insert("tie_word_embeddings".into(), json!(spec.tied));
    let intermediate_size = spec.names.intermediate_size;
    if manifest.intermediate_size.is_some() {
        fields.insert(intermediate_size.into(), json!(spec.mlp.intermediate_size));
    }
    cut_axes(fields, spec, manifest);
    // Python code of the dense model is not copied, and would not fit the sliced one.
    fields.remove("auto_map");
    if manifest.stock {
        fields.insert("hidden_size".into(), json!(spec.hidden_size));
        // It no longer follows from the width.
        fields.insert("head_dim".into(), json!(spec.attention.head_dim));
        fields.insert("rms_norm_eps".into(), json!(spec.norm.eps));
    } else {
        if let Some(field) = spec.names.norm_eps
            && fields.get(field).and_then(Value::as_f64) != Some(spec.norm.eps)
        {
            fields.insert(field.into(), json!(spec.norm.eps));
        }
        let mut section = manifest.to_json();
        section["decoder"] = spec.portable();
        fields.insert("slicegpt".into(), section);
        fields.insert("auto_map".into(), portable::auto_map());
        fields.insert("architectures".into(), json!([portable::ARCHITECTURE]));
        // Without `model_type`, `architectures` named the family, and it has just been replaced.
        fields.insert("model_type".into(), json!(spec.model_type));
    }
    config
}

/// The fields that change where layers or heads were removed.
fn cut_axes(fields: &mut Map<String, Value>, spec: &DecoderSpec, manifest: &Manifest) {
    let removed = &manifest.removed_layers;
    if !removed.is_empty() {
        let dense = spec.layers + removed.len();
        fields.insert("num_hidden_layers".into(), json!(spec.layers));
        if let Some(Value::Array(types)) = fields.get_mut("layer_types")
            && types.len() == dense
        {
            let mut number = 0..;
            types.retain(|_| !removed.contains(&number.next().expect("it has no end")));
        }
        // Layers from this one on have a window, in Qwen2 and Qwen3.
        if let Some(first) = fields.get("max_window_layers").and_then(Value::as_u64) {
            let before = removed.iter().filter(|layer| (**layer as u64) < first).count() as u64;
            fields.insert("max_window_layers".into(), json!(first - before));
        }
    }
    if manifest.kv_heads.is_some() {
        fields.insert("num_attention_heads".into(), json!(spec.attention.heads));
        if fields.contains_key("num_key_value_heads")
            || spec.attention.heads != spec.attention.kv_heads
        {
            fields.insert("num_key_value_heads".into(), json!(spec.attention.kv_heads));
        }
        fields.insert("head_dim".into(), json!(spec.attention.head_dim));
    }
}

#[cfg(test)]
mod tests {
    use slicegpt_core::Widths;
    use slicegpt_provenance::{CalibrationRecord, Method, Orientation};

    use super::*;

    #[test]
    fn what_slicing_changes_is_said() {
        let dense = json!({
            "model_type": "opt", "hidden_size": 8, "num_attention_heads": 2,
            "num_hidden_layers": 1, "ffn_dim": 16, "vocab_size": 10,
            "max_position_embeddings": 4, "torch_dtype": "float16", "custom": [1],
            "auto_map": { "AutoConfig": "other.Config" },
        });
        let spec = slicegpt_models::parse(&dense).unwrap();
        assert!(spec.tied);
        let widths = Widths::new(vec![6, 6, 8], spec.cuts(), 8).unwrap();
        let calibration = CalibrationRecord {
            source: "x".into(),
            digest: "y".into(),
            samples: 1,
            seqlen: 2,
            tokens: 2,
            texts: Vec::new(),
        };
        let manifest = Manifest {
            format: 1,
            method: Method::PerLayer,
            stock: false,
            intermediate_size: None,
            intermediate_sizes: None,
            removed_layers: Vec::new(),
            kv_heads: None,
            refit: None,
            tried: Vec::new(),
            widths: widths.as_slice().to_vec(),
            imported: None,
            nominal_sparsity: Some(0.25),
            real_reduction: 0.1,
            params_before: 10,
            params_after: 9,
            orientation: Orientation::Pca,
            seed: 1,
            calibration,
            tool_version: "t".into(),
        };
        let config =
            sliced_config(&dense, &spec.in_per_layer_bases(widths), Dtype::Bf16, &manifest);
        assert_eq!(config["torch_dtype"], "bfloat16");
        assert_eq!(config["tie_word_embeddings"], false);
        assert_eq!(config["custom"], json!([1]));
        assert_eq!(config["slicegpt"]["widths"], json!([6, 6, 8]));
        assert_eq!(config["slicegpt"]["decoder"]["heads"], 2);
        assert_eq!(config["auto_map"], portable::auto_map());
        assert_eq!(config["model_type"], "opt", "the family is what this tool reads");
        slicegpt_models::parse(&config).unwrap();
    }
}
