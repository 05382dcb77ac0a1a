//! The examples of the documents that can be run here do what their pages say.

use std::path::Path;

use assert_cmd::Command;
use slicegpt_testkit::{Example, commands, examples, fixtures, is_printed, pages};

/// What pages take from `fixtures/`.
const FOLDERS: &[&str] = &["families", "models", "shapes", "tasks", "text"];

#[test]
fn examples_print_what_their_pages_say() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (page, text) in pages() {
        let examples = examples(&text);
        if examples.iter().all(|example| example.run.is_none()) {
            continue;
        }
        // One folder for a page: an example may use what those before it wrote.
        let scratch = tempfile::tempdir().unwrap();
        for folder in FOLDERS {
            copy(&fixtures().join(folder), &scratch.path().join("fixtures").join(folder));
        }
        for example in examples.iter().filter(|example| example.run.is_some()) {
            count += 1;
            if let Err(message) = run(example, scratch.path()) {
                wrong.push(format!("{page}:{}: {message}", example.line));
            }
        }
    }
    assert!(count > 20, "{count} examples: are the documents where they were?");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Rows are `| shape | parameters | real reduction by each of `WAYS` |`.
#[test]
fn the_table_of_reductions_is_what_plan_says() {
    const WAYS: &[&[&str]] =
        &[&[], &["--method", "per-layer"], &["--method", "per-layer", "--slice-head"]];
    let pages = pages();
    let (_, families) = pages.iter().find(|(name, _)| name == "docs/families.md").unwrap();
    let mut rows = 0;
    for shape in fixtures().join("shapes").read_dir().unwrap() {
        let shape = shape.unwrap().path();
        let name = shape.file_name().unwrap().to_str().unwrap().to_owned();
        let mut row = format!("| {name} ");
        for (index, way) in WAYS.iter().enumerate() {
            let mut slicegpt = Command::cargo_bin("slicegpt").unwrap();
            slicegpt.arg("plan").arg(&shape).args(["--sparsity", "0.25", "--json"]).args(*way);
            let output = slicegpt.output().unwrap();
            let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            if index == 0 {
                let params = plan["params_before"].as_f64().unwrap();
                row += &match params {
                    params if params > 1e9 => format!("| {:.2} B ", params / 1e9),
                    params => format!("| {:.0} M ", params / 1e6),
                };
            }
            row += &format!("| {:.1} % ", 100.0 * plan["real_reduction"].as_f64().unwrap());
        }
        assert!(families.contains(&format!("{row}|\n")), "docs/families.md has no row {row}|");
        rows += 1;
    }
    assert!(rows >= 9, "{rows} shapes");
}

/// Runs the commands of an example one after the other.
fn run(example: &Example, folder: &Path) -> Result<(), String> {
    let code = example.run.expect("only what runs");
    let lines = commands(&example.code, "slicegpt");
    let (mut printed, mut last) = (String::new(), String::new());
    if lines.is_empty() {
        return Err("an example that runs has no command".into());
    }
    for words in lines {
        let mut slicegpt = Command::cargo_bin("slicegpt").unwrap();
        slicegpt.args(&words[1..]).current_dir(folder);
        slicegpt.env("SLICEGPT_DEVICE", "cpu").env("HF_HUB_OFFLINE", "1");
        let output = slicegpt.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() != Some(code) {
            return Err(format!(
                "{} ends with {}, not {code}: {error}",
                words.join(" "),
                output.status
            ));
        }
        last = match code {
            0 => String::from_utf8_lossy(&output.stdout).into_owned(),
            // Paths are printed as the system writes them.
            _ => error.replace('\\', "/"),
        };
        printed.push_str(&last);
    }
    match &example.printed {
        Some(expected) if ![&printed, &last].iter().any(|it| is_printed(expected, it)) => {
            Err(format!("the page says\n{expected}\nand printed is\n{printed}"))
        }
        _ => Ok(()),
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
