//! The page is complete, loads nothing, is the same every time, and is safe for any names.

use serde_json::json;
use slicegpt_provenance::{
    CalibrationRecord, ContinuationsRecord, Dense, EvaluationRecord, Machine, Manifest,
    PerplexityRecord, Record, SameBeginning, SpectrumRecord, TriedSplit,
};
use slicegpt_report::{DenseModel, ModelSummary, Report, Score, SlicedModel, scores};

/// A name with markup in three languages.
const NASTY: &str = "<script>alert(\"x\")</script> & 'co' </style>{{ 7*7 }}";

fn model(name: &str, widths: &[usize], parameters: u64) -> ModelSummary {
    ModelSummary {
        name: name.into(),
        model_type: "toy".into(),
        hidden_size: 64,
        intermediate_sizes: widths.to_vec(),
        sublayers: 2,
        parameters,
        bytes: 2 * parameters,
        dtype: "float16".into(),
    }
}

fn record(name: &str, cuts: usize) -> Record {
    let spectrum = |cut: usize| {
        let eigenvalues: Vec<f64> = (0..64).map(|i| 0.9_f64.powi(i * (cut as i32 + 1))).collect();
        SpectrumRecord::new(&eigenvalues, 100, 48)
    };
    Record {
        format: Record::FORMAT,
        tool_version: "slicegpt 0".into(),
        command: ["slicegpt", "compress", name, "--out", "x"].map(String::from).into(),
        dense: Dense {
            name: name.into(),
            hidden_size: 64,
            intermediate_size: 128,
            layers: 2,
            depth: 2,
            bytes: 4000,
        },
        bytes: 3000,
        machine: Machine {
            processor: name.into(),
            cores: 2,
            memory_bytes: 1 << 30,
            system: "System".into(),
            device: "cpu".into(),
            device_model: "P".into(),
            batch_size: 2,
            compute_dtype: "f32".into(),
            covariance: "f64".into(),
        },
        seconds: 2.0,
        stages: vec![("forward".into(), 1.0), ("eigen".into(), 0.5)],
        peak_rss_bytes: Some(1000),
        device_memory_bytes: None,
        evaluations: vec![evaluation(name)],
        perplexity: None,
        spectra: (0..cuts).map(spectrum).collect(),
    }
}

fn evaluation(text: &str) -> EvaluationRecord {
    let same = |tokens, fraction| SameBeginning { tokens, fraction };
    EvaluationRecord {
        text: text.into(),
        samples: 1,
        seqlen: 64,
        tokens: 63,
        perplexity_before: 10.0,
        perplexity_after: 12.0,
        protocol: text.into(),
        kl: 0.25,
        kl_standard_error: 0.01,
        top1_agreement: 0.9,
        kl_tokens: 64,
        kl_protocol: "KL by record".into(),
        continuations: Some(ContinuationsRecord {
            prompts: 40,
            prompt_tokens: 32,
            new_tokens: 32,
            same: vec![same(8, 0.75), same(16, 0.5), same(32, 0.25)],
            protocol: "greedy by record".into(),
        }),
    }
}

fn run(name: &str, method: &str, widths: &[usize], gone: f64) -> SlicedModel {
    let parameters = (2000.0 * (1.0 - gone)) as u64;
    let manifest = Manifest {
        format: Manifest::FORMAT,
        method: method.into(),
        stock: false,
        widths: widths.to_vec(),
        intermediate_size: None,
        intermediate_sizes: None,
        removed_layers: Vec::new(),
        kv_heads: None,
        refit: Some("ridge:0.001".into()),
        tried: vec![TriedSplit {
            layers: None,
            removed_layers: Vec::new(),
            hidden_size: 48,
            intermediate_size: 100,
            kv_heads: None,
            tokens: None,
            kl: 0.125,
        }],
        imported: None,
        nominal_sparsity: Some(0.25),
        real_reduction: gone,
        params_before: 2000,
        params_after: parameters,
        orientation: "pca".into(),
        seed: 1,
        calibration: CalibrationRecord {
            source: name.into(),
            digest: "d".into(),
            samples: 1,
            seqlen: 2,
            tokens: 3,
            texts: Vec::new(),
        },
        tool_version: "slicegpt 0".into(),
    };
    let cuts = if method == "shared" { 1 } else { 4 };
    SlicedModel {
        model: model(name, &[128, 100], parameters),
        manifest,
        record: Some(record("dense", cuts)),
        scores: Vec::new(),
    }
}

fn report(runs: Vec<SlicedModel>) -> Report {
    Report { title: None, base: None, runs, tool: "slicegpt 0".into(), advice: None }
}

/// Checks that every element is closed, in order, and that the page loads nothing.
fn check(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html>\n"), "{page}");
    let mut open: Vec<String> = Vec::new();
    let start = page.find("<style>").unwrap();
    let end = page.find("</style>").unwrap();
    // The style sheet is not HTML.
    let outside = format!("{}{}", &page["<!DOCTYPE html>".len()..start], &page[end + 8..]);
    for piece in outside.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').unwrap_or_else(|| panic!("<{piece}"));
        assert!(!tag.contains('<'), "{tag}");
        let name: String =
            tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        assert!(!name.is_empty(), "<{piece}");
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name.as_str()), "<{piece}");
        } else if !tag.ends_with('/') && name != "meta" {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    // Every table has a row.
    let bodies = outside.split("<tbody>").skip(1);
    bodies.for_each(|body| assert!(body.trim_start().starts_with("<tr>"), "{body}"));
    let style = &page[start..end];
    assert!(!style.contains("url(") && !style.contains("@import"), "{style}");
    for loads in ["<script", "<link", "<img", "<iframe", "src=", "href=", "url(", "@import"] {
        assert!(!outside.contains(loads), "{loads}");
    }
    // The name space of SVG is the only address.
    let addresses = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!addresses.contains("http://") && !addresses.contains("https://"));
}

#[test]
fn the_page_is_complete_and_loads_nothing() {
    let shared = run("small", "shared", &[48; 5], 0.25);
    let smaller = run("smaller", "shared", &[32; 5], 0.5);
    let free = run("free", "per-layer", &[48, 40, 48, 50, 64], 0.2);
    let mut bare = run("bare", "per-layer", &[48; 5], 0.2);
    (bare.record, bare.manifest.imported) = (None, Some("x.pt".into()));
    for (runs, charts) in [
        (vec![shared.clone()], 3),
        (vec![shared.clone(), smaller], 9),
        (vec![free.clone()], 5),
        (vec![bare], 1),
        (vec![shared, free], 8),
    ] {
        let page = report(runs).to_html().unwrap();
        check(&page);
        assert_eq!(page.matches("<svg").count(), charts, "{page}");
        assert!(page.contains("25.0 %") || page.contains("20.0 %"), "{page}");
    }
}

#[test]
fn names_are_escaped() {
    let mut nasty = run(NASTY, "per-layer", &[48, 40, 48, 50, 64], 0.25);
    nasty.record = Some(record(NASTY, 5));
    nasty.manifest.refit = Some(NASTY.into());
    nasty.scores.push(Score::Task {
        task: NASTY.into(),
        metric: NASTY.into(),
        value: 0.5,
        error: None,
        shots: 1,
        items: 2,
    });
    let mut other = nasty.clone();
    other.manifest.real_reduction = 0.5;
    let base = DenseModel { model: model(NASTY, &[128, 128], 2000), scores: Vec::new() };
    let runs = vec![nasty, other];
    let report = Report {
        title: Some(NASTY.into()),
        base: Some(base),
        runs,
        tool: NASTY.into(),
        advice: Some(NASTY.into()),
    };
    let page = report.to_html().unwrap();
    check(&page);
    assert!(page.contains("&lt;script&gt;alert(&quot;x&quot;)"), "{page}");
    assert!(page.contains("{{ 7*7 }}") && !page.contains("alert(\""), "{page}");
}

#[test]
fn the_page_is_the_same_every_time() {
    let page = || report(vec![run("small", "per-layer", &[48; 5], 0.25)]).to_html().unwrap();
    assert_eq!(page(), page());
}

#[test]
fn numbers_are_in_their_cells() {
    let mut small = run("small", "shared", &[48; 5], 0.25);
    let kl = json!({
        "model": "small", "text": "a/web.txt", "kl": 0.25, "kl_standard_error": 0.01,
        "top1_agreement": 0.875, "samples": 3, "seqlen": 64, "protocol": "KL it is",
    });
    small.scores.extend(scores(&kl).unwrap().into_iter().map(|found| found.score));
    let page = report(vec![small]).to_html().unwrap();
    let row = |name: &str| {
        let line = page.lines().find(|line| line.contains(name));
        line.unwrap_or_else(|| panic!("{name}: {page}")).to_string()
    };
    assert!(row("perplexity on dense, 1 × 64").contains("<td>10.000</td><td>12.000</td>"));
    assert!(
        row("KL from the dense model, on web.txt").contains("<td>–</td><td>0.2500 ± 0.0100</td>")
    );
    assert!(row("most likely token as the dense model, on web.txt").contains("<td>87.5 %</td>"));
    assert!(row("most likely token as the dense model, on dense").contains("<td>90.0 %</td>"));
    assert!(row(">parameters<").contains("<td>2.00 K</td><td>1.50 K</td>"));
    assert!(row(">MLP width<").contains("<td>128</td><td>100 to 128</td>"));
    assert!(row(">running the model<").contains("<td>1.00</td><td>50.0 %</td>"));
    assert_eq!(page.matches("KL it is").count(), 1);
}

/// Results on other texts, protocols or weights have rows of their own.
#[test]
fn different_measurements_are_not_merged() {
    let mut small = run("small", "shared", &[48; 5], 0.25);
    let ppl = |text: &str, protocol: &str, value: f64| {
        json!({
            "model": "small", "text": text, "perplexity": value, "samples": 3, "seqlen": 64,
            "protocol": protocol,
        })
    };
    let kl = json!({
        "model": "small", "base": "other", "text": "a/web.txt", "kl": 0.25,
        "kl_standard_error": 0.01, "top1_agreement": 0.875, "samples": 3, "seqlen": 64,
        "protocol": "KL it is",
    });
    let speed = |weights: &str, speed: f64| {
        json!({ "benchmarks": [{
            "model": "small", "phase": "decode", "device": "cpu", "weights": weights, "tokens": 64,
            "batch": 1, "tokens_per_second": speed,
        }] })
    };
    for result in [
        // Perplexity and KL on the same text have different protocols, but the text is the same.
        ppl("a/web.txt", "all labels", 4.0),
        ppl("a/test.txt", "all labels", 3.0),
        ppl("b/test.txt", "all labels", 5.0),
        ppl("c/valid.txt", "all labels", 7.0),
        ppl("c/valid.txt", "some labels", 8.0),
        kl,
        speed("float16", 100.0),
        speed("float32", 50.0),
    ] {
        small.scores.extend(scores(&result).unwrap().into_iter().map(|found| found.score));
    }
    let page = report(vec![small]).to_html().unwrap().replace("&#x2f;", "/");
    for row in [
        "perplexity on web.txt, 3 × 64 tokens<",
        "perplexity on a/test.txt, 3 × 64 tokens<",
        "perplexity on b/test.txt, 3 × 64 tokens<",
        "perplexity on valid.txt, 3 × 64 tokens (all labels)<",
        "perplexity on valid.txt, 3 × 64 tokens (some labels)<",
        "KL from other, on web.txt, 3 × 64 tokens, nats per token<",
        "same most likely token as other, on web.txt, 3 × 64 tokens<",
        "decode, 1 × 64 tokens, cpu, float16<",
        "decode, 1 × 64 tokens, cpu, float32<",
    ] {
        assert!(page.contains(row), "{row}: {page}");
    }
}

#[test]
fn recorded_evaluations_have_a_section_and_without_them_there_is_none() {
    let mut small = run("small", "shared", &[48; 5], 0.25);
    let record = small.record.as_mut().unwrap();
    let mut other = evaluation("other.txt");
    other.continuations = None;
    record.evaluations.push(other);
    let page = report(vec![small.clone()]).to_html().unwrap();
    check(&page);
    assert_eq!(page.matches("<h2>Sliced against dense</h2>").count(), 1, "{page}");
    let cells = "<td>10.000</td><td>12.000</td><td>0.2500 ± 0.0100</td><td>90.0 %</td>\
                 <td>1 × 64 tokens</td>";
    for (text, rest) in [
        ("dense", "<td>75.0 %</td><td>50.0 %</td><td>25.0 %</td><td>40 × 32 tokens</td>"),
        ("other.txt", "<td>–</td><td>–</td><td>–</td><td>–</td>"),
    ] {
        let row = format!("<th scope=\"row\">small, {text}</th>{cells}{rest}");
        assert!(page.contains(&row), "{row}: {page}");
    }
    assert!(page.contains("greedy by record") && !page.contains("Nothing was measured"), "{page}");

    // A file of an earlier version has perplexities only.
    let record = small.record.as_mut().unwrap();
    record.evaluations.clear();
    record.perplexity = Some(PerplexityRecord {
        text: "old.txt".into(),
        before: 10.0,
        after: Some(12.0),
        tokens: 63,
        samples: 1,
        seqlen: 64,
        protocol: "p".into(),
    });
    let page = report(vec![small.clone()]).to_html().unwrap();
    check(&page);
    assert!(page.contains("perplexity on old.txt") && !page.contains("Sliced against"), "{page}");
    small.record.as_mut().unwrap().perplexity = None;
    let page = report(vec![small]).to_html().unwrap();
    check(&page);
    assert!(page.contains("Nothing was measured on text") && !page.contains("<caption>Quality"));
}
