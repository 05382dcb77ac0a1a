//! `export gguf`: models that llama.cpp cannot run, invalid tokenizers, values that do not fit a
//! type, and files that must not be replaced.

use serde_json::json;

use crate::sandbox::{Damage, Sandbox, check_commands, check_damages};

const EXPORT: &str = "export gguf dense --out model.gguf";
const F16: &str = "export gguf dense --out model.gguf --type f16";
const Q4: &str = "export gguf dense --out model.gguf --type q4_0";

#[test]
fn models_that_llama_cpp_cannot_run_are_refused_with_advice() {
    let sandbox = Sandbox::new("families/llama2");
    let cut = "--calibration tokens.safetensors --hidden-size 24";
    let tokens = "--calibration tokens.safetensors --method per-layer";
    sandbox.slicegpt(".", &format!("compress dense --out sliced {tokens}")).succeed();
    let free = format!("compress dense --out free {cut} --mlp-widths free");
    sandbox.slicegpt(".", &free).succeed();
    let would = "--method shared --align 256";
    check_commands(
        &sandbox,
        &[
            ("export gguf sliced --out model.gguf", &["sliced: ", "shortcut matrix", would]),
            ("export gguf free --out model.gguf", &["free: ", "different widths", would]),
            ("export gguf nowhere --out model.gguf", &["nowhere", "no such directory"]),
            ("export gguf dense --out model.gguf --type q4_k_l", &["q4_k_l", "q4_k_m"]),
            ("export gguf dense --out model.gguf --pre-tokenizer mine", &["mine", "qwen2"]),
        ],
    );
    for case in ["families/opt", "families/phi"] {
        let says = &["dense: ", "llama, mistral, qwen2, qwen3, phi3"][..];
        check_commands(&Sandbox::new(case), &[(EXPORT, says)]);
    }
    let gelu = |sandbox: &Sandbox| {
        sandbox.json("dense/config.json", |config| config["hidden_act"] = json!("gelu"));
    };
    check_damages("families/llama2", &[EXPORT], &[(&gelu, &["dense: ", "SiLU"])]);
}

#[test]
fn an_existing_file_is_kept() {
    let sandbox = Sandbox::new("families/llama2");
    sandbox.slicegpt(".", EXPORT).succeed();
    sandbox.write("thesis.tex", "mine");
    sandbox.create_dir("other");
    check_commands(
        &sandbox,
        &[
            (EXPORT, &["model.gguf: exists", "--force"]),
            ("export gguf dense --out thesis.tex", &["thesis.tex: exists"]),
            (
                "export gguf dense --out thesis.tex --force",
                &["thesis.tex", "no GGUF file", "--out"],
            ),
            ("export gguf dense --out other --force", &["other: is a directory"]),
            ("export gguf dense --out dense/model.gguf", &["dense/model.gguf", "--out"]),
            ("export gguf dense --out tokens.safetensors/model.gguf", &["tokens.safetensors"]),
        ],
    );
    sandbox.slicegpt(".", &format!("{EXPORT} --force --type f16")).succeed();
}

#[test]
fn an_invalid_tokenizer_is_named() {
    let config = |name: &'static str, text: &'static str| {
        move |sandbox: &Sandbox| sandbox.write(&format!("dense/{name}"), text)
    };
    let [cut_short, empty, unigram] =
        ["{\"model\": ", "{}", "{\"model\": {\"type\": \"Unigram\"}}"];
    let damages: &[Damage<'_>] = &[
        (&config("tokenizer.json", cut_short), &["dense/tokenizer.json", "not valid JSON"]),
        (&config("tokenizer.json", empty), &["dense/tokenizer.json", "`model` is missing"]),
        (&config("tokenizer.json", unigram), &["dense/tokenizer.json", "Unigram"]),
        (&config("tokenizer_config.json", "["), &["dense/tokenizer_config.json", "not valid JSON"]),
    ];
    check_damages("models/ts-llama3-gqa", &[EXPORT], damages);
    let pieces = config("tokenizer.model", "pieces");
    let says = &["dense/tokenizer.model", "truncated"][..];
    check_damages("models/ts-phi3", &[EXPORT], &[(&pieces, says)]);
    let unknown = |sandbox: &Sandbox| {
        sandbox.json("dense/tokenizer.json", |tokenizer| {
            tokenizer["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = json!("[a-z]+");
        });
    };
    let says = &["dense/tokenizer.json", "[a-z]+", "--pre-tokenizer"][..];
    check_damages("models/ts-llama3-gqa", &[EXPORT], &[(&unknown, says)]);
}

#[test]
fn a_value_that_does_not_fit_its_type_is_named() {
    let set = |value: f32| {
        move |sandbox: &Sandbox| {
            let name = "model.layers.1.mlp.up_proj.weight";
            sandbox.tensor("dense/model.safetensors", name, |bytes| {
                bytes[..4].copy_from_slice(&value.to_le_bytes());
            });
        }
    };
    let says = &["`blk.1.ffn_up.weight`", "1e9", "--type bf16"][..];
    check_damages("families/llama2", &[F16, Q4], &[(&set(1e9), says)]);
    let says = &["model.layers.1.mlp.up_proj.weight", "the checkpoint is damaged"][..];
    check_damages("families/llama2", &[EXPORT, F16, Q4], &[(&set(f32::NAN), says)]);
}
