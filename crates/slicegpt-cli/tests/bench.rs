//! `slicegpt bench`: the cases it measures, its output, and its errors. No speed is tested here.

use std::path::{Path, PathBuf};

use serde_json::Value;
use slicegpt_testkit::{Cli, device_name, fixtures};

fn model(name: &str) -> PathBuf {
    fixtures().join("families").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A short measurement of `models`, on the device under test unless `options` name one.
fn bench(models: &[&Path], options: &[&str]) -> Cli {
    let command = Cli::new("bench --repeat 2").args(models).args(options);
    if options.contains(&"--device") { command } else { command.args(["--device", &device_name()]) }
}

#[test]
fn every_case_is_measured_on_every_model() {
    let (dense, other) = (model("llama2"), model("opt"));
    // Not every device computes in half precision.
    let (option, dtype) =
        if device_name() == "cpu" { ("f16", "float16") } else { ("f32", "float32") };
    let options = ["--prefill", "8,24", "--decode", "4", "--batch", "1,3", "--weights", option];
    let json = bench(&[&dense, &other], &options).json();
    let rows = json["benchmarks"].as_array().unwrap();
    let mut found: Vec<String> = Vec::new();
    for row in rows {
        let seconds = row["seconds"].as_array().unwrap();
        assert_eq!(seconds.len(), 2, "the first time does not count");
        let median = row["seconds_median"].as_f64().unwrap();
        let all = row["tokens"].as_f64().unwrap() * row["batch"].as_f64().unwrap();
        let throughput = row["tokens_per_second"].as_f64().unwrap();
        assert!((throughput * median / all - 1.0).abs() < 1e-9);
        let counted = match row["phase"].as_str().unwrap() {
            "prefill" => &row["operations"],
            _ => &row["weight_bytes_per_step"],
        };
        assert!(counted.as_f64().unwrap() > 0.0);
        assert_eq!(row["weights"], dtype);
        assert!(row["peak_memory_bytes"].as_u64().unwrap() > 0);
        if row["model"] == text(&dense) {
            assert_eq!(row["speed_up"], 1.0);
        }
        found.push(format!("{} {} {}", row["phase"], row["tokens"], row["batch"]));
    }
    let cases = ["\"prefill\" 8", "\"prefill\" 24", "\"decode\" 4"];
    let expected: Vec<String> = cases
        .iter()
        .flat_map(|case| [1, 3].map(|batch| format!("{case} {batch}")))
        .flat_map(|case| [case.clone(), case])
        .collect();
    assert_eq!(found, expected);
    assert_eq!(json["capacity"].as_array().unwrap().len(), 2);
    assert_eq!(json["capacity"][0]["cache_tokens"], 24);
}

#[test]
fn csv_has_a_line_per_case_and_the_table_has_short_names() {
    let dense = model("llama2");
    let options = ["--prefill", "8", "--decode", "0", "--batch", "1,2"];
    let csv = bench(&[&dense], &options).words("--format csv").succeed().stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 3, "{csv}");
    assert!(lines.iter().all(|line| line.split(',').count() == 16), "{csv}");
    let table = bench(&[&dense], &options).words("--memory 1GB").succeed().stdout;
    assert!(table.contains(" llama2 ") && !table.contains(text(&dense)), "{table}");
    assert!(table.contains("1 of 1.00 GB"), "{table}");
}

/// Each model on each device, compared with the first on that device.
#[test]
fn several_devices_are_measured_in_one_run() {
    let device = device_name();
    if device == "cpu" {
        return; // There is only one device, and `bad_input_is_one_line` names it twice.
    }
    let (dense, other) = (model("llama2"), model("opt"));
    let both = format!("cpu,{device}");
    let options = ["--prefill", "8", "--decode", "2", "--batch", "1", "--device", &both];
    let json = bench(&[&dense, &other], &options).json();
    let rows = json["benchmarks"].as_array().unwrap();
    assert_eq!(rows.len(), 2 * 2 * 2);
    for row in rows.iter().filter(|row| row["model"] == text(&dense)) {
        assert_eq!(row["speed_up"], 1.0);
    }
    let on = |name: &str| {
        let of_name = |row: &&Value| row["device"].as_str().unwrap().starts_with(name);
        rows.iter().filter(of_name).count()
    };
    assert_eq!([on("cpu"), on(&device)], [4, 4]);
    assert_eq!(json["capacity"].as_array().unwrap().len(), 4);
    let table = bench(&[&dense, &other], &options).succeed().stdout;
    assert!(
        table.contains(" llama2 on cpu ") && table.contains(&format!(" opt on {device}")),
        "{table}"
    );
}

/// Default lengths that do not fit the context are left out.
#[test]
fn default_lengths_fit_the_context() {
    let options = ["--decode", "0", "--batch", "1", "--format", "csv"];
    let run = bench(&[&model("llama2")], &options).succeed();
    assert!(run.stdout.contains(",prefill,0,64,1,"), "{}", run.stdout);
    assert!(run.stderr.contains("left out"), "{}", run.stderr);
}

#[test]
fn bad_input_is_one_line() {
    let dense = model("llama2");
    let dense = text(&dense);
    let broken = tempfile::tempdir().unwrap();
    std::fs::copy(model("llama2").join("config.json"), broken.path().join("config.json")).unwrap();
    for (args, says) in [
        (&["bench", "nowhere"][..], "nowhere"),
        (&["bench", dense, "--prefill", "65"], "--prefill: 65 tokens are more than the context"),
        (&["bench", dense, "--context", "60", "--decode", "5"], "65 tokens are more"),
        (&["bench", dense, "--prefill", "0", "--decode", "0"], "nothing is left"),
        (&["bench", dense, "--device", "cpu:7"], "cpu:7"),
        (&["bench", dense, "--device", "cpu,cpu"], "--device: cpu is named twice"),
        // Found by the worker process, which loads the model.
        (&["bench", text(broken.path())], "no weights found"),
    ] {
        let run = Cli::new("").args(args).run();
        assert_eq!(run.code, Some(2), "{args:?}");
        let lines: Vec<&str> = run.stderr.lines().filter(|line| line.contains("error")).collect();
        assert!(lines.len() == 1 && lines[0].contains(says), "{args:?}: {}", run.stderr);
        assert!(run.stdout.is_empty(), "{args:?}");
    }
}
