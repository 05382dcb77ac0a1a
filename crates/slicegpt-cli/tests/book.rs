//! Runs the examples of the documents and compares their output with the pages.

use std::path::Path;

use slicegpt_testkit::{Cli, Example, commands, examples, fixtures, is_printed, pages};

/// The folders of `fixtures/` that pages use.
const FOLDERS: &[&str] = &["adapters", "families", "models", "shapes", "tasks", "text"];

#[test]
fn examples_print_what_their_pages_say() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (page, text) in pages() {
        let examples = examples(&text);
        if examples.iter().all(|example| example.run.is_none()) {
            continue;
        }
        // One folder for each page, because an example may use the output of earlier ones.
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
            let plan = Cli::new("plan --sparsity 0.25").arg(&shape).args(*way).json();
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

/// Runs the commands of an example in order.
fn run(example: &Example, folder: &Path) -> Result<(), String> {
    let code = example.run.expect("only what runs");
    let lines = commands(&example.code, "slicegpt");
    let (mut printed, mut last) = (String::new(), String::new());
    if lines.is_empty() {
        return Err("an example that runs has no command".into());
    }
    for words in lines {
        let slicegpt = Cli::new("").args(&words[1..]).current_dir(folder);
        let run = slicegpt.env("SLICEGPT_DEVICE", "cpu").env("HF_HUB_OFFLINE", "1").run();
        if run.code != Some(code) {
            let (line, found) = (words.join(" "), run.code);
            return Err(format!("{line}: exit code {found:?}, not {code}: {}", run.stderr));
        }
        last = match code {
            0 => run.stdout,
            // Paths are printed as the system writes them.
            _ => run.stderr.replace('\\', "/"),
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
