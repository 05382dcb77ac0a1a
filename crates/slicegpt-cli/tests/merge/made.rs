//! Adapters with random matrices for the models of the tests.

use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use slicegpt_adapters::{Adapter, AdapterConfig, Factors};

/// The numerator of the scale of every adapter.
pub const ALPHA: f64 = 3.0;

/// Random matrices of rank 2 for modules with weights of these shapes.
pub fn factors<'a>(modules: impl IntoIterator<Item = (&'a str, [usize; 2])>) -> Vec<Factors> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut values = |count| (0..count).map(|_| rng.random_range(-0.1f32..0.1)).collect();
    let modules = modules.into_iter();
    let make = |(module, [outputs, inputs]): (&str, [usize; 2])| Factors {
        module: module.into(),
        rank: 2,
        inputs,
        outputs,
        a: values(2 * inputs),
        b: values(outputs * 2),
    };
    modules.map(make).collect()
}

/// An adapter with these matrices.
pub fn adapter(factors: Vec<Factors>) -> Adapter {
    Adapter::new(AdapterConfig::new(Some("org/base".into()), 2, ALPHA), factors).unwrap()
}

/// The modules in blocks of the weights in `directory` that are matrices, with `prefix` before
/// their names.
pub fn modules(directory: &Path, prefix: &str) -> Vec<(String, [usize; 2])> {
    let tensors = slicegpt_testkit::stored_tensors(directory).into_iter();
    let inner = tensors.filter(|(name, ..)| name.contains("layers."));
    inner
        .filter_map(|(name, info, _)| {
            let module = name.strip_suffix(".weight")?;
            let [rows, columns] = info.shape[..] else { return None };
            Some((format!("{prefix}{module}"), [rows, columns]))
        })
        .collect()
}

/// Writes an adapter for all matrices in blocks of the model in `directory` to `out`.
pub fn write_for(directory: &Path, out: &Path) -> Vec<Factors> {
    let modules = modules(directory, "");
    let factors = factors(modules.iter().map(|(module, shape)| (module.as_str(), *shape)));
    adapter(factors.clone()).write(out, None, false).unwrap();
    factors
}
