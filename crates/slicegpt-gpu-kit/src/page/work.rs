//! Whole runs: the time of compressions by stage, their bottlenecks, and tokens per second.

use super::figures::{bytes, digits, percent};
use crate::{Compress, Line, Results, Speed};

fn compressed(line: &Line) -> Option<&Compress> {
    match line {
        Line::Compress(compress) => Some(compress),
        _ => None,
    }
}

fn speed(line: &Line) -> Option<&Speed> {
    match line {
        Line::Speed(speed) => Some(speed),
        _ => None,
    }
}

/// The compression of a shape with a method.
pub fn compression<'a>(results: &'a Results, shape: &str, method: &str) -> Option<&'a Compress> {
    results.lines().filter_map(compressed).find(|it| it.shape == shape && it.method == method)
}

/// Tables of the seconds by stage and of the bottlenecks.
pub fn compressions(results: &Results) -> String {
    let all: Vec<_> = results.lines().filter_map(compressed).collect();
    if all.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "## Compressing a model of random weights\n\n\
         Seconds by kind of work, as `compress --json` gives them; *tables* is embedding \
         and head. *Forward* and *gram* wait for the device; work of the other \
         stages that nothing reads yet is counted in the next.\n\n\
         | shape | blocks | method | tokens | type | batch | seconds | forward | gram | eigen | \
         edit | stream | read | tables | write | rest |\n\
         |---|---:|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for it in &all {
        let stage = |name: &str| it.stage_seconds.get(name).copied().unwrap_or(0.0);
        let names = ["forward", "gram", "eigen", "edit", "stream", "read", "tables", "write"];
        let rest = it.seconds - names.map(stage).iter().sum::<f64>();
        let [layers, whole] = it.layers;
        let blocks =
            if layers == whole { layers.to_string() } else { format!("{layers} of {whole}") };
        let [samples, seqlen] = it.tokens;
        text.push_str(&format!(
            "| {} | {blocks} | {} | {samples} x {seqlen} | {} | {} | {} |",
            it.shape,
            it.method,
            it.compute_dtype,
            it.batch_size,
            digits(it.seconds)
        ));
        names.iter().for_each(|name| text.push_str(&format!(" {} |", digits(stage(name)))));
        text.push_str(&format!(" {} |\n", digits(rest.max(0.0))));
    }
    text.push_str(
        "\nBottlenecks, seen from outside: *device busy* is the mean utilisation that the driver \
         reports (any kernel counts, however small); *cores busy* is CPU time over wall time; \
         *disk wait* is the fraction of the time in which a thread waited for a block device; \
         *read* and *written* are bytes of block devices (not of the page cache).\n\n\
         | shape | method | wall s | device busy | cores busy | disk wait | read | written | \
         host peak | device peak |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for it in &all {
        let usage = &it.usage;
        let wall = usage.wall_seconds;
        let of_wall = |seconds: Option<f64>| seconds.map(|seconds| seconds / wall);
        let cores = of_wall(usage.cpu_seconds).map_or_else(|| "-".into(), digits);
        let device = usage.device_memory_bytes.max(it.device_memory_bytes);
        text.push_str(&format!(
            "| {} | {} | {} | {} | {cores} | {} | {} | {} | {} | {} |\n",
            it.shape,
            it.method,
            digits(wall),
            percent(usage.device_busy),
            percent(of_wall(usage.disk_wait_seconds)),
            bytes(usage.disk_read_bytes),
            bytes(usage.disk_write_bytes),
            bytes(it.peak_rss_bytes.max(usage.peak_rss_bytes)),
            bytes(device),
        ));
    }
    for it in all.iter().filter(|it| it.layers[0] < it.layers[1]) {
        let [layers, whole] = it.layers;
        let scaled = it.seconds * whole as f64 / layers as f64;
        text.push_str(&format!(
            "\nAll {whole} blocks of the {} shape would take about {} s at this rate ({}): the \
             seconds of {layers} blocks, embedding and head, times {:.1}, which is an upper \
             bound.\n",
            it.shape,
            digits(scaled),
            it.method,
            whole as f64 / layers as f64,
        ));
    }
    text.trim_end().to_owned()
}

/// Tokens per second, dense and cut.
pub fn speeds(results: &Results) -> String {
    let all: Vec<&Speed> = results.lines().filter_map(speed).collect();
    if all.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "## Tokens per second, dense and cut by 25 %\n\n\
         | shape | phase | batch | tokens | dense | cut | ratio |\n\
         |---|---|---:|---:|---:|---:|---:|\n",
    );
    for dense in all.iter().filter(|speed| speed.model == "dense") {
        let same = |other: &&&Speed| {
            other.model == "cut"
                && (&other.shape, &other.phase, other.batch, other.tokens)
                    == (&dense.shape, &dense.phase, dense.batch, dense.tokens)
        };
        let cut = all.iter().find(same).map(|cut| cut.tokens_per_second);
        let ratio = cut.map(|cut| cut / dense.tokens_per_second);
        let show = |value: Option<f64>| value.map_or_else(|| "-".into(), digits);
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            dense.shape,
            dense.phase,
            dense.batch,
            dense.tokens,
            digits(dense.tokens_per_second),
            show(cut),
            show(ratio),
        ));
    }
    text.trim_end().to_owned()
}
