//! [`Regression::keep`]: which inputs of a layer to keep, so that the ones that stay can make up
//! for the ones that go.

use faer::linalg::matmul::matmul;
use faer::linalg::solvers::{DenseSolveCore, Solve};
use faer::{Accum, Mat, MatRef, Side, get_global_parallelism};

use super::{Regression, dot, factored, product};
use crate::error::RidgeError;

/// The groups that are removed in one step are one in this many of those to remove.
const STEPS: usize = 64;

/// The strength of the ridge in `H` with many tokens, and what is added with as many tokens as
/// inputs.
const STRENGTH: [f64; 2] = [1e-4, 0.1];

impl Regression {
    /// The `count` groups of inputs to keep, ascending, by the tokens of this regression and of
    /// `validation`. The inputs of a group, of which there may be one, can only be removed
    /// together. `weight` is the weight of the layer, `[inputs, targets]`.
    ///
    /// The Optimal Brain Surgeon (Hassibi and Stork, 1993) for all outputs of a layer at once. With
    /// `H = G + r I` over the inputs that are left, removing the inputs `S` and fitting the others
    /// again costs
    ///
    /// ```text
    /// tr(W[S]^T ([H^-1]_SS)^-1 W[S])    and then    W <- W - H^-1[:, S] ([H^-1]_SS)^-1 W[S]
    /// ```
    ///
    /// The cheapest groups go first, a few at a time.
    ///
    /// # Errors
    ///
    /// If `H` is singular.
    ///
    /// # Panics
    ///
    /// If there are fewer groups than `count`, or an input does not exist.
    pub fn keep(
        &self,
        validation: Option<&Self>,
        weight: MatRef<'_, f64>,
        groups: &[Vec<usize>],
        count: usize,
    ) -> Result<Vec<usize>, RidgeError> {
        assert!(count <= groups.len(), "{count} of {} groups", groups.len());
        let mut left: Vec<usize> = (0..groups.len()).collect();
        if count == groups.len() {
            return Ok(left);
        }
        let tokens = self.tokens + validation.map_or(0, |validation| validation.tokens);
        let scarcity = self.inputs() as f64 / tokens.max(1) as f64;
        let mut gram = self.gram.clone();
        if let Some(validation) = validation {
            gram += &validation.gram;
        }
        let penalties = self.penalties_of(&gram, STRENGTH[0] + STRENGTH[1] * scarcity.powi(2));
        let mut inverse = factored(gram, &penalties)?.inverse();
        let mut weight = weight.to_owned();
        let step = (groups.len() - count).div_ceil(STEPS);
        while left.len() > count {
            let squares = squared_rows(&weight);
            let cost = |group: &usize| match groups[*group].as_slice() {
                [input] => squares[*input] / inverse[(*input, *input)],
                inputs => cost(&inverse, &weight, inputs),
            };
            let mut costs: Vec<(f64, usize)> =
                left.iter().map(|group| (cost(group), *group)).collect();
            let going = step.min(left.len() - count);
            costs.select_nth_unstable_by(going - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let gone: Vec<usize> = costs[..going].iter().map(|(_, group)| *group).collect();
            let inputs: Vec<usize> =
                gone.iter().flat_map(|group| groups[*group].iter().copied()).collect();
            remove(&mut inverse, &mut weight, &inputs);
            left.retain(|group| !gone.contains(group));
        }
        Ok(left)
    }
}

/// For each row, the sum of its squares. The matrix is stored by columns.
fn squared_rows(matrix: &Mat<f64>) -> Vec<f64> {
    let mut sums = vec![0.0; matrix.nrows()];
    for column in matrix.col_iter() {
        sums.iter_mut().zip(column.iter()).for_each(|(sum, x)| *sum += x * x);
    }
    sums
}

/// What the removal of `inputs` costs.
fn cost(inverse: &Mat<f64>, weight: &Mat<f64>, inputs: &[usize]) -> f64 {
    let rows = rows(weight, inputs);
    match among(inverse, inputs).llt(Side::Lower) {
        Ok(factor) => {
            let solved = factor.solve(&rows);
            dot(rows.as_ref(), solved.as_ref())
        }
        // Rounding has made inputs look replaceable that are not.
        Err(_) => f64::INFINITY,
    }
}

/// Removes `inputs`, and lets the others take over what they can. Their own entries are not used
/// again.
fn remove(inverse: &mut Mat<f64>, weight: &mut Mat<f64>, inputs: &[usize]) {
    // A principal part of a positive definite matrix is positive definite; if rounding has spoilt
    // that, the others do not make up for these.
    let Ok(factor) = among(inverse, inputs).llt(Side::Lower) else { return };
    let columns = Mat::from_fn(inverse.nrows(), inputs.len(), |i, j| inverse[(i, inputs[j])]);
    let taken = factor.solve(rows(weight, inputs));
    *weight -= product(columns.as_ref(), taken.as_ref());
    let solved = factor.solve(columns.transpose());
    let par = get_global_parallelism();
    matmul(inverse.as_mut(), Accum::Add, columns.as_ref(), solved.as_ref(), -1.0, par);
}

fn among(inverse: &Mat<f64>, inputs: &[usize]) -> Mat<f64> {
    Mat::from_fn(inputs.len(), inputs.len(), |i, j| inverse[(inputs[i], inputs[j])])
}

fn rows(weight: &Mat<f64>, inputs: &[usize]) -> Mat<f64> {
    Mat::from_fn(inputs.len(), weight.ncols(), |i, j| weight[(inputs[i], j)])
}
