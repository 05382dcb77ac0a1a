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
        // Layers from this one on have a window, in Qwen2 and Qwen3, which have a default for it.
        let has_windows = fields.get("use_sliding_window") == Some(&json!(true));
        if has_windows || fields.contains_key("max_window_layers") {
            let first = spec.attention.windows.iter().position(Option::is_some);
            fields.insert("max_window_layers".into(), json!(first.unwrap_or(spec.layers)));
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

    fn manifest(method: Method, stock: bool, removed_layers: Vec<usize>) -> Manifest {
        let calibration = CalibrationRecord {
            source: "x".into(),
            digest: "y".into(),
            samples: 1,
            seqlen: 2,
            tokens: 2,
            texts: Vec::new(),
        };
        Manifest {
            format: 1,
            method,
            stock,
            intermediate_size: None,
            intermediate_sizes: None,
            removed_layers,
            kv_heads: None,
            refit: None,
            tried: Vec::new(),
            widths: vec![6, 6, 8],
            imported: None,
            nominal_sparsity: Some(0.25),
            real_reduction: 0.1,
            params_before: 10,
            params_after: 9,
            orientation: Orientation::Pca,
            seed: 1,
            calibration,
            tool_version: "t".into(),
        }
    }

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
        let manifest = manifest(Method::PerLayer, false, Vec::new());
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

    /// Layers that have a window keep it, wherever the config says which have one.
    #[test]
    fn layers_keep_their_windows() {
        let mut dense = json!({
            "model_type": "qwen2", "hidden_size": 8, "num_attention_heads": 2,
            "num_hidden_layers": 30, "intermediate_size": 16, "vocab_size": 10,
            "max_position_embeddings": 4, "use_sliding_window": true, "sliding_window": 2,
        });
        for field in ["the default", "max_window_layers", "layer_types"] {
            match field {
                "layer_types" => {
                    let kind = |layer| if layer % 3 == 0 { "sliding" } else { "full" };
                    let types = (0..30).map(|layer| format!("{}_attention", kind(layer)));
                    dense[field] = types.collect();
                }
                "max_window_layers" => dense[field] = json!(20),
                _ => {}
            }
            let spec = slicegpt_models::parse(&dense).unwrap();
            let removed = vec![3, 4, 28];
            let kept: Vec<usize> = (0..30).filter(|layer| !removed.contains(layer)).collect();
            let sliced = spec.with_layers(&kept);
            assert!(sliced.attention.windows.iter().any(Option::is_some), "{field}");
            let manifest = manifest(Method::Shared, true, removed);
            let config = sliced_config(&dense, &sliced, Dtype::F32, &manifest);
            let read = slicegpt_models::parse(&config).unwrap();
            assert_eq!(read.attention.windows, sliced.attention.windows, "{field}");
        }
    }
}
