//! Metadata of the model itself, under the keys that llama.cpp's converter writes.

use slicegpt_models::DecoderSpec;

use crate::architecture::Architecture;
use crate::rope::RopeForm;
use crate::{FileType, Metadata, Value};

/// The version of the block types, `general.quantization_version`.
const QUANTISATION: u32 = 2;

/// All metadata except the tokenizer's.
pub(crate) fn hyperparameters(
    spec: &DecoderSpec,
    architecture: &Architecture,
    rope: &RopeForm,
    file_type: FileType,
    name: String,
) -> Metadata {
    let text = |text: &str| Value::Text(text.into());
    let count = |count: usize| Value::U32(count as u32);
    let general = [
        ("architecture", text(architecture.name)),
        ("type", text("model")),
        ("name", Value::Text(name)),
        ("size_label", Value::Text(size_label(spec.parameters()))),
        ("file_type", Value::U32(file_type.number())),
        ("quantization_version", Value::U32(QUANTISATION)),
    ];
    let attention = &spec.attention;
    let mut own = vec![
        ("block_count", count(spec.layers)),
        ("context_length", count(spec.context_length)),
        ("embedding_length", count(spec.hidden_size)),
        ("feed_forward_length", count(spec.mlp.intermediate_size)),
        ("vocab_size", count(spec.vocab_size)),
        ("attention.head_count", count(attention.heads)),
        ("attention.head_count_kv", count(attention.kv_heads)),
        // After a cut this is not the width of the stream divided by the number of heads.
        ("attention.key_length", count(attention.head_dim)),
        ("attention.value_length", count(attention.head_dim)),
        ("attention.layer_norm_rms_epsilon", Value::F32(spec.norm.eps as f32)),
    ];
    if architecture.states_window {
        let window = attention.windows.iter().flatten().min();
        own.push(("attention.sliding_window", count(window.copied().unwrap_or(0))));
    }
    own.extend(rope.metadata.iter().cloned());
    let general = general.map(|(key, value)| (format!("general.{key}"), value));
    let own = own.into_iter().map(|(key, value)| (format!("{}.{key}", architecture.name), value));
    general.into_iter().chain(own).collect()
}

/// The converter's label for a number of parameters, in at least two digits: `1.1B`, `34M`.
fn size_label(parameters: usize) -> String {
    let (unit, suffix) = match parameters as f64 {
        n if n > 1e12 => (1e12, "T"),
        n if n > 1e9 => (1e9, "B"),
        n if n > 1e6 => (1e6, "M"),
        _ => (1e3, "K"),
    };
    let scaled = parameters as f64 / unit;
    let digits = format!("{scaled:.0}").trim_start_matches('0').len();
    let decimals = 2_usize.saturating_sub(digits);
    format!("{scaled:.decimals$}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_labels_of_the_converter() {
        for (parameters, label) in [
            (1_100_048_384, "1.1B"),
            (6_738_415_616, "6.7B"),
            (70_553_706_496, "71B"),
            (1_245_000, "1.2M"),
            (934_000, "934K"),
            (260_032, "260K"),
        ] {
            assert_eq!(size_label(parameters), label);
        }
    }
}
