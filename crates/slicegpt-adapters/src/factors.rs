//! [`Factors`]: the two matrices of one module, and how their product is added to a weight.

use rayon::prelude::*;

use crate::error::{AdapterError, Result};

/// The matrices of one module. Their scaled product `B A` is added to its weight,
/// `[outputs, inputs]`; of an embedding, `outputs` are the tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// The name of the module: that of its weight in the model without `.weight`, such as
    /// `model.layers.0.self_attn.q_proj`.
    pub module: String,
    /// The rank.
    pub rank: usize,
    /// The columns of the weight.
    pub inputs: usize,
    /// The rows of the weight.
    pub outputs: usize,
    /// The matrix A, `[rank, inputs]`, row-major.
    pub a: Vec<f32>,
    /// The matrix B, `[outputs, rank]`, row-major.
    pub b: Vec<f32>,
}

/// Shape and scale of the matrices of one module, without their values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The rank.
    pub rank: usize,
    /// The columns of the weight.
    pub inputs: usize,
    /// The rows of the weight.
    pub outputs: usize,
    /// The factor of the product.
    pub scale: f64,
    /// Whether the module is an embedding, whose matrices PEFT stores transposed.
    pub embedding: bool,
}

impl Pair {
    /// The shape of the weight.
    pub fn shape(&self) -> [usize; 2] {
        [self.outputs, self.inputs]
    }
}

/// Sums of squares: of a change, and of what was changed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Squares {
    pub change: f64,
    pub before: f64,
}

impl Factors {
    /// Checks that the matrices have their sizes, and finite values.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong =
            |reason: String| Err(AdapterError::Factors { module: self.module.clone(), reason });
        let Self { rank, inputs, outputs, .. } = *self;
        if rank == 0 || inputs == 0 || outputs == 0 || self.module.is_empty() {
            return wrong("name, rank, inputs and outputs must not be empty".into());
        }
        for (name, values, rows, columns) in
            [("A", &self.a, rank, inputs), ("B", &self.b, outputs, rank)]
        {
            if rows.checked_mul(columns) != Some(values.len()) {
                let found = values.len();
                return wrong(format!("matrix {name} is [{rows}, {columns}] with {found} values"));
            }
            if !values.iter().all(|x| x.is_finite()) {
                return wrong(format!("matrix {name} holds a NaN or an infinity"));
            }
        }
        Ok(())
    }

    /// Adds `scale * B A` to `values`, `[outputs, inputs]`, summed in float64.
    pub(crate) fn add_to(&self, values: &mut [f32], scale: f64) -> Squares {
        let rows = values.par_chunks_mut(self.inputs).zip(self.b.par_chunks(self.rank));
        // The sums over rows are added in order, so that they do not depend on the threads.
        let sums: Vec<Squares> = rows
            .map_init(
                || vec![0.0; self.inputs],
                |sums, (row, b)| {
                    sums.fill(0.0);
                    for (b, a) in b.iter().zip(self.a.chunks_exact(self.inputs)) {
                        let b = f64::from(*b) * scale;
                        for (sum, a) in sums.iter_mut().zip(a) {
                            *sum += b * f64::from(*a);
                        }
                    }
                    let mut squares = Squares::default();
                    for (x, change) in row.iter_mut().zip(&*sums) {
                        let before = f64::from(*x);
                        squares.change += change * change;
                        squares.before += before * before;
                        *x = (before + change) as f32;
                    }
                    squares
                },
            )
            .collect();
        sums.iter().fold(Squares::default(), |sum, row| Squares {
            change: sum.change + row.change,
            before: sum.before + row.before,
        })
    }
}

/// The transpose of a matrix of `rows` rows.
pub(crate) fn transposed(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len().checked_div(rows).unwrap_or(0);
    let mut out = Vec::with_capacity(values.len());
    for column in 0..columns {
        out.extend(values.iter().skip(column).step_by(columns));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors() -> Factors {
        Factors {
            module: "m".into(),
            rank: 2,
            inputs: 3,
            outputs: 2,
            a: vec![1.0, 2.0, 3.0, 0.5, 0.0, -1.0],
            b: vec![1.0, 2.0, -1.0, 0.0],
        }
    }

    #[test]
    fn the_product_is_added() {
        let mut weight = vec![1.0; 6];
        let squares = factors().add_to(&mut weight, 0.5);
        // B A is [2, 2, 1; -1, -2, -3].
        assert_eq!(weight, [2.0, 2.0, 1.5, 0.5, 0.0, -0.5]);
        assert_eq!((squares.change, squares.before), (0.25 * 23.0, 6.0));
        assert_eq!(transposed(&factors().a, 2), [1.0, 0.5, 2.0, 0.0, 3.0, -1.0]);
    }

    #[test]
    fn matrices_that_do_not_fit_are_refused() {
        assert!(factors().check().is_ok());
        let wrong = [
            Factors { rank: 0, ..factors() },
            Factors { inputs: 4, ..factors() },
            Factors { outputs: usize::MAX, ..factors() },
            Factors { b: vec![f32::NAN; 4], ..factors() },
            Factors { module: String::new(), ..factors() },
        ];
        for factors in wrong {
            assert!(factors.check().is_err(), "{factors:?}");
        }
    }
}
