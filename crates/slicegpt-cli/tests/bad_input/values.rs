//! Values inside tensors that are not finite, overflow in the forward, or do not fit the output
//! type.

use half::{bf16, f16};

use crate::sandbox::{COMPRESS, Damage, LOGITS, READERS, Sandbox, VERIFY, check_damages};

const FILE: &str = "dense/model.safetensors";

/// Sets element `index` of a float32 tensor.
fn set(tensor: &str, index: usize, value: f32) -> impl Fn(&Sandbox) {
    put(FILE, tensor, index, value.to_le_bytes().to_vec())
}

fn put(file: &str, tensor: &str, index: usize, value: Vec<u8>) -> impl Fn(&Sandbox) {
    let at = index * value.len();
    move |sandbox| {
        sandbox.tensor(file, tensor, |bytes| bytes[at..at + value.len()].copy_from_slice(&value));
    }
}

/// Multiplies float32 tensors.
fn scale<const N: usize>(tensors: [&'static str; N], factor: f32) -> impl Fn(&Sandbox) {
    move |sandbox| {
        for tensor in tensors {
            sandbox.tensor(FILE, tensor, |bytes| {
                for x in bytes.chunks_exact_mut(4) {
                    let scaled = f32::from_le_bytes(x.try_into().unwrap()) * factor;
                    x.copy_from_slice(&scaled.to_le_bytes());
                }
            });
        }
    }
}

#[test]
fn a_weight_that_is_not_finite_is_named() {
    // `inspect` reads no weights.
    let readers = &READERS[1..];
    let damaged = "the checkpoint is damaged";
    let names = [
        "model.layers.0.input_layernorm.weight",
        "model.layers.0.self_attn.v_proj.weight",
        "model.layers.1.mlp.down_proj.weight",
        "model.norm.weight",
        "lm_head.weight",
    ];
    for name in names {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let says = &[FILE, name, damaged][..];
            check_damages("families/llama2", readers, &[(&set(name, 31, value), says)]);
        }
    }
    // The last row belongs to a token that does not occur.
    let embedding = "model.embed_tokens.weight";
    let last = set(embedding, 64 * 32 - 1, f32::NAN);
    check_damages("families/llama2", &[COMPRESS], &[(&last, &[FILE, embedding, damaged])]);

    let name = "model.layers.1.mlp.gate_proj.weight";
    let shard = "dense/model-00002-of-00003.safetensors";
    let infinite = put(shard, name, 100, bf16::INFINITY.to_le_bytes().into());
    check_damages("families/llama-sharded", readers, &[(&infinite, &[shard, name, damaged])]);
    let nan = put(FILE, name, 100, f16::NAN.to_le_bytes().into());
    check_damages("families/llama-f16", readers, &[(&nan, &[FILE, name, damaged])]);
}

#[test]
fn activations_that_overflow_name_the_block() {
    let mlp = ["model.layers.1.mlp.gate_proj.weight", "model.layers.1.mlp.up_proj.weight"];
    let attention =
        ["model.layers.1.self_attn.q_proj.weight", "model.layers.1.self_attn.k_proj.weight"];
    let rows: &[Damage<'_>] = &[
        (&scale(mlp, 1e30), &["block 1", "infinity"]),
        (&scale(attention, 1e30), &["block 1", "infinity"]),
    ];
    check_damages("families/llama2", &[COMPRESS], rows);
}

/// `logits` runs the model as a whole, so the error can only name the model.
#[test]
fn logits_that_overflow_name_the_model() {
    let mlp = ["model.layers.1.mlp.gate_proj.weight", "model.layers.1.mlp.up_proj.weight"];
    let commands = [VERIFY, LOGITS, "eval ppl dense --tokens tokens.safetensors"];
    let says = &["dense", "infinity"][..];
    check_damages("families/llama2", &commands, &[(&scale(mlp, 1e30), says)]);
}

/// If all queries are NaN, all attention scores are NaN, which a masked softmax can turn into
/// zeros: the output would be finite and wrong.
#[test]
fn a_nan_does_not_vanish_in_attention() {
    let name = "model.layers.1.self_attn.q_proj.weight";
    let overflow = |sandbox: &Sandbox| {
        sandbox.tensor(FILE, name, |bytes| {
            bytes.chunks_exact_mut(4).for_each(|x| x.copy_from_slice(&2e38_f32.to_le_bytes()));
        });
    };
    let commands = [LOGITS, "eval ppl dense --tokens tokens.safetensors"];
    check_damages("families/llama2", &commands, &[(&overflow, &["infinity"])]);
}

#[test]
fn values_that_overflow_the_output_type_are_named() {
    let compress = |options: &str| format!("{COMPRESS} {options}");
    for (tensor, command) in [
        ("model.layers.0.mlp.gate_proj.weight", compress("--dtype f16")),
        ("lm_head.weight", compress("--dtype f16")),
        ("lm_head.weight", compress("--dtype f16 --max-shard-size 10kB")),
    ] {
        let says = &[tensor, "float16", "--dtype bf16"][..];
        check_damages("families/llama2", &[&command], &[(&scale([tensor], 1e6), says)]);
    }
}

/// float32 and bfloat16 have the same range, so neither is suggested in place of the other.
#[test]
fn no_type_of_the_same_range_is_suggested() {
    let sandbox = Sandbox::new("families/llama2");
    set("lm_head.weight", 5, 3e38)(&sandbox);
    for options in ["", "--dtype f32", "--dtype bf16"] {
        let command = sandbox.slicegpt(".", &format!("{COMPRESS} {options}"));
        assert_eq!(sandbox.complaint(command, &["lm_head.weight"]), None);
        let command = sandbox.slicegpt(".", &format!("{COMPRESS} {options}"));
        let stderr = command.run().stderr;
        assert!(!stderr.contains("use --dtype"), "{stderr}");
    }
}
