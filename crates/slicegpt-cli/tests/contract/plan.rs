//! `plan`: predicts what `compress` does, from `config.json` alone.

use serde_json::json;
use slicegpt_testkit::Workshop;

/// A workshop whose folder `bare` holds the config of `case` and nothing else.
fn bare(case: &str) -> Workshop {
    let workshop = Workshop::new(case);
    std::fs::create_dir(workshop.path("bare")).unwrap();
    workshop.write("bare/config.json", std::fs::read(workshop.model("config.json")).unwrap());
    workshop
}

#[test]
fn a_plan_needs_no_weights_and_compress_follows_it() {
    for case in ["families/llama2", "families/opt", "families/phi", "families/phi3"] {
        for options in ["", "--sparsity 0.3 --sparsity-end 0.5 --slice-head", "--round-to 5"] {
            let options = format!("--method per-layer {options}");
            let workshop = bare(case);
            let plan = workshop.json(&format!("plan bare {options}"));
            workshop.write("plan.json", plan.to_string());
            let compress = "compress MODEL --calibration MODEL/expected.safetensors --samples 2";
            let by_plan = workshop
                .json(&format!("{compress} --out by-plan --method per-layer --plan plan.json"));
            let by_options = workshop.json(&format!("{compress} --out by-options {options}"));
            for key in ["widths", "params_before", "params_after", "real_reduction", "bytes_after"]
            {
                assert_eq!(by_plan[key], plan[key], "{case} {options}: {key}");
                assert_eq!(by_options[key], plan[key], "{case} {options}: {key}");
            }
            assert_eq!(by_options["nominal_sparsity"], plan["nominal_sparsity"]);
            // A file with widths has no single sparsity.
            assert!(by_plan["nominal_sparsity"].is_null());
            // The same widths give the same weights, whichever option set them.
            let weights = |out: &str| std::fs::read(workshop.path(out).join("model.safetensors"));
            assert!(weights("by-plan").unwrap() == weights("by-options").unwrap(), "{case}");
        }
    }
}

#[test]
fn a_plan_file_is_a_list_or_an_object() {
    let workshop = bare("families/llama2");
    let widths = json!([8, 16, 24, 32, 9]);
    workshop.write("list.json", widths.to_string());
    workshop.write("object.json", json!({ "widths": widths, "note": "mine" }).to_string());
    for file in ["list.json", "object.json"] {
        let plan = workshop.json(&format!("plan bare --method per-layer --plan {file}"));
        assert_eq!(plan["widths"], widths, "{file}");
    }
}

#[test]
fn a_plan_counts_bytes_in_the_given_type() {
    let workshop = bare("families/llama2");
    let bytes = |options: &str| {
        let plan = workshop.json(&format!("plan bare {options}"));
        let parameters = plan["params_after"].as_u64().unwrap();
        plan["bytes_after"].as_u64().unwrap() / parameters
    };
    assert_eq!(bytes(""), 4);
    assert_eq!(bytes("--dtype f32"), 4);
    assert_eq!(bytes("--dtype bf16"), 2);
    assert_eq!(bytes("--dtype f16"), 2);
}
