//! Tensors of `adapter_model.safetensors` that do not fit each other or the config.

use slicegpt_adapters::Adapter;

use crate::kit::{Files, Q};

#[test]
fn tensors_that_do_not_fit_are_refused() {
    type Change = fn(&mut Files);
    let cases: [(Change, &[&str]); 12] = [
        (|files| remove(files, "lora_A.weight"), &["lora_B.weight", "stands alone"]),
        (|files| remove(files, "lora_B.weight"), &["lora_A.weight", "stands alone"]),
        (
            |files| files.insert(&format!("{Q}.lora_A.weight"), &[3, 4], |_| 0.0),
            &["lora_A.weight", "[3, 4]", "its rank is 2"],
        ),
        (
            |files| files.insert(&format!("{Q}.lora_B.weight"), &[3, 3], |_| 0.0),
            &["lora_B.weight", "[3, 3]", "its rank is 2"],
        ),
        (
            |files| files.insert(&format!("{Q}.lora_B.weight"), &[6], |_| 0.0),
            &["lora_B.weight", "expected a matrix"],
        ),
        (
            |files| files.insert(&format!("{Q}.lora_A.weight"), &[2, 0], |_| 0.0),
            &["lora_A.weight", "expected a matrix"],
        ),
        (
            |files| files.insert(&format!("{Q}.lora_magnitude_vector"), &[3], |_| 0.0),
            &["lora_magnitude_vector", "DoRA"],
        ),
        (
            |files| files.insert(&format!("{Q}.lora_B.bias"), &[3], |_| 0.0),
            &["lora_B.bias", "lora_bias"],
        ),
        (
            |files| files.insert(&format!("{Q}.lora_A.default.weight"), &[2, 4], |_| 0.0),
            &["lora_A.default.weight", "no name that PEFT gives"],
        ),
        (
            |files| {
                files.tensors.insert("q_proj.weight".into(), (vec![1], vec![0.0]));
            },
            &["`q_proj.weight`", "no name that PEFT gives"],
        ),
        (
            |files| {
                files.insert("norm.weight", &[4], |_| 0.0);
                files.insert("norm.base_layer.weight", &[4], |_| 0.0);
            },
            &["norm", "is there twice"],
        ),
        (
            |files| files.insert(&"x".repeat(2000), &[4], |_| 0.0),
            &["xxx...", "has a name that is too long"],
        ),
    ];
    for (change, says) in cases {
        let mut files = Files::new();
        change(&mut files);
        let error = files.refused();
        for words in says.iter().chain(&["adapter_model.safetensors: "]) {
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}

fn remove(files: &mut Files, end: &str) {
    files.tensors.retain(|name, _| !name.ends_with(end));
}

#[test]
fn values_that_are_not_finite_are_refused_when_they_are_read() {
    for value in [f32::NAN, f32::INFINITY] {
        let mut files = Files::new();
        files.insert(&format!("{Q}.lora_B.weight"), &[3, 2], |i| if i == 5 { value } else { 1.0 });
        let adapter = files.open();
        let error = adapter.delta(Q).unwrap_err().to_string();
        assert!(error.contains("lora_B.weight") && error.contains("NaN"), "{error}");
    }
    let mut files = Files::new();
    files.config["lora_alpha"] = 1e38.into();
    let mut weight = vec![1.0; 12];
    let error = files.open().apply(&format!("{Q}.weight"), &mut weight).unwrap_err().to_string();
    assert!(error.contains("is not finite"), "{error}");
}

#[test]
fn files_of_weights_that_are_missing_or_damaged_are_refused() {
    let files = Files::new();
    let path = files.write();
    let file = path.join("adapter_model.safetensors");
    let whole = std::fs::read(&file).unwrap();
    let says = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        Adapter::open(&path).err().expect("an error").to_string()
    };
    assert!(says(&whole[..whole.len() - 1]).contains("truncated"));
    assert!(says(b"").contains("adapter_model.safetensors"));
    assert!(says(b"version https://git-lfs.github.com/spec/v1\n").contains("git lfs pull"));
    assert!(says(b"\xff\xff\xff\xff\xff\xff\xff\x7f{").contains("truncated"));
    std::fs::remove_file(&file).unwrap();
    let error = Adapter::open(&path).err().expect("an error").to_string();
    assert!(error.contains("no weights found"), "{error}");
    // A pickle is read as data.
    std::fs::write(path.join("adapter_model.bin"), b"cposix\nsystem\n(S'true'\ntR.").unwrap();
    let error = Adapter::open(&path).err().expect("an error").to_string();
    assert!(error.contains("posix.system") && error.contains("nothing was run"), "{error}");
    let mut empty = Files::new();
    empty.tensors.clear();
    assert!(empty.refused().contains("it holds no tensors"));
}
