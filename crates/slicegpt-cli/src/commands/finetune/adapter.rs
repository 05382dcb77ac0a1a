//! The trained corrections as a LoRA adapter in PEFT's layout.

use std::path::Path;

use anyhow::Result;
use slicegpt_adapters::{Adapter, AdapterConfig, Factors};
use slicegpt_models::{DecoderSpec, Entry};
use slicegpt_train::{Place, Trainable};

/// An adapter with the corrections `trained`, which are multiplied by `alpha / rank`. Its config
/// names `base` as the model.
pub fn adapter(
    spec: &DecoderSpec,
    base: &Path,
    (rank, alpha): (usize, f64),
    trained: &Trainable,
) -> Result<Adapter> {
    let mut factors = Vec::new();
    for block in 0..spec.layers {
        let entries = spec.block_entries(block);
        factors.extend(entries.iter().filter_map(|entry| of_entry(spec, block, entry, trained)));
    }
    let head = spec.head_entries();
    if let (Some(entry), Some((rank, [a, b]))) = (head.first(), trained.factors(Place::Head)) {
        let [outputs, inputs] = [entry.shape[0], entry.shape[1]];
        factors.push(Factors { module: module(entry), rank, inputs, outputs, a, b });
    }
    let base = base.canonicalize().unwrap_or_else(|_| base.into());
    let mut config = AdapterConfig::new(Some(base.to_string_lossy().into()), rank, alpha);
    let scale = alpha / rank as f64;
    let others = factors.iter().filter(|factors| factors.rank != rank);
    config.alpha_pattern =
        others.map(|factors| (factors.module.clone(), scale * factors.rank as f64)).collect();
    let names: Vec<String> = (0..spec.layers)
        .flat_map(|block| spec.block_entries(block))
        .chain(head)
        .filter(|entry| entry.shape.len() == 2)
        .map(|entry| module(&entry))
        .collect();
    let adapter = Adapter::new(config, factors)?;
    Ok(adapter.with_short_targets(names.iter().map(String::as_str)))
}

/// The correction of a tensor of a block. One that holds several weights has the correction of all
/// of them: the first factors below each other, the second ones along a diagonal.
fn of_entry(
    spec: &DecoderSpec,
    block: usize,
    entry: &Entry,
    trained: &Trainable,
) -> Option<Factors> {
    let [outputs, inputs] = *entry.shape else { return None };
    let places = spec.roles(entry).into_iter();
    let parts: Vec<_> = places
        .map(|(sublayer, role)| trained.factors(Place::Block { block, sublayer, role }))
        .collect::<Option<_>>()?;
    let rank = parts.iter().map(|(rank, _)| rank).sum();
    let (mut a, mut b) = (Vec::new(), Vec::with_capacity(outputs * rank));
    let mut before = 0;
    for (rank_of_part, [a_part, b_part]) in parts {
        a.extend(a_part);
        for row in b_part.chunks_exact(rank_of_part) {
            let start = b.len();
            b.resize(start + rank, 0.0);
            b[start + before..][..rank_of_part].copy_from_slice(row);
        }
        before += rank_of_part;
    }
    Some(Factors { module: module(entry), rank, inputs, outputs, a, b })
}

/// The module that a tensor is the weight of.
fn module(entry: &Entry) -> String {
    entry.name.strip_suffix(".weight").unwrap_or(&entry.name).into()
}
