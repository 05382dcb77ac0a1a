//! [`Total`]: a sum of matrix products that stays on its device until it is asked for.

use burn::tensor::{DType, Int, Tensor};

use super::split::{LOW, Split, Sums};
use super::units::Units;
use crate::host_vec;

/// A sum of products `A^T B` of [`Split`]s, `[columns of a, columns of b]`, to double-precision
/// accuracy, on the device of its terms. Adding to it reads nothing back; [`Total::read`] reads it
/// once.
///
/// Every term has units of its own, powers of two. The sum has the larger unit of each column:
/// where a term raises the unit, what was added before is rescaled, which may lose `2^-24` of the
/// square of the new unit, `2^-38` of the sum.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use slicegpt_core::precise::{OperandPrecision, Split, Total};
///
/// let rows = Tensor::<2>::from_floats([[3.0, 1.0]], &Device::flex());
/// let split = Split::new(rows, OperandPrecision::Float32);
/// let mut total = Total::new();
/// total.add_gram(&split);
/// total.add(&split, &split);
/// assert_eq!(total.read().unwrap().at(0, 1), 6.0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Total(Option<Sum>);

#[derive(Clone, Debug)]
struct Sum {
    limbs: Limbs,
    rows: Units,
    columns: Units,
}

/// A matrix `upper 2^24 + lower + rest / 512`. `upper` is less than `2^24` in magnitude, so that
/// it is exact as a float32: the sum of `2^32` tokens is. `lower` is in `[-2^23, 2^23)`.
#[derive(Clone, Debug)]
struct Limbs {
    upper: Tensor<2, Int>,
    lower: Tensor<2, Int>,
    rest: Tensor<2>,
}

/// The binary logarithm of the weight of `upper`.
const UPPER: i32 = 24;

impl Total {
    /// An empty sum.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `A^T B`.
    ///
    /// # Panics
    ///
    /// If the two do not have the same number of rows, have more than [`ROWS`](super::ROWS), or
    /// differ in their columns from what was added before.
    pub fn add(&mut self, a: &Split, b: &Split) {
        let Sums { high, cross, rest } = a.sums(b);
        let [whole, part] = divided(cross);
        self.add_limbs(Limbs::new(high, whole, rest + float(part)), a.units(), b.units());
    }

    /// Adds `A^T A`.
    ///
    /// # Panics
    ///
    /// As [`Total::add`].
    pub fn add_gram(&mut self, a: &Split) {
        let Sums { high, cross, rest } = a.gram();
        let [whole, part] = divided(cross);
        let half = rest + float(part);
        let symmetric = half.clone() + half.transpose();
        let whole = whole.clone() + whole.transpose();
        self.add_limbs(Limbs::new(high, whole, symmetric), a.units(), a.units());
    }

    fn add_limbs(&mut self, limbs: Limbs, rows: &Units, columns: &Units) {
        let term = Sum { limbs, rows: rows.clone(), columns: columns.clone() };
        self.0 = Some(match self.0.take() {
            None => term,
            Some(sum) => {
                let (rows, columns) = (sum.rows.max(&term.rows), sum.columns.max(&term.columns));
                let [sum, term] = [sum, term].map(|sum| sum.in_units(&rows, &columns));
                Sum { limbs: sum.plus(term), rows, columns }
            }
        });
    }

    /// Whether all numbers that were added are finite. One number is read back.
    pub fn is_finite(&self) -> bool {
        let rests = self.0.as_ref().map(|sum| host_vec::<f32, 1, _>(sum.limbs.rest.clone().sum()));
        rests.is_none_or(|sum| sum[0].is_finite())
    }

    /// The sum, on the host; `None` if nothing was added. Entries to which a number was added that
    /// is not finite are not finite.
    pub fn read(&self) -> Option<Read> {
        let Sum { limbs, rows, columns } = self.0.clone()?;
        Some(Read {
            upper: host_vec(limbs.upper),
            lower: host_vec(limbs.lower),
            rest: host_vec(limbs.rest),
            rows: host_vec(rows.values),
            columns: host_vec(columns.values),
        })
    }
}

impl Sum {
    /// The same sum in units that are not smaller.
    fn in_units(self, rows: &Units, columns: &Units) -> Limbs {
        let by_row = self.rows.relative_to(rows).transpose();
        self.limbs.scaled(by_row * self.columns.relative_to(columns))
    }
}

impl Limbs {
    /// `high + whole + rest / 512`, for `high` in 32 bits and `whole` below `2^24`.
    fn new(high: Tensor<2, Int>, whole: Tensor<2, Int>, rest: Tensor<2>) -> Self {
        let zero = high.zeros_like();
        Self { upper: zero, lower: high, rest }.carried_and(whole)
    }

    /// Adds `whole` to `lower` and carries what exceeds its range to `upper`.
    fn carried_and(self, whole: Tensor<2, Int>) -> Self {
        // `lower` may use all 32 bits: its upper bits go first.
        let first = self.lower.clone().bitwise_right_shift_scalar(UPPER);
        let lower = self.lower - first.clone().bitwise_left_shift_scalar(UPPER) + whole;
        let carry = lower.clone().add_scalar(1 << (UPPER - 1)).bitwise_right_shift_scalar(UPPER);
        let lower = lower - carry.clone().bitwise_left_shift_scalar(UPPER);
        Self { upper: self.upper + first + carry, lower, rest: self.rest }
    }

    fn plus(self, other: Self) -> Self {
        let (upper, rest) = (self.upper + other.upper, self.rest + other.rest);
        Self { upper, lower: self.lower, rest }.carried_and(other.lower)
    }

    /// This matrix times powers of two of at most 1, `[rows, columns]`.
    fn scaled(self, factor: Tensor<2>) -> Self {
        // Every step is exact: at most 24 bits are scaled, and divided into an integer and a
        // fraction.
        let [upper, from_upper] = parts(float(self.upper) * factor.clone());
        let [carried, lost] = parts(from_upper.mul_scalar(2f32.powi(UPPER)));
        let [lower, from_lower] = parts(float(self.lower) * factor.clone());
        let rest = self.rest * factor + (lost + from_lower).mul_scalar(LOW);
        Self { upper: upper.int(), lower: carried.int(), rest }.carried_and(lower.int())
    }
}

/// The nearest integers to the numbers, and what is left: at most 1/2, exactly.
fn parts(numbers: Tensor<2>) -> [Tensor<2>; 2] {
    let whole = numbers.clone().round();
    [whole.clone(), numbers - whole]
}

/// Integers divided by 512: the quotients, rounded down, and the remainders.
fn divided(numbers: Tensor<2, Int>) -> [Tensor<2, Int>; 2] {
    let bits = LOW.log2() as i32;
    let quotient = numbers.clone().bitwise_right_shift_scalar(bits);
    [quotient.clone(), numbers - quotient.bitwise_left_shift_scalar(bits)]
}

fn float(numbers: Tensor<2, Int>) -> Tensor<2> {
    numbers.float().cast(DType::F32)
}

/// A [`Total`] on the host.
#[derive(Clone, Debug)]
pub struct Read {
    upper: Vec<i32>,
    lower: Vec<i32>,
    rest: Vec<f32>,
    rows: Vec<f64>,
    columns: Vec<f64>,
}

impl Read {
    /// The numbers of rows and columns.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows.len(), self.columns.len()]
    }

    /// The sum at row `i` and column `j`.
    ///
    /// # Panics
    ///
    /// If there is no such row or column.
    pub fn at(&self, i: usize, j: usize) -> f64 {
        let at = i * self.columns.len() + j;
        let whole = f64::from(self.upper[at]) * 2f64.powi(UPPER) + f64::from(self.lower[at]);
        (whole + f64::from(self.rest[at]) / LOW) * self.rows[i] * self.columns[j]
    }
}
