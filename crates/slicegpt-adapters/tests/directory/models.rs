//! Adapters that belong to another model than the one they are checked against.

use serde_json::{Value, json};
use slicegpt_adapters::{BaseModel, Checked};

use crate::kit::{Files, Q, model};

fn refused(files: &Files, model: &BaseModel, says: &[&str]) {
    let error = files.open().check(model).unwrap_err().to_string();
    for words in says {
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn an_adapter_for_this_model_is_accepted() {
    let mut files = Files::new();
    assert_eq!(files.open().check(&model()).unwrap(), Checked::default());
    // Names that no module has are what PEFT ignores.
    files.config["target_modules"] = json!(["q_proj", "c_attn"]);
    let checked = files.open().check(&model()).unwrap();
    assert_eq!(checked.unmatched, ["c_attn"]);
}

#[test]
fn an_adapter_for_another_model_is_refused_by_tensor() {
    let q = format!("{Q}.weight");
    let of = "(org/name, says its config)";
    let mut other = model();
    other.tensors.remove(&q);
    refused(&Files::new(), &other, &[&q, "[3, 4]", "dense does not have", of]);
    let mut other = model();
    other.tensors.insert(q.clone(), vec![6, 4]);
    refused(&Files::new(), &other, &[&q, "[3, 4]", "in dense it has shape [6, 4]", of]);
    let mut files = Files::new();
    files.insert("lm_head.weight", &[9, 4], |_| 0.0);
    refused(&files, &model(), &["lm_head.weight", "vocabulary of 9 tokens", "dense has 7"]);
    files.insert("lm_head.weight", &[7, 5], |_| 0.0);
    refused(&files, &model(), &["lm_head.weight", "[7, 5]", "[7, 4]"]);
}

#[test]
fn matrices_and_selection_must_agree() {
    let select = |targets: Value| {
        let mut files = Files::new();
        files.config["target_modules"] = targets;
        files
    };
    refused(&select(json!(["q_proj", "up_proj"])), &model(), &["mlp.up_proj", "no matrices"]);
    refused(&select(json!("all-linear")), &model(), &["mlp.up_proj", "no matrices"]);
    refused(&select(json!(".*_proj")), &model(), &["mlp.up_proj", "no matrices"]);
    refused(&select(json!(["up_proj"])), &model(), &[Q, "does not select"]);
    refused(&select(json!(["c_attn"])), &model(), &["c_attn", "selects no module", "dense"]);
    refused(&select(json!("(?=a)")), &model(), &["(?=a)", "name the modules"]);
    let mut files = select(json!("all-linear"));
    files.config["exclude_modules"] = json!(["up_proj"]);
    files.open().check(&model()).unwrap();
    files.config["layers_to_transform"] = json!([1]);
    files.config["target_modules"] = json!(["q_proj"]);
    refused(&files, &model(), &["selects no module"]);
}

#[test]
fn a_tied_head_that_is_changed_alone_is_known() {
    let mut tied = model();
    tied.tied = true;
    tied.tensors.remove("lm_head.weight");
    assert!(!Files::new().open().check(&tied).unwrap().unties);
    for name in ["lm_head.weight", "model.embed_tokens.weight"] {
        let mut files = Files::new();
        files.insert(name, &[7, 4], |_| 0.0);
        assert!(files.open().check(&tied).unwrap().unties, "{name}");
        assert!(!files.open().check(&model()).unwrap().unties, "{name}");
    }
    let mut files = Files::new();
    files.config["ensure_weight_tying"] = json!(true);
    files.insert("model.embed_tokens.weight", &[7, 4], |_| 0.0);
    assert!(!files.open().check(&tied).unwrap().unties);
    files.tensors.clear();
    files.insert("lm_head.lora_A.weight", &[2, 4], |_| 0.0);
    files.insert("lm_head.lora_B.weight", &[7, 2], |_| 0.0);
    files.config["target_modules"] = json!(["lm_head"]);
    refused(&files, &tied, &["ensure_weight_tying"]);
    files.config["ensure_weight_tying"] = json!(false);
    assert!(files.open().check(&tied).unwrap().unties);
}
