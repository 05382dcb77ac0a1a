//! GGUF files in: what is damaged, missing or not read, and outputs that must not be replaced.

use slicegpt_testkit::RawGguf;

use crate::sandbox::{Sandbox, check_commands, none};

const IMPORT: &str = "import gguf model.gguf --out imported";
const READERS: &[&str] = &[
    IMPORT,
    "inspect model.gguf",
    "verify model.gguf",
    "compress model.gguf --out out --calibration tokens.safetensors",
    "logits model.gguf --tokens tokens.safetensors --out logits.safetensors",
    "export gguf model.gguf --out other.gguf",
];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new("families/llama2");
    sandbox.slicegpt(".", "export gguf dense --out model.gguf").succeed();
    sandbox
}

/// Checks that all readers refuse the file after `damage`.
fn check(damage: impl Fn(&Sandbox), says: &[&str]) {
    let sandbox = sandbox();
    damage(&sandbox);
    let complaint = |command: &&str| sandbox.complaint(sandbox.slicegpt(".", command), says);
    none(&READERS.iter().filter_map(complaint).collect::<Vec<_>>());
}

#[test]
fn a_damaged_file_is_refused_by_name() {
    let edited = |edit: fn(&mut Vec<u8>)| {
        move |sandbox: &Sandbox| {
            let mut bytes = sandbox.read("model.gguf");
            edit(&mut bytes);
            sandbox.write("model.gguf", bytes);
        }
    };
    check(edited(|bytes| bytes.truncate(1000)), &["model.gguf: ", "truncated"]);
    check(edited(|bytes| bytes.truncate(40_000)), &["model.gguf: tensor `", "truncated"]);
    check(edited(|bytes| bytes.clear()), &["model.gguf: not a GGUF file"]);
    check(edited(|bytes| bytes[0] = b'X'), &["model.gguf: not a GGUF file"]);
    check(edited(|bytes| bytes[4..8].reverse()), &["model.gguf: ", "big-endian"]);
    check(edited(|bytes| bytes[4] = 1), &["model.gguf: GGUF version 1"]);
    check(edited(|bytes| bytes[8..16].fill(0xff)), &["model.gguf: the number of tensors"]);
    check(edited(|bytes| bytes[16..24].fill(0xff)), &["model.gguf: the number of fields"]);
}

#[test]
fn a_model_that_is_not_read_is_refused_by_name() {
    let edited = |edit: fn(&mut RawGguf)| {
        move |sandbox: &Sandbox| {
            let mut file = RawGguf::read(&sandbox.path("model.gguf"));
            edit(&mut file);
            sandbox.write("model.gguf", file.bytes());
        }
    };
    check(
        edited(|file| file.set("general.architecture", RawGguf::text("gemma3"))),
        &["model.gguf: ", "`gemma3`", "qwen3"],
    );
    check(
        edited(|file| file.set("llama.expert_count", RawGguf::number(8))),
        &["model.gguf: ", "`llama.expert_count`"],
    );
    check(
        edited(|file| file.set("llama.block_count", RawGguf::number(1))),
        &["model.gguf: tensor `blk.1."],
    );
    check(
        edited(|file| {
            let tensor = file.tensor("blk.1.ffn_norm.weight");
            (tensor.ty, tensor.dimensions) = (19, vec![256]);
        }),
        &["model.gguf: ", "IQ1_S", "Q4_K"],
    );
}

#[test]
fn weights_that_are_not_finite_or_do_not_fit_are_named() {
    let sandbox = sandbox();
    let set = |value: f32| {
        let mut file = RawGguf::read(&sandbox.path("model.gguf"));
        file.tensor("blk.1.ffn_up.weight").data[..4].copy_from_slice(&value.to_le_bytes());
        sandbox.write("model.gguf", file.bytes());
    };
    set(f32::INFINITY);
    let name = "model.layers.1.mlp.up_proj.weight";
    check_commands(
        &sandbox,
        &[(IMPORT, &["model.gguf: ", name, "infinity"]), ("verify model.gguf", &[name])],
    );
    set(1e9);
    let narrow = "import gguf model.gguf --out imported --dtype f16";
    check_commands(&sandbox, &[(narrow, &[name, "float16", "--dtype bf16"])]);
}

#[test]
fn files_and_outputs_are_kept_apart() {
    let sandbox = sandbox();
    sandbox.create_dir("thesis");
    sandbox.write("thesis/thesis.tex", "mine");
    check_commands(
        &sandbox,
        &[
            ("import gguf nowhere.gguf --out imported", &["nowhere.gguf: "]),
            ("inspect nowhere.gguf", &["nowhere.gguf: no such file"]),
            ("inspect org/nowhere.gguf", &["org/nowhere.gguf: no such file"]),
            ("import gguf dense --out imported", &["dense: not a file"]),
            ("import gguf tokens.safetensors --out imported", &["tokens.safetensors: not a GGUF"]),
            ("import gguf model.gguf --out dense", &["dense: exists", "--force"]),
            ("import gguf model.gguf --out thesis --force", &["thesis: not replaced"]),
            ("import gguf model.gguf --out . --force", &["must not be the input"]),
            ("export gguf model.gguf --out model.gguf --force", &["must not be the input"]),
            ("report model.gguf --out page.html", &["model.gguf: a GGUF file", "compress"]),
            ("import gguf model.gguf", &["--out"]),
            ("import", &["--base"]),
        ],
    );
}

/// Not the temporary directory that stands for the file while a command runs.
#[test]
fn errors_about_the_tokenizer_name_the_file() {
    let sandbox = sandbox();
    let generate = "generate model.gguf --prompt a";
    let eval = "eval ppl model.gguf --text text.txt";
    sandbox.write("text.txt", "once upon a time");
    let says = &["model.gguf: tokenizer.json is missing"][..];
    check_commands(&sandbox, &[(generate, says), (eval, says)]);
    for command in [generate, eval] {
        let stderr = sandbox.slicegpt(".", command).run().stderr;
        assert!(!stderr.contains("/slicegpt-"), "{stderr}");
    }
    let nowhere = sandbox.slicegpt(".", "inspect model.gguf").env("TMPDIR", "/nowhere");
    nowhere.refuse(&["temporary files (TMPDIR)"]);
}

/// A pipe is not waited for.
#[cfg(unix)]
#[test]
fn special_files_are_refused() {
    let sandbox = sandbox();
    let pipe = sandbox.path("pipe.gguf");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (command, says) in [
        ("import gguf pipe.gguf --out imported", "pipe.gguf: not a file"),
        ("inspect pipe.gguf", "pipe.gguf: no such directory"),
        ("import gguf /dev/zero --out imported", "/dev/zero: not a file"),
    ] {
        sandbox.slicegpt(".", command).refuse(&[says]);
    }
}
