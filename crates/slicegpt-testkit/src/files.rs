//! The folder of the fixtures, and the tensors of safetensors files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// `fixtures/` of the repository.
pub fn fixtures() -> PathBuf {
    // Read at run time, because checkouts may share a target directory.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR");
    let manifest = manifest.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest).join("../../fixtures")
}

/// The folder with the models and the results of the reference implementation, which the
/// environment variable `SLICEGPT_REFERENCE` names.
///
/// # Panics
///
/// If the variable is not set. Tests that need the folder are ignored unless
/// `cargo xtask test --reference DIR` runs them.
pub fn reference() -> PathBuf {
    let folder = std::env::var_os("SLICEGPT_REFERENCE");
    folder.map(PathBuf::from).expect("run this test with: cargo xtask test --reference DIR")
}

/// All tensors of a safetensors file, as float64 (which holds float32 and token ids exactly).
pub struct Tensors(BTreeMap<String, (Vec<usize>, Vec<f64>)>);

impl Tensors {
    /// Reads `path`.
    ///
    /// # Panics
    ///
    /// If it cannot be read, or holds other types than floats and 32- or 64-bit integers.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        Self(file.iter().map(|(name, view)| (name.to_string(), read(&view))).collect())
    }

    /// Shape and row-major values of tensor `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<(&[usize], &[f64])> {
        self.0.get(name).map(|(shape, values)| (shape.as_slice(), values.as_slice()))
    }

    /// Row-major values of tensor `name`.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn values(&self, name: &str) -> &[f64] {
        self.get(name).unwrap_or_else(|| panic!("no tensor {name}")).1
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Replaces or adds a tensor.
    pub fn insert(&mut self, name: &str, shape: &[usize], values: Vec<f64>) {
        self.0.insert(name.to_string(), (shape.to_vec(), values));
    }

    /// Writes all tensors as float32.
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    pub fn write_f32(&self, path: &Path) {
        let bytes: BTreeMap<&String, Vec<u8>> = self
            .0
            .iter()
            .map(|(name, (_, values))| {
                (name, values.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect())
            })
            .collect();
        let views = self.0.iter().map(|(name, (shape, _))| {
            let view = TensorView::new(Dtype::F32, shape.clone(), &bytes[name]);
            (name.clone(), view.expect("four bytes per element"))
        });
        safetensors::serialize_to_file(views, None, path).expect("a writable file");
    }
}

fn read(view: &TensorView<'_>) -> (Vec<usize>, Vec<f64>) {
    fn each<const N: usize>(data: &[u8], f: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        data.chunks_exact(N).map(|bytes| f(bytes.try_into().expect("N bytes"))).collect()
    }
    let data = view.data();
    let values = match view.dtype() {
        Dtype::F64 => each(data, f64::from_le_bytes),
        Dtype::F32 => each(data, |bytes| f32::from_le_bytes(bytes).into()),
        Dtype::I32 => each(data, |bytes| i32::from_le_bytes(bytes).into()),
        Dtype::I64 => each(data, |bytes| i64::from_le_bytes(bytes) as f64),
        other => panic!("type {other:?} is not read by the test kit"),
    };
    (view.shape().to_vec(), values)
}
