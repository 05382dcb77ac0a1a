//! `calibrate` once, then `compress --stats` many times.

use slicegpt_testkit::{TRAINED, Workshop};

const TEXT: &str = "--samples 12 --seqlen 64";

fn weights(workshop: &Workshop, out: &str) -> Vec<u8> {
    std::fs::read(workshop.path(out).join("model.safetensors")).unwrap()
}

#[test]
fn saved_statistics_give_the_same_result() {
    for model in [TRAINED, "models/ts-phi"] {
        let workshop = Workshop::new(model);
        let written = workshop.json(&format!("calibrate MODEL --out stats {TEXT}"));
        assert_eq!(written["bytes"], workshop.path("stats").metadata().unwrap().len());
        for options in ["--sparsity 0.25", "--keep-params 0.8 --refit none", "--sparsity 0.5"] {
            let command = format!("compress MODEL --force {TEXT} {options}");
            workshop.json(&format!("{command} --out computed"));
            workshop.json(&format!("{command} --out read --stats stats"));
            let same = weights(&workshop, "computed") == weights(&workshop, "read");
            assert!(same, "{model} {options}");
        }
    }
}

#[test]
fn statistics_of_another_model_are_refused() {
    let workshop = Workshop::new(TRAINED);
    workshop.json(&format!("calibrate MODEL --out stats {TEXT}"));
    workshop.write("torn", &std::fs::read(workshop.path("stats")).unwrap()[..3000]);
    workshop.write("empty", "");
    // As after a bit flip in the header.
    let whole = std::fs::read(workshop.path("stats")).unwrap();
    let name = b"importance.3.1.0";
    let at = whole.windows(name.len()).position(|window| window == name).unwrap();
    for (file, instead) in [("turned", b"importance.3.0.1"), ("lacking", b"jmportance.3.1.0")] {
        let mut damaged = whole.clone();
        damaged[at..at + name.len()].copy_from_slice(instead);
        workshop.write(file, damaged);
    }
    let other = "FIXTURES/models/ts-phi3";
    for (command, words) in [
        (
            "MODEL --stats stats --samples 11 --seqlen 64".into(),
            &["stats", "12 x 64", "11 x 64"][..],
        ),
        (format!("MODEL --stats stats {TEXT} --seed 1"), &["stats", "--seed"]),
        (format!("MODEL --stats stats {TEXT} --compute-dtype bf16"), &["--compute-dtype f32"]),
        (format!("MODEL --stats stats {TEXT} --covariance split-f32"), &["--covariance f64"]),
        (format!("{other} --stats stats {TEXT}"), &["stats", "another model"]),
        (format!("MODEL --stats turned {TEXT}"), &["turned", "damaged", "slicegpt calibrate"]),
        (format!("MODEL --stats lacking {TEXT}"), &["lacking", "damaged", "slicegpt calibrate"]),
        (format!("MODEL --stats torn {TEXT}"), &["torn", "slicegpt calibrate"]),
        (format!("MODEL --stats empty {TEXT}"), &["empty", "slicegpt calibrate"]),
        (format!("MODEL --stats nowhere {TEXT}"), &["nowhere"]),
        (format!("MODEL --stats MODEL/model.safetensors {TEXT}"), &["slicegpt calibrate"]),
        (format!("MODEL --stats stats {TEXT} --method per-layer"), &["--stats", "--method shared"]),
    ] {
        let output = workshop.run(&format!("compress {command} --out out"));
        assert_eq!(output.code, Some(2), "{command}");
        let message = output.stderr;
        assert!(words.iter().all(|word| message.contains(word)), "{command}: {message}");
        assert!(!workshop.path("out").exists(), "{command}");
    }
}

#[test]
fn calibrate_overwrites_no_file_of_a_model() {
    let workshop = Workshop::new("families/llama2");
    for (out, word) in [("MODEL/config.json", "the input"), (".", "directory")] {
        let tokens = "--calibration MODEL/expected.safetensors";
        let output = workshop.run(&format!("calibrate MODEL --out {out} {tokens}"));
        assert_eq!(output.code, Some(2), "{out}");
        assert!(output.stderr.contains(word), "{out}: {}", output.stderr);
    }
}
