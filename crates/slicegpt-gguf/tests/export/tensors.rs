//! The rows of the checkpoint that a tensor is made of.

use slicegpt_models::DecoderSpec;

use crate::{Numbered, plan, spec, written};

/// The first value of every row of tensor `name`. All values of a row must be equal.
fn rows(spec: &DecoderSpec, name: &str) -> (Vec<f32>, Numbered) {
    let (file, source) = written(spec);
    let shape = &file.tensors[name].shape;
    let columns = shape[1..].iter().product::<usize>();
    let values = file.f32s(name);
    let rows = values.chunks_exact(columns).map(|row| {
        assert!(row.iter().all(|x| *x == row[0]));
        row[0]
    });
    (rows.collect(), source)
}

#[track_caller]
fn check(spec: &DecoderSpec, name: &str, from: &str, order: &[usize]) {
    let (rows, source) = rows(spec, name);
    let expected: Vec<f32> = order.iter().map(|row| source.value(from, *row)).collect();
    assert_eq!(rows, expected, "{name}");
}

/// The order of rows for heads of 8 whose rotated pairs are adjacent.
fn interleaved(heads: usize) -> Vec<usize> {
    (0..heads).flat_map(|head| [0, 4, 1, 5, 2, 6, 3, 7].map(|row| 8 * head + row)).collect()
}

fn unchanged(rows: usize) -> Vec<usize> {
    (0..rows).collect()
}

#[test]
fn rotated_pairs_are_adjacent_in_llama() {
    let spec = spec("llama-bias");
    let layer = "model.layers.1.self_attn";
    for (name, from, order) in [
        ("blk.1.attn_q.weight", "q_proj.weight", interleaved(4)),
        ("blk.1.attn_q.bias", "q_proj.bias", interleaved(4)),
        ("blk.1.attn_k.weight", "k_proj.weight", interleaved(2)),
        ("blk.1.attn_k.bias", "k_proj.bias", interleaved(2)),
        ("blk.1.attn_v.weight", "v_proj.weight", unchanged(16)),
        ("blk.1.attn_output.weight", "o_proj.weight", unchanged(32)),
    ] {
        check(&spec, name, &format!("{layer}.{from}"), &order);
    }
}

#[test]
fn heads_keep_their_order_elsewhere() {
    check(
        &spec("qwen2"),
        "blk.0.attn_q.weight",
        "model.layers.0.self_attn.q_proj.weight",
        &unchanged(32),
    );
    check(
        &spec("phi3"),
        "blk.0.attn_qkv.weight",
        "model.layers.0.self_attn.qkv_proj.weight",
        &unchanged(64),
    );
    check(
        &spec("phi3"),
        "blk.0.ffn_up.weight",
        "model.layers.0.mlp.gate_up_proj.weight",
        &unchanged(96),
    );
}

/// A cut stream fits neither qwen2 nor phi3, and llama can express both.
#[test]
fn cut_models_become_llama() {
    let qwen2 = spec("qwen2").in_shared_basis(24, 40, false);
    assert_eq!(plan(&qwen2).unwrap().architecture(), "llama");
    check(&qwen2, "blk.0.attn_k.bias", "model.layers.0.self_attn.k_proj.bias", &interleaved(2));

    let phi3 = spec("phi3").in_shared_basis(24, 40, false);
    assert_eq!(plan(&phi3).unwrap().architecture(), "llama");
    let packed = "model.layers.0.self_attn.qkv_proj.weight";
    let after =
        |order: Vec<usize>, start: usize| order.iter().map(|row| start + row).collect::<Vec<_>>();
    check(&phi3, "blk.0.attn_q.weight", packed, &interleaved(4));
    check(&phi3, "blk.0.attn_k.weight", packed, &after(interleaved(2), 32));
    check(&phi3, "blk.0.attn_v.weight", packed, &after(unchanged(16), 48));
    let packed = "model.layers.0.mlp.gate_up_proj.weight";
    check(&phi3, "blk.0.ffn_gate.weight", packed, &unchanged(40));
    check(&phi3, "blk.0.ffn_up.weight", packed, &after(unchanged(40), 40));
}

#[test]
fn every_tensor_is_used_once() {
    for name in
        ["llama2", "llama31", "llama-bias", "mistral", "qwen2", "qwen3", "phi3", "phi4-mini"]
    {
        let spec = spec(name);
        for spec in [spec.clone(), spec.in_shared_basis(24, 40, spec.tied)] {
            let (file, _) = written(&spec);
            let own = file.tensors.iter().filter(|(name, _)| !name.starts_with("rope_f"));
            let values: usize = own.map(|(_, tensor)| tensor.shape.iter().product::<usize>()).sum();
            assert_eq!(values, spec.parameters(), "{name}");
            assert_eq!(file.tensors.contains_key("output.weight"), !spec.tied, "{name}");
        }
    }
}

#[test]
fn metadata_describe_the_cut_model() {
    let spec = spec("llama2").in_shared_basis(24, 40, false);
    let (file, _) = written(&spec);
    for (key, value) in [
        ("general.architecture", "\"llama\""),
        ("general.file_type", "0"),
        ("llama.embedding_length", "24"),
        ("llama.feed_forward_length", "40"),
        ("llama.attention.key_length", "8"),
        ("llama.attention.value_length", "8"),
        ("llama.rope.dimension_count", "8"),
        ("llama.vocab_size", "64"),
    ] {
        assert_eq!(file.metadata[key].to_string(), value, "{key}");
    }
    let eps = file.metadata["llama.attention.layer_norm_rms_epsilon"].as_f64().unwrap();
    assert!((eps / spec.norm.eps - 1.0).abs() < 1e-6);
}
