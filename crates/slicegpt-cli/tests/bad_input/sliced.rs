//! Sliced checkpoints: they are not sliced again, and their section in the config must be true.

use serde_json::{Value, json};

use crate::sandbox::{Sandbox, check_commands, none};

/// A sandbox with the sliced checkpoint `sliced`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new("families/llama2");
    let compress =
        "compress dense --out sliced --calibration tokens.safetensors --method per-layer";
    sandbox.slicegpt(".", compress).succeed();
    sandbox
}

#[test]
fn a_sliced_model_is_not_sliced_again() {
    let says = &["sliced", "sliced already", "dense checkpoint"][..];
    let rows = [
        ("compress sliced --out out --calibration tokens.safetensors", says),
        ("plan sliced", says),
        ("verify sliced", says),
    ];
    check_commands(&sandbox(), &rows);
}

#[test]
fn the_section_of_a_sliced_model_is_checked() {
    let sandbox = sandbox();
    let config: Value = serde_json::from_slice(&sandbox.read("sliced/config.json")).unwrap();
    let readers = [
        "inspect sliced",
        "eval ppl sliced --tokens tokens.safetensors",
        "logits sliced --tokens tokens.safetensors --out logits.safetensors",
    ];
    let all = [
        "compress sliced --out out --calibration tokens.safetensors",
        "plan sliced",
        "verify sliced",
    ];
    let all = [&readers[..], &all].concat();
    let mut complaints = Vec::new();
    let mut check = |commands: &[&str], field: &str, value: Value, says: &[&str]| {
        let mut config = config.clone();
        match (field, value) {
            ("", value) => config["slicegpt"] = value,
            (field, Value::Null) => drop(config["slicegpt"].as_object_mut().unwrap().remove(field)),
            (field, value) => config["slicegpt"][field] = value,
        }
        sandbox.write("sliced/config.json", config.to_string());
        let complaint = |command: &&str| sandbox.complaint(sandbox.slicegpt(".", command), says);
        complaints.extend(commands.iter().filter_map(complaint));
    };
    let section = "sliced/config.json";
    for section_value in [json!(null), json!(1), json!([]), json!({})] {
        check(&all, "", section_value, &[section, "slicegpt"]);
    }
    check(&all, "format", json!(2), &[section, "format 2", "update"]);
    check(&all, "format", json!("1"), &[section, "format"]);
    check(&all, "format", json!(u64::MAX), &[section, "format"]);
    check(&all, "format", Value::Null, &[section, "format"]);
    check(&all, "method", json!("per-head"), &[section, "per-head", "update"]);
    check(&all, "method", Value::Null, &[section, "method"]);
    check(&all, "calibration", Value::Null, &[section, "calibration"]);
    check(&all, "params_before", json!(-1), &[section, "-1"]);
    for (widths, says) in [
        (json!([24, 24, 24, 32]), "4 widths"),
        (json!([24, 24, 24, 24, 24, 32]), "6 widths"),
        (json!([]), "0 widths"),
        (json!([0, 24, 24, 24, 32]), "width 0 at cut 0"),
        (json!([24, 24, 24, 24, 33]), "width 33 at cut 4"),
        (json!([24, -24, 24, 24, 32]), "-24"),
        (json!("24"), "24"),
        (Value::Null, "widths"),
    ] {
        check(&all, "widths", widths, &[section, says]);
    }
    // Valid widths, but not those of these tensors.
    let says = ["sliced/model.safetensors", "`model.layers.0.", "config.json says"];
    check(&readers, "widths", json!([24, 16, 24, 24, 32]), &says);
    none(&complaints);
}
