//! Missing devices, and invalid options about devices.

use crate::sandbox::{ALL, COMPRESS, LOGITS, READERS, Sandbox, VERIFY};

/// Checks that every command that computes refuses `options` with an error that contains `says`.
fn check(options: &str, says: &[&str]) {
    let sandbox = Sandbox::new("families/llama2");
    let computing: Vec<_> = READERS.iter().filter(|command| !command.contains("inspect")).collect();
    assert_eq!(computing.len() + 2, ALL.len());
    for command in computing {
        let slicegpt = sandbox.slicegpt(".", &format!("{command} {options}"));
        if let Some(complaint) = sandbox.complaint(slicegpt, says) {
            panic!("{command} {options}: {complaint}");
        }
    }
}

#[test]
fn a_device_that_does_not_exist_is_named() {
    let known = "cpu, wgpu[:i], vulkan[:i], metal[:i], cuda[:i] or auto";
    for device in ["gpu", "cpu:x", "cuda:-1", "CPU"] {
        check(&format!("--device {device}"), &[device, known]);
    }
    check("--device cpu:1", &["cpu:1", "slicegpt devices"]);
    // No machine has a thousand devices.
    for (compiled, kind) in [(cfg!(feature = "wgpu"), "wgpu"), (cfg!(feature = "cuda"), "cuda")] {
        match compiled {
            true => check(&format!("--device {kind}:999"), &[kind, ":999", "slicegpt devices"]),
            false => check(&format!("--device {kind}"), &[kind, "built without it", "--features"]),
        }
    }
}

#[test]
fn batch_sizes_are_numbers_or_auto() {
    for size in ["0", "many", "99999999999"] {
        check(&format!("--batch-size {size}"), &["--batch-size", "auto"]);
    }
    check("--device-memory 5XB", &["--device-memory", "unknown unit"]);
}

#[test]
fn where_the_signal_waits_must_be_a_folder() {
    let sandbox = Sandbox::new("families/llama2");
    sandbox.write("file", "");
    for place in ["nowhere", "file"] {
        let command = sandbox.slicegpt(".", &format!("{COMPRESS} --device cpu --spill {place}"));
        assert_eq!(sandbox.complaint(command, &["--spill", place]), None);
    }
}

#[test]
fn types_that_do_not_exist_are_refused() {
    let sandbox = Sandbox::new("families/llama2");
    for option in ["--compute-dtype", "--stream-dtype", "--covariance"] {
        let command = sandbox.slicegpt(".", &format!("{COMPRESS} {option} f8"));
        assert_eq!(sandbox.complaint(command, &[option, "f8"]), None);
    }
    // The other commands have no such option.
    for command in [VERIFY, LOGITS] {
        let command = sandbox.slicegpt(".", &format!("{command} --covariance f64"));
        assert_eq!(sandbox.complaint(command, &["--covariance"]), None);
    }
}

/// Activations that overflow in half precision: the error names the block and a remedy.
#[test]
fn an_overflow_in_half_precision_names_the_type() {
    let sandbox = Sandbox::new("families/llama2");
    let down = "model.layers.0.mlp.down_proj.weight";
    sandbox.tensor("dense/model.safetensors", down, |bytes| {
        for x in bytes.chunks_exact_mut(4) {
            let large = f32::from_le_bytes((&*x).try_into().unwrap()) * 1e9;
            x.copy_from_slice(&large.to_le_bytes());
        }
    });
    let run = |options: &str| sandbox.slicegpt(".", &format!("{COMPRESS} --device cpu {options}"));
    let says = ["sublayer 1 of block 0", "--compute-dtype f16", "bf16 or f32"];
    assert_eq!(sandbox.complaint(run("--compute-dtype f16"), &says), None);
    let says = ["sublayer 1 of block 0", "--stream-dtype f16", "bf16 or f32"];
    assert_eq!(sandbox.complaint(run("--stream-dtype f16"), &says), None);
    run("--compute-dtype bf16").succeed();
}
