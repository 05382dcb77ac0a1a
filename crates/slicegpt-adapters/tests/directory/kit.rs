//! A small adapter in a directory, whose files can be changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use slicegpt_adapters::{Adapter, BaseModel};
use tempfile::TempDir;

/// The only module that it changes.
pub const Q: &str = "model.layers.0.self_attn.q_proj";

/// Files of an adapter of rank 2 for a weight of 3 rows and 4 columns.
pub struct Files {
    folder: TempDir,
    pub config: Value,
    /// Shape and values of tensors by name.
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Files {
    pub fn new() -> Self {
        let config = json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": "org/name",
            "r": 2,
            "lora_alpha": 4,
            "target_modules": ["q_proj"],
        });
        let folder = tempfile::tempdir().unwrap();
        let mut files = Self { folder, config, tensors: BTreeMap::new() };
        files.insert(&format!("{Q}.lora_A.weight"), &[2, 4], |i| i as f32 - 3.0);
        files.insert(&format!("{Q}.lora_B.weight"), &[3, 2], |i| 0.5 * i as f32);
        files
    }

    /// Adds or replaces a tensor, whose name lacks PEFT's prefix.
    pub fn insert(&mut self, name: &str, shape: &[usize], value: impl Fn(usize) -> f32) {
        let values = (0..shape.iter().product()).map(value).collect();
        self.tensors.insert(format!("base_model.model.{name}"), (shape.to_vec(), values));
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the files as they are now.
    pub fn write(&self) -> PathBuf {
        let path = self.path();
        std::fs::write(path.join("adapter_config.json"), self.config.to_string()).unwrap();
        let bytes: BTreeMap<_, Vec<u8>> = self
            .tensors
            .iter()
            .map(|(name, (_, values))| {
                (name, values.iter().flat_map(|x| x.to_le_bytes()).collect())
            })
            .collect();
        let views = self.tensors.iter().map(|(name, (shape, _))| {
            (name.clone(), TensorView::new(Dtype::F32, shape.clone(), &bytes[name]).unwrap())
        });
        let file = path.join("adapter_model.safetensors");
        safetensors::serialize_to_file(views, None, &file).unwrap();
        path.to_path_buf()
    }

    pub fn open(&self) -> Adapter {
        Adapter::open(self.write()).unwrap()
    }

    /// The error that opening the files gives.
    pub fn refused(&self) -> String {
        Adapter::open(self.write()).err().expect("an error").to_string()
    }
}

/// A model that the adapter of [`Files`] fits.
pub fn model() -> BaseModel {
    let mut tensors = BTreeMap::new();
    let mut insert = |name: &str, shape: &[usize]| {
        tensors.insert(format!("{name}.weight"), shape.to_vec());
    };
    insert("model.embed_tokens", &[7, 4]);
    insert("lm_head", &[7, 4]);
    insert("model.norm", &[4]);
    for layer in 0..1 {
        insert(&format!("model.layers.{layer}.self_attn.q_proj"), &[3, 4]);
        insert(&format!("model.layers.{layer}.mlp.up_proj"), &[5, 4]);
    }
    BaseModel {
        name: "dense".into(),
        tensors,
        embedding: "model.embed_tokens".into(),
        positions: None,
        head: "lm_head".into(),
        tied: false,
    }
}
