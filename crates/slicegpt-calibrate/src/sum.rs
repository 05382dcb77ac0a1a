//! [`Sum`]: a matrix that is summed up in float64 on the host, or on an accelerator until it is
//! asked for. It knows no signals.

use std::sync::OnceLock;

use faer::{Mat, MatRef};
use rayon::prelude::*;
use slicegpt_core::precise::Total;

/// A sum of products of matrices, `[rows, columns]`.
pub(crate) struct Sum {
    shape: [usize; 2],
    /// What was added on the host. Zeros are not stored.
    host: Option<Mat<f64>>,
    /// What was added on a device.
    device: Option<Total>,
    /// Both, where `host` alone is not the sum.
    whole: OnceLock<Mat<f64>>,
}

impl Sum {
    /// Zeros.
    pub fn new(rows: usize, columns: usize) -> Self {
        Self { shape: [rows, columns], host: None, device: None, whole: OnceLock::new() }
    }

    /// A sum that begins with `host`.
    pub fn from_host(host: Mat<f64>) -> Self {
        let [rows, columns] = [host.nrows(), host.ncols()];
        Self { host: Some(host), ..Self::new(rows, columns) }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.shape[0]
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.shape[1]
    }

    /// The sum on the host, to be added to.
    pub fn on_host(&mut self) -> &mut Mat<f64> {
        if self.device.is_some() {
            self.get();
            self.host = self.whole.take();
            self.device = None;
        }
        self.whole = OnceLock::new();
        let [rows, columns] = self.shape;
        self.host.get_or_insert_with(|| Mat::zeros(rows, columns))
    }

    /// The sum.
    pub fn into_host(mut self) -> Mat<f64> {
        std::mem::replace(self.on_host(), Mat::new())
    }

    /// What is summed up on a device, to be added to.
    pub fn on_device(&mut self) -> &mut Total {
        self.whole = OnceLock::new();
        self.device.get_or_insert_default()
    }

    /// Whether the diagonal of what was added on the host, and all that was added on a device, is
    /// finite. The sum is not read back.
    pub fn has_finite_diagonal(&self) -> bool {
        let finite =
            |host: &Mat<f64>| (0..host.nrows().min(host.ncols())).all(|i| host[(i, i)].is_finite());
        self.host.as_ref().is_none_or(finite) && self.device.as_ref().is_none_or(Total::is_finite)
    }

    /// The sum. What was added on a device is read back once.
    pub fn get(&self) -> MatRef<'_, f64> {
        match (&self.host, &self.device) {
            (Some(host), None) => host.as_ref(),
            _ => self.whole.get_or_init(|| self.both()).as_ref(),
        }
    }

    fn both(&self) -> Mat<f64> {
        let [rows, columns] = self.shape;
        let mut sum = self.host.clone().unwrap_or_else(|| Mat::zeros(rows, columns));
        if let Some(read) = self.device.as_ref().and_then(Total::read) {
            let columns: Vec<_> = sum.par_col_iter_mut().enumerate().collect();
            columns.into_par_iter().for_each(|(j, column)| {
                column.iter_mut().enumerate().for_each(|(i, sum)| *sum += read.at(i, j));
            });
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};
    use slicegpt_core::precise::{OperandPrecision, Split};

    use super::*;

    #[test]
    fn terms_of_host_and_device_are_added() {
        let rows = Tensor::<2>::from_floats([[2.0, 3.0]], &Device::flex());
        let split = Split::new(rows, OperandPrecision::Float32);
        let mut sum = Sum::from_host(Mat::full(2, 2, 1.0));
        assert_eq!(sum.get()[(0, 1)], 1.0);
        sum.on_device().add_gram(&split);
        assert_eq!(sum.get()[(0, 1)], 7.0);
        sum.on_device().add_gram(&split);
        assert_eq!(sum.get()[(1, 1)], 19.0);
        sum.on_host()[(1, 1)] += 0.5;
        assert_eq!(sum.get()[(1, 1)], 19.5);
        sum.on_device().add(&split, &split);
        assert_eq!(sum.get()[(1, 1)], 28.5);
        assert_eq!(Sum::new(3, 2).get(), Mat::<f64>::zeros(3, 2));
        assert!(sum.has_finite_diagonal());
        sum.on_host()[(1, 1)] = f64::NAN;
        assert!(!sum.has_finite_diagonal());
    }
}
