//! [`TableEdit`]: rewriting the embedding and the head, `[vocab_size, hidden_size]`, some rows at a
//! time, because they are the largest matrices of a model.

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};
use slicegpt_core::precise::PreciseMatrix;
use slicegpt_core::{Basis, Norm, host_vec};

/// How the rows of a table change: `row <- center(row) diag(g) B`, with centring and scaling
/// optional.
///
/// All of it is one matrix, computed on the host in float64. If `B` is the identity, centring and
/// scaling are applied to each element instead.
pub struct TableEdit {
    /// `[hidden_size, rank]`; `None` if the basis is the identity.
    matrix: Option<PreciseMatrix>,
    /// Whether the mean is to be subtracted from each row, because no matrix does it.
    center: bool,
    /// The factor of each column, because no matrix applies it.
    scale: Option<Vec<f32>>,
    /// `[hidden_size, 1]`: the product of a row with it is added to the bias of the row's output.
    shift: Option<PreciseMatrix>,
    device: Device,
}

impl TableEdit {
    /// For a table whose rows write the stream (an embedding): they are centred if the norms of the
    /// model centre, then expressed in `basis`.
    pub fn writer(centers: bool, basis: &Basis, device: &Device) -> Self {
        let (matrix, center) = match (basis.is_identity(), centers) {
            (true, _) => (None, centers),
            (false, false) => (Some(basis.on(device)), false),
            (false, true) => (Some(matrix(&centered(basis), basis, device)), false),
        };
        Self { matrix, center, scale: None, shift: None, device: device.clone() }
    }

    /// For a table whose rows read the stream through `norm` (a head): the norm is folded into
    /// them, then they are expressed in `basis`.
    pub fn reader(norm: &Norm, basis: &Basis, device: &Device) -> Self {
        let scale = norm.weight.as_ref().map(|g| host_vec(g.val()));
        let shift = norm.bias.as_ref().map(|beta| {
            let beta: Vec<f64> =
                host_vec::<f32, _, _>(beta.val()).into_iter().map(f64::from).collect();
            PreciseMatrix::from_f64(&beta, [beta.len(), 1], device)
        });
        let (matrix, scale) = match (basis.is_identity(), scale) {
            (true, scale) => (None, scale),
            (false, None) => (Some(basis.on(device)), None),
            (false, Some(g)) => (Some(matrix(&scaled(basis, &g), basis, device)), None),
        };
        Self { matrix, center: false, scale, shift, device: device.clone() }
    }

    /// For a table whose rows read the stream through `norm` and are refitted (a head): the norm is
    /// folded into them, then they are multiplied by `matrix`, `[hidden_size, rank]` row-major.
    /// Their products with `shift`, `[hidden_size]`, are added to the biases of the outputs.
    ///
    /// # Panics
    ///
    /// If the sizes do not match.
    pub fn refitted(norm: &Norm, matrix: &[f64], shift: Option<&[f64]>, device: &Device) -> Self {
        let width = norm.hidden_size;
        let rank = matrix.len() / width;
        let vector = |vector: &Option<Param<Tensor<1>>>, other: f64| match vector {
            Some(vector) => {
                host_vec::<f32, _, _>(vector.val()).into_iter().map(f64::from).collect()
            }
            None => vec![other; width],
        };
        let (g, beta) = (vector(&norm.weight, 1.0), vector(&norm.bias, 0.0));
        let rows = matrix.chunks_exact(rank).zip(&g);
        let folded: Vec<f64> = rows.flat_map(|(row, g)| row.iter().map(move |x| g * x)).collect();
        let shift = (shift.is_some() || norm.bias.is_some()).then(|| {
            let shift = |i: usize| beta[i] + shift.map_or(0.0, |shift| g[i] * shift[i]);
            let shift: Vec<f64> = (0..width).map(shift).collect();
            PreciseMatrix::from_f64(&shift, [width, 1], device)
        });
        let matrix = Some(PreciseMatrix::from_f64(&folded, [width, rank], device));
        Self { matrix, center: false, scale: None, shift, device: device.clone() }
    }

    /// For a table whose rows stay as they are: their products with `shift`, `[hidden_size]`, are
    /// added to the biases of the outputs.
    pub fn product(shift: Vec<f64>, device: &Device) -> Self {
        let shift = Some(PreciseMatrix::from_f64(&shift, [shift.len(), 1], device));
        Self { matrix: None, center: false, scale: None, shift, device: device.clone() }
    }

    /// Rewrites `rows` (row-major, `[n, hidden_size]`). Gives the new rows, `[n, rank]`, and, if
    /// there is a shift, what is added to the bias of each row's output, `[n]`.
    ///
    /// # Panics
    ///
    /// If `rows` is not a whole number of rows of `hidden_size`.
    pub fn apply(&self, mut rows: Vec<f32>, hidden_size: usize) -> (Vec<f32>, Option<Vec<f32>>) {
        let shape = [rows.len() / hidden_size, hidden_size];
        let on_device = |rows: Vec<f32>| {
            let data = TensorData::new(rows, shape);
            Tensor::<2>::from_data(data, (&self.device, DType::F32))
        };
        let shift = self.shift.as_ref().map(|beta| host_vec(beta.apply(on_device(rows.clone()))));
        if let Some(matrix) = &self.matrix {
            return (host_vec(matrix.apply(on_device(rows))), shift);
        }
        for row in rows.chunks_exact_mut(hidden_size) {
            if self.center {
                let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / hidden_size as f64;
                row.iter_mut().for_each(|x| *x = (f64::from(*x) - mean) as f32);
            }
            // One product per element, rounded once: float64 would gain nothing.
            if let Some(g) = &self.scale {
                row.iter_mut().zip(g).for_each(|(x, g)| *x *= g);
            }
        }
        (rows, shift)
    }
}

/// `(I - 11^T / D) B`, row-major.
fn centered(basis: &Basis) -> Vec<f64> {
    let mut means = vec![0.0; basis.rank()];
    for row in basis.values().chunks_exact(basis.rank()) {
        means.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / basis.hidden_size() as f64);
    }
    let rows = basis.values().chunks_exact(basis.rank());
    rows.flat_map(|row| row.iter().zip(&means).map(|(x, mean)| x - mean)).collect()
}

/// `diag(g) B`, row-major.
fn scaled(basis: &Basis, g: &[f32]) -> Vec<f64> {
    let rows = basis.values().chunks_exact(basis.rank()).zip(g);
    rows.flat_map(|(row, g)| row.iter().map(move |x| x * f64::from(*g))).collect()
}

fn matrix(values: &[f64], basis: &Basis, device: &Device) -> PreciseMatrix {
    PreciseMatrix::from_f64(values, [basis.hidden_size(), basis.rank()], device)
}
