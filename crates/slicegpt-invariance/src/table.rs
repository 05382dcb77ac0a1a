//! [`TableEdit`]: the embedding and the head, `[vocab_size, hidden_size]`, rewritten a few rows at
//! a time, because they are the largest matrices of a model.

use burn::tensor::{DType, Device, Tensor, TensorData};
use slicegpt_core::{Basis, Norm};

/// How the rows of a table change: `row <- center(row) diag(g) B`, centring and scaling optional.
pub struct TableEdit {
    center: bool,
    /// `[1, hidden_size]`.
    scale: Option<Tensor<2>>,
    /// `[hidden_size, 1]`.
    shift: Option<Tensor<2>>,
    /// `[hidden_size, rank]`; nothing for the identity.
    basis: Option<Tensor<2>>,
    device: Device,
}

impl TableEdit {
    /// For a table whose rows write the stream (an embedding): centred if the norms of the model
    /// centre, then expressed in `basis`.
    pub fn writer(centers: bool, basis: &Basis, device: &Device) -> Self {
        let basis = columns(basis, device);
        Self { center: centers, scale: None, shift: None, basis, device: device.clone() }
    }

    /// For a table whose rows read the stream through `norm` (a head): the norm folded in, then
    /// expressed in `basis`.
    pub fn reader(norm: &Norm, basis: &Basis, device: &Device) -> Self {
        let f64 = |vector: Tensor<1>| vector.cast(DType::F64);
        Self {
            center: false,
            scale: norm.weight.as_ref().map(|g| f64(g.val()).unsqueeze_dim(0)),
            shift: norm.bias.as_ref().map(|beta| f64(beta.val()).unsqueeze_dim(1)),
            basis: columns(basis, device),
            device: device.clone(),
        }
    }

    /// Rewrites `rows` (row-major, `[n, hidden_size]`): gives the new rows, `[n, rank]`, and, where
    /// the folded norm had a bias, what it adds to each row's output, `[n]`.
    ///
    /// # Panics
    ///
    /// If `rows` is not a whole number of rows of `hidden_size`.
    pub fn apply(&self, rows: Vec<f32>, hidden_size: usize) -> (Vec<f32>, Option<Vec<f32>>) {
        let shape = [rows.len() / hidden_size, hidden_size];
        let rows = Tensor::<2>::from_data(TensorData::new(rows, shape), &self.device);
        let rows = rows.cast(DType::F64);
        let shift = self.shift.clone().map(|beta| host(rows.clone().matmul(beta)));
        let rows = match self.center {
            true => rows.clone() - rows.mean_dim(1),
            false => rows,
        };
        let rows = match &self.scale {
            Some(g) => rows * g.clone(),
            None => rows,
        };
        let rows = match &self.basis {
            Some(basis) => rows.matmul(basis.clone()),
            None => rows,
        };
        (host(rows), shift)
    }
}

fn columns(basis: &Basis, device: &Device) -> Option<Tensor<2>> {
    (!basis.is_identity()).then(|| basis.to(device, DType::F64))
}

fn host(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data_dtype(DType::F32).try_into_vec().expect("it was just made float32")
}
