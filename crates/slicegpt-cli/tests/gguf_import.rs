//! GGUF files in: `import gguf`, and files as MODEL of every command.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use slicegpt_testkit::{RawGguf, Tensors, Workshop, read_json};

/// Token ids of any model.
const TOKENS: &str = "FIXTURES/families/llama2/expected.safetensors";

/// The largest difference between the logits of two models for the same tokens.
fn difference(workshop: &Workshop, models: [&str; 2]) -> f64 {
    let logits = |model: &str| {
        workshop.succeed(&format!("logits {model} --tokens {TOKENS} --out logits"));
        Tensors::read(&workshop.path("logits")).values("logits").to_vec()
    };
    let [ours, right] = models.map(logits);
    assert_eq!(ours.len(), right.len());
    ours.iter().zip(&right).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// The tensors of a checkpoint: types, shapes and bytes by name.
fn tensors(directory: &Path) -> BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> {
    let bytes = std::fs::read(directory.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let all = tensors.iter().map(|(name, view)| {
        (name.to_string(), (view.dtype(), view.shape().to_vec(), view.data().to_vec()))
    });
    all.collect()
}

#[test]
fn every_family_computes_the_same_after_export_and_import() {
    for family in [
        "llama2",
        "llama31",
        "llama-bias",
        "llama-yarn",
        "mistral-head-dim",
        "qwen2",
        "qwen3",
        "phi3",
        "phi3-longrope",
        "phi4-mini",
    ] {
        let workshop = Workshop::new(&format!("families/{family}"));
        workshop.succeed("export gguf MODEL --out model.gguf");
        let imported = workshop.json("import gguf model.gguf --out imported");
        assert_eq!(imported["dtype"], "float32", "{family}");
        assert_eq!(imported["params"], workshop.json("inspect MODEL")["params"], "{family}");
        assert_eq!(tensors(&workshop.path("imported")), tensors(&workshop.model("")), "{family}");
        for model in ["model.gguf", "imported"] {
            let difference = difference(&workshop, [model, "MODEL"]);
            assert!(difference < 1e-5, "{family} {model}: {difference}");
        }
    }
}

/// `fixtures/gguf/read.py` wrote this model with llama.cpp's package.
#[test]
fn phi2_computes_what_phi_does() {
    let workshop = Workshop::new("families/phi");
    for name in ["phi2", "phi2-packed"] {
        let file = format!("FIXTURES/gguf/{name}.gguf");
        let difference = difference(&workshop, [&file, "MODEL"]);
        assert!(difference < 1e-5, "{name}: {difference}");
    }
}

#[test]
fn sixteen_bit_checkpoints_come_back_unchanged() {
    let workshop = Workshop::new("models/ts-llama3-gqa");
    workshop.succeed("export gguf MODEL --out model.gguf");
    workshop.succeed("import gguf model.gguf --out imported");
    assert_eq!(tensors(&workshop.path("imported")), tensors(&workshop.model("")));
    workshop.succeed("export gguf MODEL --out bf16.gguf --type bf16");
    workshop.succeed("import gguf bf16.gguf --out bf16");
    workshop.succeed("export gguf bf16 --out again.gguf --name bf16");
    workshop.succeed("import gguf again.gguf --out again");
    assert_eq!(read_json(&workshop.path("bf16/config.json"))["torch_dtype"], "bfloat16");
    assert_eq!(tensors(&workshop.path("again")), tensors(&workshop.path("bf16")));
}

/// A quantised file is the checkpoint that `import gguf` writes of it: float16.
#[test]
fn a_quantised_file_and_its_import_are_the_same_model() {
    let workshop = Workshop::new("models/ts-llama3-gqa");
    workshop.succeed("export gguf MODEL --out model.gguf --type q4_k_m");
    let json = workshop.json("import gguf model.gguf --out imported");
    assert_eq!(json["dtype"], "float16");
    assert!(json["types"]["Q5_0"]["tensors"].as_u64() > Some(0), "{json}");
    assert_eq!(difference(&workshop, ["model.gguf", "imported"]), 0.0);
    // Exactly what the blocks stand for is close to it.
    workshop.succeed("import gguf model.gguf --out exact --dtype f32");
    let difference = difference(&workshop, ["exact", "imported"]);
    assert!(difference > 0.0 && difference < 0.05, "{difference}");
    let inspected = workshop.json("inspect model.gguf");
    assert_eq!(inspected["dtype"], "float16");
    let (file, read) = (&inspected["gguf_bytes"], &inspected["bytes"]);
    assert!(file.as_u64().unwrap() * 2 < read.as_u64().unwrap(), "{inspected}");
}

#[test]
fn text_is_the_same_with_the_tokenizer_of_the_file() {
    for name in ["ts-llama3-gqa", "ts-phi3"] {
        let workshop = Workshop::new(&format!("models/{name}"));
        workshop.succeed("export gguf MODEL --out model.gguf");
        workshop.succeed("import gguf model.gguf --out imported");
        let told = ["MODEL", "model.gguf", "imported"].map(|model| {
            let text = "FIXTURES/text/valid.txt";
            let scored = workshop.json(&format!("eval ppl {model} --text {text} --max-samples 4"));
            let command = format!("generate {model} -n 16 --device cpu -p Once");
            (scored["perplexity"].clone(), workshop.succeed(&command).stdout)
        });
        assert_eq!(told[1], told[0], "{name}");
        assert_eq!(told[2], told[0], "{name}");
    }
}

#[test]
fn commands_take_a_file_as_a_model() {
    let workshop = Workshop::new("models/ts-llama3-gqa");
    workshop.succeed("export gguf MODEL --out model.gguf --type q8_0");
    let scratch = workshop.path("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let calibration = format!("--calibration {TOKENS}");
    for command in [
        "inspect model.gguf",
        "plan model.gguf --keep-params 0.75",
        "verify model.gguf",
        &format!("eval kl MODEL model.gguf --tokens {TOKENS}"),
        &format!("calibrate model.gguf --out stats {calibration}"),
        &format!("compress model.gguf --out cut {calibration} --hidden-size 96"),
        "report cut --base model.gguf --out page.html",
        "bench model.gguf MODEL --prefill 8 --decode 2 --batch 1",
        "export gguf model.gguf --out other.gguf --type q4_0",
        "import gguf model.gguf --out imported --dtype bf16 --max-shard-size 1MB",
    ] {
        workshop.cli(command).env("TMPDIR", &scratch).succeed();
        let left: Vec<_> = std::fs::read_dir(&scratch).unwrap().collect();
        assert!(left.is_empty(), "{command}: {left:?}");
    }
    // What was made of a file has its tokenizer.
    for model in ["cut", "imported"] {
        workshop.succeed(&format!("generate {model} -n 4 --device cpu -p Once"));
    }
    let plan = workshop.json("plan model.gguf --hidden-size 96");
    let (cut, planned) = (workshop.json("inspect cut"), &plan["params_after"]);
    assert_eq!(&cut["params"], planned);
}

#[test]
fn a_file_is_recognised_without_its_name() {
    let workshop = Workshop::new("families/llama2");
    workshop.succeed("export gguf MODEL --out weights");
    assert_eq!(workshop.json("inspect weights")["model_type"], "llama");
}

/// A tokenizer that is not known leaves the model for token ids; importing says how to name it.
#[test]
fn an_unknown_pre_tokenizer_is_a_warning_or_an_option() {
    let workshop = Workshop::new("models/ts-llama3-gqa");
    workshop.succeed("export gguf MODEL --out model.gguf");
    let mut file = RawGguf::read(&workshop.path("model.gguf"));
    file.set("tokenizer.ggml.pre", RawGguf::text("bloom"));
    workshop.write("model.gguf", file.bytes());
    let run = workshop.succeed("verify model.gguf");
    assert!(
        run.stderr.contains("warning: model.gguf: its pre-tokenizer `bloom`"),
        "{}",
        run.stderr
    );
    workshop.cli("import gguf model.gguf --out imported").refuse(&[
        "`bloom`",
        "--pre-tokenizer",
        "llama-bpe",
    ]);
    workshop.succeed("import gguf model.gguf --out imported --pre-tokenizer smaug-bpe");
    let [ours, right] = [workshop.path("imported"), workshop.model("")]
        .map(|directory| read_json(&directory.join("tokenizer.json")));
    assert_eq!(ours["model"], right["model"]);
}
