//! Writes an adapter with random matrices for every linear layer of a checkpoint, as training
//! would: `random_adapter MODEL OUT`. The check against PEFT loads it there.

use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use slicegpt_adapters::{Adapter, AdapterConfig, Factors};
use slicegpt_checkpoint::Checkpoint;

const RANK: usize = 3;
const ALPHA: f64 = 4.5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(model), Some(out), None) = (args.next(), args.next(), args.next()) else {
        return Err("usage: random_adapter MODEL OUT".into());
    };
    let checkpoint = Checkpoint::open(&model)?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut values = |count| (0..count).map(|_| rng.random_range(-0.2f32..0.2)).collect();
    let modules: Vec<&str> = checkpoint
        .names()
        .filter(|name| checkpoint.shape(name).is_some_and(|shape| shape.len() == 2))
        .filter_map(|name| name.strip_suffix(".weight"))
        .collect();
    let mut factors = Vec::new();
    for module in modules.iter().filter(|module| module.contains("layers.")) {
        let Some([outputs, inputs]) = checkpoint.shape(&format!("{module}.weight")) else {
            continue;
        };
        // One rank differs from the others.
        let rank = if factors.len() == 1 { RANK + 2 } else { RANK };
        factors.push(Factors {
            module: module.to_string(),
            rank,
            inputs: *inputs,
            outputs: *outputs,
            a: values(rank * inputs),
            b: values(outputs * rank),
        });
    }
    let config = AdapterConfig::new(Some(model.clone()), RANK, ALPHA);
    let adapter = Adapter::new(config, factors)?.with_short_targets(modules);
    adapter.write(Path::new(&out), Some(Path::new(&model)), true)?;
    Ok(())
}
