//! The model card of a sliced checkpoint.

use serde_json::Value;
use slicegpt_checkpoint::Dtype;
use slicegpt_hub::ModelId;
use slicegpt_provenance::{
    CalibrationRecord, EvaluationRecord, Manifest, Method, Record, compared_lengths, each_once,
};

use crate::services::model::Described;
use crate::show::size::{show_bytes, show_count, show_percent};

/// How to use a checkpoint that any tool loads.
const STOCK: &str = "It is a model of its family like any other:\n\n\
     ```python\n\
     from transformers import AutoModelForCausalLM\n\
     model = AutoModelForCausalLM.from_pretrained(\".\")\n\
     ```\n\n\
     How it was made is also in `slicegpt.json`.\n";

/// How to use a checkpoint that comes with the code to run it.
const OWN: &str = "Its shape is not one of its family: `modeling_slicegpt.py` beside it runs it in \
     transformers (4.53 or later).\n\n\
     ```python\n\
     from transformers import AutoModelForCausalLM\n\
     model = AutoModelForCausalLM.from_pretrained(\".\", trust_remote_code=True)\n\
     ```\n\n\
     The checkpoint says everything about itself in the `slicegpt` section of `config.json`:\n\n\
     ```sh\n\
     slicegpt inspect .\n\
     slicegpt eval ppl . --text FILE\n\
     ```\n";

/// The name of a model: its id on the Hub, or else the name of its directory.
pub fn name(described: &Described) -> String {
    let directory = described.directory.canonicalize().ok();
    let last = || Some(directory?.file_name()?.to_string_lossy().into_owned());
    let name = ModelId::of_snapshot(&described.directory).or_else(last);
    name.unwrap_or_else(|| "a model".into())
}

/// `README.md`: what was cut and how, the effect on perplexity, and how to use and reproduce the
/// model.
pub fn card(
    described: &Described,
    manifest: &Manifest,
    record: Option<&Record>,
    dtype: Dtype,
) -> String {
    let name = name(described);
    let origin = described.config.get("_name_or_path").and_then(Value::as_str);
    let origin = origin.filter(|origin| !origin.is_empty()).unwrap_or(&name);
    let usage = if manifest.stock { STOCK } else { OWN };
    format!(
        "---\n\
         tags:\n- slicegpt\n\
         library_name: transformers\n\
         ---\n\n\
         # {name}, sliced\n\n\
         `{origin}` with its residual stream rotated and cut (after SliceGPT, arXiv 2401.15024). \
         The weights are dense; nothing is masked or quantised.\n\n\
         | | |\n|---|---|\n\
         {rows}\n\
         {stream}\n\n\
         {measured}\
         ## Use\n\n\
         {usage}",
        rows = rows(described, manifest, dtype),
        stream = stream(described, manifest),
        measured = record.map_or_else(String::new, |record| measured(manifest, record)),
    )
}

/// The rows of the table: what was cut and how.
fn rows(described: &Described, manifest: &Manifest, dtype: Dtype) -> String {
    let row = |name: &str, value: Option<String>| {
        value.map_or_else(String::new, |value| format!("| {name} | {value} |\n"))
    };
    let nominal = row(
        "nominal sparsity (fraction of the stream cut)",
        match (manifest.nominal_sparsity, &manifest.method) {
            (Some(nominal), _) => Some(show_percent(nominal)),
            (None, Method::PerLayer) => Some("set by a plan file or a size".into()),
            (None, Method::Shared | Method::Other(_)) => None,
        },
    );
    let full = described.spec.mlp.intermediate_size;
    let uniform = manifest.intermediate_size.map(|width| format!("{width} of {full}"));
    let own = manifest.intermediate_sizes.as_ref().map(|sizes| {
        let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
        format!("{} of {full}", sizes.join(", "))
    });
    let refit = manifest.refit.as_ref().map(ToString::to_string);
    format!(
        "| model type | {model_type} |\n\
         | method | {method} |\n\
         {nominal}\
         | real reduction (fraction of parameters gone, all tensors counted) | {real} |\n\
         | parameters | {before} before, {after} after |\n\
         {inner}\
         {refit}\
         | type | {dtype} |\n\
         {origin}\
         | tool | {tool} |\n",
        model_type = described.spec.model_type,
        method = manifest.method,
        real = show_percent(manifest.real_reduction),
        before = show_count(manifest.params_before),
        after = show_count(manifest.params_after),
        inner = row("MLP width", uniform.or(own)),
        refit = row("refit towards the dense model", refit),
        origin = origin(manifest),
        tool = manifest.tool_version,
    )
}

/// The rows about the calibration, or the file that the model was imported from.
fn origin(manifest: &Manifest) -> String {
    if let Some(file) = &manifest.imported {
        return format!("| imported from | {file}, of the reference implementation |\n");
    }
    let CalibrationRecord { source, digest, samples, seqlen, tokens, .. } = &manifest.calibration;
    format!(
        "| orientation | {} |\n\
         | calibration | {source}: {samples} sequences of {seqlen} tokens ({tokens} counted) |\n\
         | calibration digest | sha256 {digest} |\n\
         | seed | {} |\n",
        manifest.orientation, manifest.seed,
    )
}

/// The widths of the stream, in words.
fn stream(described: &Described, manifest: &Manifest) -> String {
    let full = described.spec.hidden_size;
    match &manifest.method {
        Method::Shared => format!(
            "Width of the stream: {} of {full}, in one basis for the whole model.",
            manifest.widths[0]
        ),
        Method::PerLayer | Method::Other(_) => {
            let widths: Vec<String> = manifest.widths.iter().map(usize::to_string).collect();
            format!(
                "Width of the stream at every cut (embedding, then after every sublayer), of \
                 {full}: {}.",
                widths.join(", ")
            )
        }
    }
}

/// The measurements: on text, size, time and memory.
fn measured(manifest: &Manifest, record: &Record) -> String {
    let machine = &record.machine;
    let mut rows = String::new();
    let mut row = |name: &str, value: String| rows += &format!("| {name} | {value} |\n");
    for found in record.perplexities() {
        let after =
            found.after.map_or_else(|| "not measured".into(), |after| format!("{after:.3}"));
        row(
            &format!("perplexity on {}", cell(&found.text)),
            format!(
                "{:.3} before, {after} after ({} sequences of {} tokens)",
                found.before, found.samples, found.seqlen
            ),
        );
    }
    record.evaluations.iter().flat_map(compared).for_each(|(name, value)| row(&name, value));
    row("bytes of the weights", {
        format!("{} before, {} after", show_bytes(record.dense.bytes), show_bytes(record.bytes))
    });
    if let Some((name, value)) = energy(manifest, record) {
        row(name, value);
    }
    row("time of the cut", format!("{:.1} s", record.seconds));
    if let Some(peak) = record.peak_rss_bytes {
        row("peak memory", show_bytes(peak));
    }
    let device = match machine.device.as_str() {
        "cpu" => String::new(),
        device => format!("; {device}: {}", machine.device_model),
    };
    row("machine", {
        let Record { machine, .. } = record;
        let memory = show_bytes(machine.memory_bytes);
        let line = format!(
            "{}, {} cores, {memory}, {}{device}",
            machine.processor, machine.cores, machine.system
        );
        cell(&line)
    });
    let protocols = protocols(record);
    format!("## Measured\n\n| | |\n|---|---|\n{rows}\n{protocols}")
}

/// The comparison with the dense model on one text, as names and values of rows.
fn compared(found: &EvaluationRecord) -> Vec<(String, String)> {
    let text = cell(&found.text);
    let mut rows = vec![
        (
            format!("KL from the dense model on {text}, nats per token"),
            format!("{:.5} ± {:.5}", found.kl, found.kl_standard_error),
        ),
        (
            format!("same most likely token as the dense model on {text}"),
            show_percent(found.top1_agreement),
        ),
    ];
    for tokens in compared_lengths([found]) {
        let same = found.same_beginning(tokens).map(show_percent);
        let name = format!("same first {tokens} tokens of greedy continuations on {text}");
        rows.extend(same.map(|same| (name, same)));
    }
    rows
}

/// The protocols of everything measured on text, each once, as paragraphs.
fn protocols(record: &Record) -> String {
    let perplexities = record.perplexities();
    let all = perplexities.iter().map(|found| found.protocol.as_str());
    let all = all.chain(record.evaluations.iter().flat_map(EvaluationRecord::protocols));
    each_once(all).iter().map(|line| format!("{line}\n\n")).collect()
}

/// The fraction of the energy of the stream in the kept directions, on the calibration text.
fn energy(manifest: &Manifest, record: &Record) -> Option<(&'static str, String)> {
    let least = record.spectra.iter().map(|spectrum| spectrum.lost).fold(f64::NAN, f64::max);
    let kept = |lost: f64| format!("{:.2} %", 100.0 * (1.0 - lost));
    match record.spectra.as_slice() {
        [] => None,
        [one] if manifest.method == Method::Shared => Some((
            "energy of the normalised stream in as many leading directions as were kept \
             (calibration text)",
            kept(one.lost),
        )),
        several => {
            let mean = several.iter().map(|s| s.lost).sum::<f64>() / several.len() as f64;
            Some((
                "energy of the stream that was kept at a cut (calibration text)",
                format!("{} on average, {} at least", kept(mean), kept(least)),
            ))
        }
    }
}

/// Text for a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('|', "\\|")
}
