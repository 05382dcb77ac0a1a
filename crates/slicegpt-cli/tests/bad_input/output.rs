//! Output paths: files of the user and the input are never replaced, and a failed run leaves
//! nothing behind.

use slicegpt_testkit::Cli;

use crate::sandbox::{COMPRESS, LOGITS, Sandbox, check_commands, none};

/// Checks that `compress` refuses each of these output paths, with and without `--force`.
fn check_places(sandbox: &Sandbox, model: &str, places: &[&str]) {
    let command = |place: &&str| {
        let command = format!("compress {model} --calibration tokens.safetensors --out {place}");
        [(format!("{command} --force"), &["--out"][..]), (command, &["--out"])]
    };
    check_commands(sandbox, &places.iter().flat_map(command).collect::<Vec<_>>());
}

/// Checks that each command, run in folder `from`, is refused. Each command gets its own sandbox,
/// because it would destroy it if it were not refused.
fn check_destructive(from: &str, rows: &[(String, &[&str])]) {
    let complaint = |(command, says): &(String, &[&str])| {
        let sandbox = Sandbox::new("families/llama2");
        sandbox.complaint(sandbox.slicegpt(from, command), says)
    };
    none(&rows.iter().filter_map(complaint).collect::<Vec<_>>());
}

#[test]
fn the_output_is_not_the_input() {
    let sandbox = Sandbox::new("families/llama2");
    sandbox.create_dir("other");
    let inside = ["dense", "dense/", "dense/.", "dense/sliced", "dense/a/b", "./dense"];
    check_places(&sandbox, "dense", &inside);
    check_places(&sandbox, "dense", &[".", "dense/..", "other/.."]);
    check_places(&sandbox, "dense", &["other/../dense", "other/../dense/sliced"]);
    check_places(&sandbox, "dense/../dense", &["dense", "dense/sliced"]);
    let absolute = sandbox.path("dense");
    check_places(&sandbox, absolute.to_str().unwrap(), &inside);
    check_places(&sandbox, "dense", &[absolute.to_str().unwrap()]);
}

/// `..` is resolved even after a folder that does not exist yet.
#[test]
fn the_output_is_not_the_input_through_a_missing_folder() {
    let places = ["nowhere/../dense", "nowhere/../dense/sliced", "nowhere/..", "dense/nowhere/.."];
    let row = |place: &str| {
        let command = COMPRESS.replace("--out out", &format!("--out {place}"));
        [(format!("{command} --force"), &["--out"][..]), (command, &["--out"])]
    };
    check_destructive(".", &places.into_iter().flat_map(row).collect::<Vec<_>>());
}

#[cfg(unix)]
#[test]
fn the_output_is_not_the_input_through_a_link() {
    let sandbox = Sandbox::new("families/llama2");
    sandbox.create_dir("other");
    std::os::unix::fs::symlink(sandbox.path("dense"), sandbox.path("link")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("."), sandbox.path("other/up")).unwrap();
    check_places(&sandbox, "dense", &["link", "link/sliced", "link/..", "other/up"]);
    check_places(&sandbox, "link", &["dense", "dense/sliced", "link", "link/sliced", "."]);
    check_places(&sandbox, "other/up/dense", &["dense", "dense/sliced", "link"]);
}

#[test]
fn existing_files_are_kept() {
    let sandbox = Sandbox::new("families/llama2");
    for (name, contents) in [("notes/thesis.tex", "x"), ("old/config.json", "{}"), ("file", "x")] {
        if let Some((folder, _)) = name.split_once('/') {
            sandbox.create_dir(folder);
        }
        sandbox.write(name, contents);
    }
    sandbox.create_dir("folders/inner");
    let rows = [
        ("old", &["old", "not empty", "--force"][..]),
        ("notes", &["notes", "not empty"]),
        ("notes --force", &["notes", "not replaced", "config.json"]),
        ("folders --force", &["folders", "not replaced", "config.json"]),
        ("file", &["file", "not a directory", "--out"]),
        ("file --force", &["file", "not a directory", "--out"]),
        ("file/out", &["file"]),
        ("file/a/b", &["file"]),
    ];
    let commands = rows.map(|(out, says)| {
        (format!("compress dense --calibration tokens.safetensors --out {out}"), says)
    });

    check_commands(&sandbox, &commands);
}

/// Files that `slicegpt` did not write are not replaced, whichever option names them; input files
/// least of all.
#[test]
fn files_of_the_user_are_kept() {
    let sandbox = Sandbox::new("models/ts-llama3-gqa");
    sandbox.create_dir("data");
    let piqa = r#"{"goal": "g", "sol1": "a", "sol2": "b", "label": 0}"#;
    sandbox.write("data/piqa.jsonl", piqa);
    for file in ["mine.txt", "mine.json"] {
        sandbox.write(file, "Once upon a time there was a file. ".repeat(40));
    }
    let text = "--calibration mine.txt --samples 2 --seqlen 32";
    let kept = "not replaced, because it is no";
    check_commands(
        &sandbox,
        &[
            (format!("calibrate dense --out mine.txt {text}"), &["mine.txt", kept, "--out"][..]),
            (format!("compress dense --out out --spectra mine.json {text}"), &["mine.json", kept]),
            (
                "logits dense --tokens tokens.safetensors --out mine.json".into(),
                &["mine.json", kept],
            ),
            (
                "eval tasks dense --tasks piqa --data data --log-samples mine.json".into(),
                &["mine.json", kept, "--log-samples"],
            ),
        ],
    );
}

/// Paths need not be UTF-8.
#[cfg(target_os = "linux")]
#[test]
fn a_path_need_not_be_utf8() {
    use std::os::unix::ffi::OsStrExt;

    let sandbox = Sandbox::new("families/llama2");
    let name = std::ffi::OsStr::from_bytes(b"mod\xe8le");
    std::fs::rename(sandbox.path("dense"), sandbox.path(".").join(name)).unwrap();
    let command = Cli::new("eval ppl --tokens tokens.safetensors").arg(name);
    command.current_dir(sandbox.path(".")).json();
}

#[cfg(unix)]
#[test]
fn a_link_is_not_replaced() {
    let sandbox = Sandbox::new("families/llama2");
    sandbox.create_dir("empty");
    std::os::unix::fs::symlink(sandbox.path("empty"), sandbox.path("link")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("nowhere"), sandbox.path("dangling")).unwrap();
    check_places(&sandbox, "dense", &["link", "dangling"]);
}

/// Parent folders that were made for the output are removed if the run fails.
#[test]
fn a_failed_run_leaves_no_folders() {
    let rows = [
        ("compress dense --out new/deep/out --calibration nowhere.txt", "nowhere.txt"),
        (
            "compress dense --out new/out --calibration tokens.safetensors --max-shard-size 1",
            "lm_head.weight",
        ),
        ("logits dense --out new/logits.safetensors --tokens tokens.safetensors:x", "`x`"),
        ("logits dense --out new/logits.safetensors --tokens tokens.safetensors", "lm_head.weight"),
    ];
    let complaint = |(command, says): &(&str, &str)| {
        let sandbox = Sandbox::new("families/llama2");
        // The error occurs late, when everything else is done.
        sandbox.tensor("dense/model.safetensors", "lm_head.weight", |bytes| bytes.fill(0xff));
        sandbox.complaint(sandbox.slicegpt(".", command), &[says])
    };
    none(&rows.iter().filter_map(complaint).collect::<Vec<_>>());
}

#[test]
fn spectra_go_to_a_file_that_can_be_written_and_is_not_part_of_a_model() {
    let row = |spectra: &str, says| (format!("{COMPRESS} --spectra {spectra}"), says);
    check_destructive(
        ".",
        &[
            row("nowhere/spectra.json", &["nowhere/spectra.json"][..]),
            row("dense", &["dense"]),
            row("dense/config.json", &["dense/config.json", "--spectra"]),
            row("dense/model.safetensors", &["dense/model.safetensors", "--spectra"]),
            row("out/config.json", &["out/config.json", "--spectra"]),
        ],
    );
}

#[test]
fn logits_do_not_go_into_the_model() {
    let row = |out: &str, says| {
        (LOGITS.replace("--out logits.safetensors", &format!("--out {out}")), says)
    };
    check_destructive(
        ".",
        &[
            row("dense", &["dense", "is a directory"][..]),
            row("tokens.safetensors/logits.safetensors", &["tokens.safetensors"]),
            row("dense/logits.safetensors", &["dense/logits.safetensors", "--out"]),
            row("dense/model.safetensors", &["dense/model.safetensors", "--out"]),
            row("dense/../dense/model.safetensors", &["--out"]),
            row("nowhere/../dense/model.safetensors", &["--out"]),
        ],
    );
}

/// A bare file name has no parent folder, but it may be a file of the model's folder.
#[test]
fn logits_do_not_go_into_the_model_in_the_current_folder() {
    let row = |out: &'static str| {
        let command = format!("logits . --tokens ../tokens.safetensors --out {out}");
        (command, &["--out"][..])
    };
    let rows = ["model.safetensors", "config.json", "logits.safetensors", "./logits.safetensors"];
    check_destructive("dense", &rows.map(row));
}
