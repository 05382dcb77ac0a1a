//! Quality: better than the paper at the same real size, and a refit never makes it worse.

use serde_json::Value;
use slicegpt_testkit::{TRAINED, Workshop};

const MODELS: [&str; 4] = [TRAINED, "models/ts-opt", "models/ts-phi", "models/ts-phi3"];
const EVAL: &str = "--text FIXTURES/text/valid.txt --seqlen 256 --max-samples 24";

fn perplexity(workshop: &Workshop, model: &str) -> f64 {
    workshop.json(&format!("eval ppl {model} {EVAL}"))["perplexity"].as_f64().unwrap()
}

fn divergence(workshop: &Workshop, model: &str) -> Value {
    workshop.json(&format!("eval kl MODEL {model} {EVAL}"))
}

/// The excess of perplexity over the dense model: shared at 25 % against per-layer at less.
#[test]
fn shared_beats_the_paper_at_the_same_real_size() {
    let bounds = [(0.8, 0.35), (0.3, 0.45), (0.75, 0.3), (0.75, 0.35)];
    for (model, (most, sparsity)) in MODELS.into_iter().zip(bounds) {
        let workshop = Workshop::new(model);
        let dense = perplexity(&workshop, "MODEL");
        let text = "--samples 64 --seqlen 256";
        workshop.json(&format!("compress MODEL --out shared {text} --keep-params 0.75"));
        let shared = perplexity(&workshop, "shared") - dense;
        // The per-layer method cuts less here, which makes the comparison harder for the shared
        // one.
        let paper =
            format!("compress MODEL --out paper {text} --method per-layer --sparsity {sparsity}");
        let reduction = workshop.json(&paper)["real_reduction"].as_f64().unwrap();
        assert!(reduction < 0.25, "{model}: {reduction}");
        let paper = perplexity(&workshop, "paper") - dense;
        assert!(shared <= most * paper, "{model}: {shared} against {paper}");
    }
}

/// If the checkpoint need not be stock, each MLP gets a width by the importance of its channels.
#[test]
fn free_mlp_widths_help() {
    for model in [TRAINED, "models/ts-phi3"] {
        let workshop = Workshop::new(model);
        let kl = |widths: &str| {
            let text = "--samples 32 --seqlen 256";
            let size = "--hidden-size 104 --intermediate-size 256";
            let command = format!("compress MODEL --out out --force {text} {size}");
            workshop.json(&format!("{command} --mlp-widths {widths}"));
            divergence(&workshop, "out")["kl"].as_f64().unwrap()
        };
        let [uniform, free] = ["uniform", "free"].map(kl);
        assert!(free < 0.9 * uniform, "{model}: {free} against {uniform}");
    }
}

#[test]
fn a_refit_helps() {
    for model in MODELS {
        let workshop = Workshop::new(model);
        let kl = |options: &str| {
            let command =
                format!("compress MODEL --out out --force --samples 32 --seqlen 256 {options}");
            workshop.json(&command);
            divergence(&workshop, "out")["kl"].as_f64().unwrap()
        };
        for size in ["--method shared --sparsity 0.25", "--method per-layer --sparsity 0.3"] {
            let [plain, refitted] =
                ["none", "ridge"].map(|how| kl(&format!("{size} --refit {how}")));
            assert!(refitted < plain, "{model} {size}: {refitted} against {plain}");
        }
    }
}

/// With fewer tokens than the stream is wide, a refit is underdetermined, and must not make it
/// worse.
#[test]
fn a_refit_on_very_little_text_is_no_worse_than_none() {
    for model in MODELS {
        let workshop = Workshop::new(model);
        for text in ["--samples 1 --seqlen 48", "--samples 2 --seqlen 40"] {
            let [plain, refitted] = ["none", "ridge"].map(|how| {
                let options = format!("{text} --sparsity 0.2 --refit {how}");
                workshop.json(&format!("compress MODEL --out out --force {options}"));
                divergence(&workshop, "out")["kl"].as_f64().unwrap()
            });
            assert!(
                refitted.is_finite() && refitted < 1.01 * plain,
                "{model} {text}: {refitted} against {plain}"
            );
        }
    }
}

#[test]
fn divergence_is_zero_from_itself_and_positive_from_another() {
    let workshop = Workshop::new(TRAINED);
    let same = divergence(&workshop, "MODEL");
    assert!(same["kl"].as_f64().unwrap().abs() < 1e-6, "{same}");
    assert_eq!(same["top1_agreement"], 1.0);
    workshop.json("compress MODEL --out out --samples 16 --seqlen 128 --sparsity 0.25");
    let other = divergence(&workshop, "out");
    let [kl, error, agreement] =
        ["kl", "kl_standard_error", "top1_agreement"].map(|key| other[key].as_f64().unwrap());
    assert!(kl > 0.01 && error > 0.0 && error < kl, "{other}");
    assert!((0.5..1.0).contains(&agreement), "{other}");
    assert_eq!(other["tokens"], 24 * 256);
    // A model with another vocabulary cannot be compared.
    let output =
        workshop.run("eval kl MODEL FIXTURES/families/llama2 --text FIXTURES/text/valid.txt");
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("vocabulary"), "{}", output.stderr);
}
