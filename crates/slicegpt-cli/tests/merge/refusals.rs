//! Adapters that are refused: one line, exit code 2, and nothing is left.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use slicegpt_testkit::{Tensors, Workshop};

use crate::made;

/// A model, and an adapter for it in the folder `adapter`.
fn workshop() -> Workshop {
    let workshop = Workshop::new("families/llama2");
    made::write_for(&workshop.model(""), &workshop.path("adapter"));
    workshop
}

fn entries(workshop: &Workshop) -> BTreeSet<std::path::PathBuf> {
    let entries = std::fs::read_dir(workshop.path("")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Checks that `command` is refused with an error that contains all of `says`, and leaves nothing
/// behind.
fn refuses(workshop: &Workshop, command: &str, says: &[&str]) {
    let before = entries(workshop);
    workshop.cli(command).refuse(says);
    assert_eq!(entries(workshop), before, "{command}");
}

const MERGE: &str = "merge MODEL adapter --out out";

#[test]
fn keys_that_are_not_implemented_are_refused() {
    let workshop = workshop();
    let good = workshop.read_json("adapter/adapter_config.json");
    let with = |key: &str, value: Value, says: &[&str]| {
        let mut config = good.clone();
        config[key] = value;
        workshop.write("adapter/adapter_config.json", config.to_string());
        let says = [&["adapter/adapter_config.json: ", key][..], says].concat();
        refuses(&workshop, MERGE, &says);
    };
    with("use_dora", json!(true), &["DoRA", "merge_and_unload"]);
    with("peft_type", json!("IA3"), &["only LORA"]);
    with("fan_in_fan_out", json!(true), &["must be false"]);
    with("init_lora_weights", json!("pissa"), &["path_initial_model_for_weight_conversion"]);
    with("modules_to_save", json!(["lm_head"]), &["lm_head", "incomplete"]);
    with("some_later_key", json!(1), &["not known here"]);
    with("target_modules", json!("(?<=x)q_proj"), &["name the modules"]);
    with("r", json!(0), &["a rank from 1"]);
    workshop.write("adapter/adapter_config.json", "{");
    refuses(&workshop, MERGE, &["adapter_config.json: not valid JSON"]);
}

#[test]
fn an_adapter_of_another_model_is_refused_by_tensor() {
    let workshop = workshop();
    let says = ["model.layers.0.", "does not have", "org/base, says its config", "trained on"];
    refuses(&workshop, "merge FIXTURES/families/opt adapter --out out", &says);
    let says = ["`model.layers.", ".weight` of shape", "in FIXTURES", "it has shape"];
    let says = says.map(|text| text.replace("FIXTURES", "")).to_vec();
    let says: Vec<&str> = says.iter().map(String::as_str).collect();
    refuses(&workshop, "merge FIXTURES/models/ts-llama3-gqa adapter --out out", &says);

    // A target that is nowhere in the model, and one that the file has no matrices for.
    let good = workshop.read_json("adapter/adapter_config.json");
    let with = |targets: Value, says: &[&str]| {
        let mut config = good.clone();
        config["target_modules"] = targets;
        workshop.write("adapter/adapter_config.json", config.to_string());
        refuses(&workshop, MERGE, says);
    };
    with(json!(["c_attn"]), &["adapter: ", "(c_attn) selects no module of"]);
    with(json!(".*\\.c_attn"), &["(.*\\.c_attn) selects no module of"]);
    with(json!(["q_proj"]), &["has matrices for", "does not select"]);
    with(json!(".*"), &["selects `", "there are no matrices for it"]);
}

#[test]
fn another_vocabulary_is_refused() {
    let workshop = workshop();
    let config = slicegpt_testkit::read_json(&workshop.model("config.json"));
    let [tokens, width] =
        ["vocab_size", "hidden_size"].map(|key| config[key].as_u64().unwrap() as usize);
    let file = workshop.path("adapter/adapter_model.safetensors");
    let mut tensors = Tensors::read(&file);
    let name = "base_model.model.lm_head.weight";
    tensors.insert(name, &[tokens + 3, width], vec![0.0; (tokens + 3) * width]);
    tensors.write_f32(&file);
    let says = [format!("vocabulary of {} tokens", tokens + 3), format!("has {tokens}")];
    refuses(&workshop, MERGE, &["lm_head.weight", &says[0], &says[1]]);
}

#[test]
fn values_and_files_that_are_damaged_are_refused() {
    let workshop = workshop();
    let file = workshop.path("adapter/adapter_model.safetensors");
    let good = std::fs::read(&file).unwrap();
    let mut tensors = Tensors::read(&file);
    let name = tensors.names().last().unwrap().to_string();
    let (shape, values) = tensors.get(&name).unwrap();
    let (shape, mut values) = (shape.to_vec(), values.to_vec());
    values[0] = f64::NAN;
    tensors.insert(&name, &shape, values);
    tensors.write_f32(&file);
    // It is found when the tensor is read, after others were written.
    refuses(&workshop, MERGE, &["adapter_model.safetensors", &name, "NaN"]);
    std::fs::write(&file, &good[..good.len() - 4]).unwrap();
    refuses(&workshop, MERGE, &["adapter_model.safetensors", "truncated"]);
    std::fs::remove_file(&file).unwrap();
    refuses(&workshop, MERGE, &["adapter", "no weights found"]);
    std::fs::remove_file(workshop.path("adapter/adapter_config.json")).unwrap();
    refuses(&workshop, MERGE, &["adapter", "adapter_config.json is missing"]);
    refuses(&workshop, "merge MODEL nowhere --out out", &["nowhere", "no such directory"]);
    refuses(&workshop, "merge MODEL MODEL --out out", &["adapter_config.json is missing"]);
}

#[test]
fn outputs_that_would_damage_an_input_are_refused() {
    let workshop = workshop();
    for out in ["adapter", "adapter/inside", "."] {
        refuses(&workshop, &format!("merge MODEL adapter --out {out} --force"), &[out]);
    }
    workshop.write("file", "");
    refuses(&workshop, "merge MODEL adapter --out file", &["file"]);
    let too_large = "merge MODEL adapter --out out --dtype f16";
    let mut adapter = workshop.read_json("adapter/adapter_config.json");
    adapter["lora_alpha"] = json!(1e9);
    workshop.write("adapter/adapter_config.json", adapter.to_string());
    refuses(&workshop, too_large, &["does not fit float16", "--dtype bf16"]);
}

/// Another command that is given the adapter says what to do.
#[test]
fn an_adapter_in_the_place_of_a_model_is_named() {
    let workshop = workshop();
    std::fs::copy(workshop.model("config.json"), workshop.path("adapter/config.json")).unwrap();
    let says = ["adapter", "(PEFT)", "org/base", "slicegpt merge"];
    refuses(&workshop, "inspect adapter", &says);
}
