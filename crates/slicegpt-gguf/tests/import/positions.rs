//! Rotary positions come back: the same frequencies and the same factor of cosine and sine.

use serde_json::{Value, json};
use slicegpt_gguf::{FileType, Import};
use slicegpt_models::{Positions, Rope, Scaling};

use crate::{Fixture, Scratch};

fn rope(spec: &slicegpt_models::DecoderSpec) -> &Rope {
    let Positions::Rotary(rope) = &spec.positions else { panic!("rotary positions") };
    rope
}

#[track_caller]
fn check(name: &str, edit: impl FnOnce(&mut Value)) -> Import {
    let model = Fixture::edited(name, edit);
    let scratch = Scratch::export(&model, FileType::F32);
    let import = Import::open(&scratch.path).unwrap();
    let (ours, right) = (rope(import.spec()), rope(&model.spec));
    assert_eq!(ours.dim, right.dim, "{name}");
    // On both sides of the context before the scaling.
    for length in [4, 20, 60] {
        let ((ours, attention), (right, their_attention)) =
            (ours.frequencies(length), right.frequencies(length));
        assert!((attention / their_attention - 1.0).abs() < 1e-6, "{name} {length}");
        for (ours, right) in ours.iter().zip(&right) {
            assert!((ours / right - 1.0).abs() < 1e-6, "{name} {length}: {ours} {right}");
        }
    }
    import
}

fn scaled(scaling: Value) -> impl FnOnce(&mut Value) {
    move |config| config["rope_scaling"] = scaling
}

#[test]
fn scalings_come_back() {
    for name in ["llama2", "qwen2", "phi3", "phi4-mini", "phi3-longrope", "llama-yarn"] {
        check(name, |_| {});
    }
    check("llama2", scaled(json!({ "rope_type": "linear", "factor": 4.0 })));
    let yarn = json!({ "rope_type": "yarn", "factor": 4.0, "attention_factor": 1.5 });
    check("llama2", scaled(yarn));
    check("qwen2", scaled(json!({ "rope_type": "yarn", "factor": 4.0 })));
}

#[test]
fn the_scaling_of_llama_3_is_recognised_by_its_divisors() {
    let import = check("llama31", |_| {});
    assert!(matches!(rope(import.spec()).scaling, Scaling::Llama3 { factor: 8.0, .. }));
    let scaling = &import.config()["rope_scaling"];
    assert_eq!(scaling["rope_type"], "llama3");
    // With another ramp they stay divisors.
    let ramp = |config: &mut Value| config["rope_scaling"]["high_freq_factor"] = json!(3.0);
    let import = check("llama31", ramp);
    assert_eq!(import.config()["rope_scaling"]["rope_type"], "longrope");
}

#[test]
fn yarn_with_its_own_betas_comes_back_as_divisors() {
    let yarn = json!({ "rope_type": "yarn", "factor": 4.0, "beta_fast": 20.0 });
    let import = check("llama2", scaled(yarn));
    assert_eq!(import.config()["rope_scaling"]["rope_type"], "longrope");
}
