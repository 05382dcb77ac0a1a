//! [`Regression::fit`]: a ridge regression whose strength and target are those with the least error
//! on held-out tokens.

use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef};

use super::errors::Errors;
use super::{Regression, add_scaled_rows, dot, product};
use crate::error::RidgeError;
use crate::ridge::Ridge;

/// A fit of the inputs that stay.
pub struct Fit {
    /// The weight, `[inputs that stay, targets]`; its last row is the bias if there is one.
    pub weight: Mat<f64>,
    /// The penalty, relative to the mean of the diagonal of `G`.
    pub strength: f64,
    /// The share of the target in the mixture of target and dense output.
    pub mix: f64,
    /// The errors of a fit of the fitted tokens alone; `None` if nothing was held out, or the sums
    /// of squares of the targets are not known.
    pub errors: Option<Errors>,
}

/// The strengths to choose from: half decades.
const STRENGTHS: [f64; 11] = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0];

/// The index of the strength that is tried first.
const FIRST: usize = 6;

/// A strength and the best mixture with it, and the error on held-out tokens.
#[derive(Clone, Copy)]
struct Choice {
    at: usize,
    mix: f64,
    error: f64,
}

impl Regression {
    /// Fits the rows of the inputs in `kept` to the target, so that they make up for the inputs
    /// that are missing.
    ///
    /// ```text
    /// W = argmin | x W - (a y + (1 - a) x_all W0) |^2 + r | W - W0 |^2
    /// ```
    ///
    /// `y` is the target: what the dense layer adds to the stream, and the error that the stream
    /// has already. `x_all W0` is what the layer without a cut makes of its present inputs. With a
    /// share `a` below 1 only a part of the error of the stream is corrected: correcting all of it
    /// overfits when tokens are few. `r` and `a` are those with the least error `| x W - y |^2` on
    /// the tokens of `held_out`; then all tokens are fitted. Without held-out tokens `r` follows
    /// from the number of tokens ([`Ridge::strength`]), and `a` is 1.
    ///
    /// # Shapes
    /// - `dense`: `W0`, `[inputs, targets]`; its last row is the bias if there is one
    ///
    /// # Errors
    ///
    /// If the normal equations are singular.
    ///
    /// # Panics
    ///
    /// If the shapes differ, or an input does not exist.
    pub fn fit(
        self,
        held_out: Option<Self>,
        dense: MatRef<'_, f64>,
        kept: &[usize],
    ) -> Result<Fit, RidgeError> {
        assert_eq!([dense.nrows(), dense.ncols()], [self.inputs(), self.cross.ncols()]);
        let prior = Mat::from_fn(kept.len(), dense.ncols(), |i, j| dense[(kept[i], j)]);
        let prior = prior.as_ref();
        let fit = self.of_inputs(kept);
        let Some(held_out) = held_out else {
            let strength = Ridge::default().strength(kept.len(), self.tokens);
            let weight = fit.solve(strength, fit.cross.clone(), prior)?;
            return Ok(Fit { weight, strength, mix: 1.0, errors: None });
        };
        let sketch = Sketch::new(dense.ncols());
        let mapped = self.of_weight(dense, kept);
        let other_mapped = held_out.of_weight(dense, kept);
        drop(self);
        let validation = held_out.of_inputs(kept);
        drop(held_out);
        let Choice { at, mix, .. } = {
            let [fit, validation] = [&fit, &validation].map(|sums| sums.with_targets(&sketch));
            let (mapped, prior) = (sketch.of(mapped.as_ref()), sketch.of(prior));
            choose(&fit, mapped.as_ref(), &validation, prior.as_ref())?
        };
        let strength = STRENGTHS[at];
        let target = |i, j| mix * fit.cross[(i, j)] + (1.0 - mix) * mapped[(i, j)];
        let errors = Errors::of([&fit, &validation], strength, prior, target)?;
        let all = fit.plus(&validation);
        let right = Mat::from_fn(kept.len(), dense.ncols(), |i, j| {
            mix * all.cross[(i, j)] + (1.0 - mix) * (mapped[(i, j)] + other_mapped[(i, j)])
        });
        Ok(Fit { weight: all.solve(strength, right, prior)?, strength, mix, errors })
    }
}

/// The largest number of targets that a fit is validated by.
const SKETCH: usize = 96;

/// Random combinations of the targets, whose squared errors have the same mean as those of all
/// targets. A few are enough to choose two numbers by.
struct Sketch(Option<Mat<f64>>);

impl Sketch {
    fn new(targets: usize) -> Self {
        // The signs are arbitrary and the same in every run.
        let sign = |i: usize, j: usize| {
            let hash = (i * SKETCH + j + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            if (hash ^ (hash >> 29)).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 }
        };
        Self((targets > SKETCH).then(|| Mat::from_fn(targets, SKETCH, sign)))
    }

    fn of(&self, matrix: MatRef<'_, f64>) -> Mat<f64> {
        match &self.0 {
            Some(sketch) => product(matrix, sketch.as_ref()),
            None => matrix.to_owned(),
        }
    }
}

impl Regression {
    /// The same sums for combinations of the targets.
    fn with_targets(&self, sketch: &Sketch) -> Self {
        let cross = sketch.of(self.cross.as_ref());
        Self { gram: self.gram.clone(), cross, squares: None, ..*self }
    }
}

/// The strength and the mixture with the least error on the tokens of `validation`: from the first
/// strength on, downhill.
fn choose(
    fit: &Regression,
    mapped: MatRef<'_, f64>,
    validation: &Regression,
    prior: MatRef<'_, f64>,
) -> Result<Choice, RidgeError> {
    let measure = |at: usize| measure(fit, mapped, validation, prior, at);
    let mut best = measure(FIRST)?;
    for upwards in [false, true] {
        loop {
            let next = if upwards { best.at + 1 } else { best.at.wrapping_sub(1) };
            if next >= STRENGTHS.len() {
                break;
            }
            // A penalty that is too weak to make the equations regular ends the descent.
            let Ok(found) = measure(next) else { break };
            if found.error.is_nan() || found.error >= best.error {
                break;
            }
            best = found;
        }
        if best.at < FIRST {
            break;
        }
    }
    Ok(best)
}

/// The best mixture at a strength. The solution is linear in the mixture, so that the error is
/// quadratic in it.
fn measure(
    fit: &Regression,
    mapped: MatRef<'_, f64>,
    validation: &Regression,
    prior: MatRef<'_, f64>,
    at: usize,
) -> Result<Choice, RidgeError> {
    let penalties = fit.penalties(STRENGTHS[at]);
    let factor = fit.factor(&penalties)?;
    // The solution for the dense map, and what the whole target adds to it.
    let mut base = mapped.to_owned();
    add_scaled_rows(&mut base, &penalties, prior);
    factor.solve_in_place(&mut base);
    let mut change = &fit.cross - mapped;
    factor.solve_in_place(&mut change);
    let (base, change) = (base.as_ref(), change.as_ref());
    let base_out = product(validation.gram.as_ref(), base);
    let change_out = product(validation.gram.as_ref(), change);
    let cross = validation.cross.as_ref();
    let slope = dot(change, base_out.as_ref()) - dot(change, cross);
    let curvature = dot(change, change_out.as_ref());
    let mix = if curvature > 0.0 { (-slope / curvature).clamp(0.0, 1.0) } else { 1.0 };
    let error = dot(base, base_out.as_ref()) - 2.0 * dot(base, cross)
        + 2.0 * mix * slope
        + mix * mix * curvature;
    Ok(Choice { at, mix, error })
}
