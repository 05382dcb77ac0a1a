//! `slicegpt import`: files of the reference implementation compute the same here.
//!
//! The files under `fixtures/imports` were made so that their logits are those of the dense model,
//! as `make.py` there explains.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use slicegpt_testkit::{Cli, Tensors, fixtures, largest_difference, read_json};
use tempfile::TempDir;

const CASES: &[(&str, &str, usize)] =
    &[("opt", "opt_0.031", 31), ("phi", "phi_0.031", 31), ("phi3", "phi3_0.000", 32)];

/// A copy of the files to import, which may be damaged; the model they belong to; and a folder to
/// write to.
struct Case {
    scratch: TempDir,
    stem: &'static str,
    base: PathBuf,
}

impl Case {
    fn new(&(name, stem, _): &(&str, &'static str, usize)) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join("sliced")).unwrap();
        for extension in ["pt", "json"] {
            let file = format!("{stem}.{extension}");
            let from = fixtures().join("imports").join(name).join(&file);
            fs::copy(from, scratch.path().join("sliced").join(file)).unwrap();
        }
        Self { scratch, stem, base: fixtures().join("families").join(name) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.path("sliced").join(format!("{}.{extension}", self.stem))
    }

    /// `slicegpt import` of `from` to the folder `out`.
    fn import(&self, from: &Path) -> Cli {
        let command = Cli::new("import").arg(from).arg("--base").arg(&self.base);
        command.arg("--out").arg(self.path("out"))
    }

    /// Checks that importing is refused with an error that contains all of `says`, and leaves
    /// nothing behind.
    fn refuses(&self, from: &Path, says: &[&str]) {
        let before = self.entries();
        self.import(from).refuse(says);
        assert_eq!(self.entries(), before, "nothing is left");
    }

    fn entries(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.scratch.path()).unwrap();
        let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries
    }
}

#[test]
fn logits_are_those_of_the_reference() {
    for row in CASES {
        let (name, _, width) = row;
        let case = Case::new(row);
        let result = case.import(&case.path("sliced")).json();
        let widths = result["widths"].as_array().unwrap();
        let (last, cut) = widths.split_last().unwrap();
        assert!(cut.iter().all(|found| *found == json!(width)), "{name}: {widths:?}");
        assert_eq!(*last, json!(32), "{name}");

        let expected = case.base.join("expected.safetensors");
        let logits = case.path("logits.safetensors");
        let tokens = format!("{}:input_ids", expected.display());
        let command = Cli::new("logits").arg(case.path("out")).arg("--tokens").arg(tokens);
        command.arg("--out").arg(&logits).succeed();
        let expected = Tensors::read(&expected);
        let difference =
            largest_difference(Tensors::read(&logits).values("logits"), expected.values("logits"));
        assert!(difference < 2e-5, "{name}: {difference}");
    }
}

#[test]
fn the_output_says_where_it_came_from() {
    let case = Case::new(&CASES[0]);
    case.import(&case.file("pt")).words("--dtype f16").succeed();
    let config = read_json(&case.path("out/config.json"));
    assert_eq!(config["slicegpt"]["imported"], "opt_0.031.pt");
    assert_eq!(config["slicegpt"]["nominal_sparsity"], 0.031);
    assert_eq!(config["slicegpt"]["orientation"], "unknown");
    let card = fs::read_to_string(case.path("out/README.md")).unwrap();
    assert!(card.contains("opt_0.031.pt, of the reference implementation"), "{card}");
    assert!(!card.contains("sequences of 0 tokens"), "{card}");
    let inspected = Cli::new("inspect").arg(case.path("out")).json();
    assert_eq!(inspected["dtype"], "float16");
    // The output exists now.
    case.import(&case.file("pt")).refuse(&["--force"]);
    case.import(&case.file("pt")).arg("--force").succeed();
}

/// Version 9.8.1 of the crate `zip` does not find the central directory of this archive.
#[test]
fn a_longer_archive_is_read() {
    let case = Case::new(&("mistral-head-dim", "mistral-head-dim_0.25", 27));
    case.import(&case.path("sliced")).succeed();
}

/// Early versions of the reference wrote only the weights.
#[test]
fn widths_come_from_the_tensors_without_a_json_file() {
    let case = Case::new(&CASES[1]);
    fs::remove_file(case.file("json")).unwrap();
    case.import(&case.path("sliced")).succeed();
}

#[test]
fn mismatched_files_are_refused() {
    let case = Case::new(&CASES[0]);
    let edit = |from: &str, to: &str| {
        let json = fs::read_to_string(case.file("json")).unwrap();
        assert!(json.contains(from), "{json}");
        json.replacen(from, to, 1)
    };
    let sizes = [
        (edit("\"hidden_size\": 32", "\"hidden_size\": 64"), "`hidden_size` is 64"),
        (edit("\"layers_num\": 2", "\"layers_num\": 3"), "`layers_num` is 3"),
        (edit("{\"0\": 31", "{\"0\": 24"), "`embedding_dimensions[0]` is 24, but the model has 31"),
        (edit("\"parallel_blocks\": false", "\"parallel_blocks\": true"), "`parallel_blocks`"),
        ("{}".into(), "hidden_size"),
        ("not json".into(), "not what the reference implementation writes"),
    ];
    for (json, says) in sizes {
        fs::write(case.file("json"), json).unwrap();
        case.refuses(&case.path("sliced"), &["opt_0.031.json", says]);
    }

    // A base that is another model.
    let other = Case { base: fixtures().join("families/phi"), ..Case::new(&CASES[0]) };
    other.refuses(
        &other.path("sliced"),
        &["opt_0.031.pt", "model.embed_tokens.weight", "is missing"],
    );
    let sliced = Case::new(&CASES[2]);
    sliced.import(&sliced.path("sliced")).succeed();
    let twice = Case { base: sliced.path("out"), ..Case::new(&CASES[2]) };
    twice.refuses(&twice.path("sliced"), &["sliced"]);
}

#[test]
fn invalid_files_are_refused() {
    let case = Case::new(&CASES[0]);
    let good = fs::read(case.file("pt")).unwrap();
    let says = |bytes: &[u8], says: &[&str]| {
        fs::write(case.file("pt"), bytes).unwrap();
        case.refuses(&case.path("sliced"), &[&["opt_0.031.pt"][..], says].concat());
    };
    says(b"", &["corrupt"]);
    says(&good[..good.len() / 2], &["corrupt"]);
    says(b"{\"a\": 1}", &["corrupt"]);
    says(b"\x80\x02}.", &["corrupt"]);
    says(b"cposix\nsystem\n(S'touch pwned'\ntR.", &["posix.system", "nothing was run"]);
    says(
        b"\x80\x02}X\x01\x00\x00\x00acbuiltins\nexec\nX\x01\x00\x00\x00b\x85Rs.",
        &["builtins.exec", "nothing was run"],
    );
    case.refuses(&case.path("nowhere"), &["nowhere", ".pt"]);
    fs::create_dir(case.path("empty")).unwrap();
    case.refuses(&case.path("empty"), &["empty", "no .pt file"]);
}
