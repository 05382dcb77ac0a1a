//! What a training refuses, before any work.

use slicegpt_testkit::{TRAINED, Workshop};

#[test]
fn what_cannot_be_trained_is_one_error() {
    let workshop = Workshop::new(TRAINED);
    workshop.write("text.txt", "One day a cat sat on a mat. ".repeat(400));
    workshop.write("short.txt", "One day.");
    for (command, expected) in [
        ("MODEL --train text.txt --targets k_prj", &["--targets k_prj", "k_proj"][..]),
        ("MODEL --train text.txt --targets shortcuts", &["--targets shortcuts"]),
        ("MODEL --train text.txt --rank 0", &["--rank"]),
        ("MODEL --train text.txt --learning-rate -1", &["--learning-rate"]),
        ("MODEL --train text.txt --learning-rate 50", &["--learning-rate 50", "1"]),
        ("MODEL --train text.txt --epochs 0", &["--epochs 0"]),
        ("MODEL --train text.txt --warmup 2", &["--warmup 2"]),
        ("MODEL --train text.txt --mix 0.5", &["--distill"]),
        ("MODEL --train text.txt --distill FIXTURES/families/llama2", &["--distill", "vocabulary"]),
        ("MODEL --train short.txt --seqlen 32", &["--train short.txt"]),
        ("MODEL --train none.txt", &["--train none.txt"]),
        ("MODEL --train text.txt --seqlen 512 --max-samples 1", &["--eval"]),
        ("MODEL --train text.txt --full --adapter", &["--full", "--adapter"]),
        ("MODEL --train text.txt --adapter --targets norms", &["--targets norms", "--adapter"]),
        ("MODEL --train text.txt --resume", &["--resume", "out.training"]),
    ] {
        workshop.cli(&format!("finetune {command} --out out")).refuse(expected);
        assert!(!workshop.path("out").exists(), "{command}");
    }
    workshop.write("out.training", "no state");
    workshop
        .cli("finetune MODEL --train text.txt --seqlen 32 --out out --resume")
        .refuse(&["out.training", "no state of a training"]);
}
