//! The workloads: random models of two well-known shapes, and the amount of calibration text.
//!
//! Time and memory depend on shapes and dtype and not on the values of the weights, so random
//! weights replace a download of gigabytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

pub struct Workload {
    pub name: &'static str,
    pub title: &'static str,
    /// The shape, as options of `random-model`.
    pub shape: &'static [(&'static str, &'static str)],
    pub samples: usize,
    pub seqlen: usize,
    /// The cost of the reference implementation for the same work, where it was measured.
    pub reference: &'static [Reference],
}

pub struct Reference {
    pub conditions: &'static str,
    pub wall_seconds: Option<f64>,
    pub cpu_seconds: f64,
    pub peak_mib: Option<f64>,
}

pub const SPARSITY: f64 = 0.25;

pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "llama-110m",
        title: "Llama 110M shape, float32",
        shape: &[
            ("--family", "llama"),
            ("--hidden-size", "768"),
            ("--layers", "12"),
            ("--heads", "12"),
            ("--kv-heads", "12"),
            ("--intermediate-size", "2048"),
            ("--vocab-size", "32000"),
            ("--dtype", "f32"),
            ("--seed", "0"),
        ],
        samples: 16,
        seqlen: 512,
        reference: &[
            Reference {
                conditions: "busy machine",
                wall_seconds: None,
                cpu_seconds: 35.0,
                peak_mib: Some(1863.0),
            },
            Reference {
                conditions: "idle machine, 2 threads",
                wall_seconds: Some(26.0),
                cpu_seconds: 45.0,
                peak_mib: None,
            },
        ],
    },
    Workload {
        name: "llama-1.1b",
        title: "Llama 1.1B shape, bfloat16",
        shape: &[
            ("--family", "llama"),
            ("--hidden-size", "2048"),
            ("--layers", "22"),
            ("--heads", "32"),
            ("--kv-heads", "4"),
            ("--intermediate-size", "5632"),
            ("--vocab-size", "32000"),
            ("--dtype", "bf16"),
            ("--seed", "0"),
        ],
        samples: 4,
        seqlen: 256,
        reference: &[],
    },
];

impl Workload {
    /// The arguments of `random-model`, except for the output directory.
    fn recipe(&self) -> Vec<String> {
        let shape = self.shape.iter().flat_map(|(key, value)| [*key, *value]).map(str::to_owned);
        let tokens = ["--tokens".to_owned(), format!("{}x{}", self.samples, self.seqlen)];
        shape.chain(tokens).collect()
    }

    /// The model directory below `folder`, which `random_model` writes if it is not there yet.
    pub fn model(&self, random_model: &Path, folder: &Path) -> Result<PathBuf> {
        let model = folder.join(self.name);
        // Written last, next to the model: a model without this file is incomplete and is written
        // again.
        let receipt = folder.join(format!("{}.recipe", self.name));
        let recipe = self.recipe().join(" ");
        if fs::read_to_string(&receipt).is_ok_and(|made| made == recipe) && model.is_dir() {
            return Ok(model);
        }
        eprintln!("making {} in {}", self.title, model.display());
        if model.exists() {
            fs::remove_dir_all(&model)
                .with_context(|| format!("cannot remove {}", model.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let status = Command::new(random_model)
            .args(self.recipe())
            .arg("--out")
            .arg(&model)
            .status()
            .context("cannot start random-model")?;
        ensure!(status.success(), "random-model failed on {}: see its message above", self.title);
        fs::write(&receipt, recipe)
            .with_context(|| format!("cannot write {}", receipt.display()))?;
        Ok(model)
    }

    /// The arguments of `slicegpt` for one run that reads `model` and writes `out`.
    pub fn arguments(&self, model: &Path, out: &Path) -> Vec<std::ffi::OsString> {
        let (samples, seqlen) = (self.samples.to_string(), self.seqlen.to_string());
        let tokens = model.join("tokens.safetensors");
        let mut args = vec!["compress".into(), model.into(), "--out".into(), out.into()];
        args.extend(["--method", "per-layer", "--force", "--sparsity"].map(Into::into));
        args.push(SPARSITY.to_string().into());
        args.extend(["--calibration".into(), tokens.into()]);
        args.extend(["--samples".into(), samples.into(), "--seqlen".into(), seqlen.into()]);
        args.push("--json".into());
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_names_the_shape_and_the_tokens() {
        let recipe = WORKLOADS[0].recipe().join(" ");
        assert!(recipe.starts_with("--family llama --hidden-size 768"), "{recipe}");
        assert!(recipe.ends_with("--tokens 16x512"), "{recipe}");
    }

    #[test]
    fn every_workload_has_a_folder_of_its_own() {
        for (index, workload) in WORKLOADS.iter().enumerate() {
            assert!(WORKLOADS[..index].iter().all(|other| other.name != workload.name));
        }
    }
}
