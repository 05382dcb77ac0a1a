//! [`Split`]: a matrix as integers whose products are exact in float32, and a remainder.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::known::Known;
use super::units::{Units, unit};
use crate::host_vec;

/// The number of rows multiplied at a time. The integers are at most 2^8, so that sums of `CHUNK`
/// products are at most 2^24, up to which float32 holds every integer.
const CHUNK: usize = 256;

/// The largest number of rows of matrices whose sums are integers of 32 bits: 63 sums of at most
/// 2^25 fit.
pub const ROWS: usize = 63 * CHUNK;

/// How much finer the grid of the second piece is. Its largest integer is half of this.
pub const LOW: f64 = 512.0;

/// The precision of the operands of a float32 matrix product on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperandPrecision {
    /// 24 bits: operands are not rounded.
    Float32,
    /// Fewer bits: tensor cores round operands to TF32 (11 bits).
    Tf32,
}

impl OperandPrecision {
    /// The precision of `device`, determined by one product and remembered.
    pub fn of(device: &Device) -> Self {
        static KNOWN: Known<OperandPrecision> = Known::new();
        KNOWN.of(device, || {
            // 1 + 2^-13 has 14 bits, and 256 times it is a float32.
            let fine = 1.0 + 2f32.powi(-13);
            let data = TensorData::new(vec![fine; CHUNK * CHUNK], [CHUNK, CHUNK]);
            let left = Tensor::<2>::from_data(data, (device, DType::F32));
            let sums: Vec<f32> = host_vec(left.clone().matmul(left.ones_like()));
            let exact = sums.iter().all(|sum| *sum == CHUNK as f32 * fine);
            if exact { Self::Float32 } else { Self::Tf32 }
        })
    }
}

/// A matrix `[rows, columns]`, each column scaled by a power of two and split into pieces:
///
/// ```text
/// a[i, j] = (high[i, j] + (low[i, j] + rest[i, j]) / 512) * unit[j]
/// ```
///
/// `high` and `low` are integers of at most 256 in magnitude, `rest` is at most 1/2. Two such
/// matrices are multiplied over their rows, `A^T B`: see [`Split::product`].
///
/// The pieces are stored in chunks of 256 rows: tensors `[rows of the chunk, columns]`.
#[derive(Clone, Debug)]
pub struct Split {
    chunks: Vec<Pieces>,
    units: Units,
}

/// The pieces of one chunk of rows.
#[derive(Clone, Debug)]
struct Pieces {
    high: Tensor<2>,
    low: Tensor<2>,
    /// One piece, or two if the device rounds operands, so that neither loses bits that matter.
    rest: Vec<Tensor<2>>,
}

impl Pieces {
    /// 512 times the remainder of `a^T b` after the products of `high` with `high` and with `low`.
    fn rest_of_product(&self, other: &Self) -> Tensor<2> {
        let (a, b) = (self, other);
        let ([a_rest], [b_rest]) = (a.rest.as_slice(), b.rest.as_slice()) else {
            return self.rest_of_product_in_pieces(other);
        };
        let a_below = a.low.clone() + a_rest.clone();
        let b_below = b.low.clone() + b_rest.clone();
        let left = vec![a.high.clone(), a_rest.clone(), a_below];
        product_of(left, vec![b_rest.clone(), b.high.clone(), b_below.div_scalar(LOW)])
    }

    /// One product for each pair of pieces that matters: the device would round a sum of two
    /// pieces. The product of the large pieces is on its own, because small numbers that are added
    /// one by one to a large sum in float32 are lost.
    fn rest_of_product_in_pieces(&self, other: &Self) -> Tensor<2> {
        let (a, b) = (self, other);
        let low = product_of(vec![a.low.clone()], vec![b.low.clone().div_scalar(LOW)]);
        let mut left = vec![a.rest[0].clone()];
        let mut right = vec![b.rest[0].clone().div_scalar(LOW)];
        for rest in &b.rest {
            left.extend([a.high.clone(), a.low.clone()]);
            right.extend([rest.clone(), rest.clone().div_scalar(LOW)]);
        }
        for rest in &a.rest {
            left.extend([rest.clone(), rest.clone()]);
            right.extend([b.high.clone(), b.low.clone().div_scalar(LOW)]);
        }
        low + product_of(left, right)
    }

    /// The matrix `h` for which `h + h^T` is 512 times the remainder of `a^T a` after the products
    /// of `high` with `high` and with `low`.
    fn half_of_rest(&self) -> Tensor<2> {
        let half = |piece: &Tensor<2>| piece.clone().div_scalar(2.0 * LOW);
        let [rest] = self.rest.as_slice() else {
            // As in `rest_of_product_in_pieces`.
            let low = product_of(vec![self.low.clone()], vec![half(&self.low)]);
            let (mut left, mut right) = (vec![self.rest[0].clone()], vec![half(&self.rest[0])]);
            for rest in &self.rest {
                left.extend([self.high.clone(), self.low.clone()]);
                right.extend([rest.clone(), rest.clone().div_scalar(LOW)]);
            }
            return low + product_of(left, right);
        };
        let below = self.low.clone() + rest.clone();
        let halved = half(&below);
        product_of(vec![self.high.clone(), below], vec![rest.clone(), halved])
    }
}

/// `A^T B` of matrices that are stacked on top of each other.
fn product_of(left: Vec<Tensor<2>>, right: Vec<Tensor<2>>) -> Tensor<2> {
    Tensor::cat(left, 0).transpose().matmul(Tensor::cat(right, 0))
}

impl Split {
    /// Splits a tensor, `[rows, columns]`, of any float type, on its device. Nothing is read back:
    /// a column with a NaN or an infinity makes all its products not finite.
    pub fn new(values: Tensor<2>, precision: OperandPrecision) -> Self {
        let values = values.cast(DType::F32);
        let [rows, _] = values.dims();
        let units = Units::for_largest(values.clone().abs().max_dim(0));
        let chunks = (0..rows).step_by(CHUNK).map(|start| {
            let some = values.clone().narrow(0, start, CHUNK.min(rows - start));
            let scaled = some * units.inverse.clone();
            // Only numbers that are not finite are clamped. Each difference is exact: a float32
            // number minus its leading bits.
            let leading = |x: Tensor<2>| x.round().clamp(-256.0, 256.0);
            let high = leading(scaled.clone());
            let below = (scaled - high.clone()).mul_scalar(LOW);
            let low = leading(below.clone());
            let rest = below - low.clone();
            Pieces { high, low, rest: fine_pieces(rest, precision) }
        });
        Self { chunks: chunks.collect(), units }
    }

    /// Splits row-major float64 values, `[rows, columns]`, for `device`. The remainder is rounded
    /// to float32, which is an error of 2^-42 of the largest value of its column.
    ///
    /// # Panics
    ///
    /// If a value is not finite, or the number of values is not `rows * columns`.
    pub fn from_f64(
        values: &[f64],
        [rows, columns]: [usize; 2],
        device: &Device,
        precision: OperandPrecision,
    ) -> Self {
        assert_eq!(values.len(), rows * columns, "values are [rows, columns]");
        let mut largest = vec![0f64; columns];
        for row in values.chunks_exact(columns) {
            largest.iter_mut().zip(row).for_each(|(largest, x)| *largest = largest.max(x.abs()));
        }
        assert!(largest.iter().all(|x| x.is_finite()), "values are finite");
        let units: Vec<f64> = largest.into_iter().map(unit).collect();
        let chunks = values.chunks(CHUNK * columns).map(|values| {
            let mut pieces = [const { Vec::<f32>::new() }; 3];
            for (i, x) in values.iter().enumerate() {
                let scaled = x / units[i % columns];
                let high = scaled.round();
                let below = (scaled - high) * LOW;
                let low = below.round();
                let all = [high, low, below - low];
                pieces.iter_mut().zip(all).for_each(|(piece, x)| piece.push(x as f32));
            }
            let shape = [values.len() / columns, columns];
            let [high, low, rest] = pieces.map(|piece| {
                Tensor::from_data(TensorData::new(piece, shape), (device, DType::F32))
            });
            Pieces { high, low, rest: fine_pieces(rest, precision) }
        });
        Self { chunks: chunks.collect(), units: Units::on(device, &units) }
    }

    /// The unit of each column: the weight of 1 in `high`.
    pub(super) fn units(&self) -> &Units {
        &self.units
    }

    /// `A^T B`, `[columns of a, columns of b]`, in float32, correct in all places but the last.
    /// Where terms cancel, the error is 2^-32 of the product of the norms of the two columns:
    ///
    /// ```text
    /// sum over chunks of  a.high^T b.high                             exact, in integers
    ///                   + (a.high^T b.low + a.low^T b.high) / 512     exact, in integers
    ///                   + everything else / 512                       rounded, 2^17 times smaller
    /// ```
    ///
    /// # Panics
    ///
    /// If the two do not have the same number of rows.
    pub fn product(&self, other: &Self) -> Tensor<2> {
        let Sums { high, cross, rest } = self.sums(other);
        let (rows, columns) = (self.units.values.clone().transpose(), other.units.values.clone());
        let [high, cross] = [high, cross].map(|sum| sum.float().cast(DType::F32));
        (high + (cross + rest).div_scalar(LOW)) * rows * columns
    }

    /// The parts of `A^T B`.
    ///
    /// # Panics
    ///
    /// If the two do not have the same number of rows, or have none.
    pub(super) fn sums(&self, other: &Self) -> Sums {
        let (mut high, mut cross, mut rest) = (None, None, None);
        assert_eq!(self.chunks.len(), other.chunks.len(), "matrices with the same number of rows");
        for (a, b) in self.chunks.iter().zip(&other.chunks) {
            let [a_high, a_low] = [&a.high, &a.low].map(|piece| piece.clone().transpose());
            add(&mut high, a_high.clone().matmul(b.high.clone()).int());
            add(&mut cross, a_high.matmul(b.low.clone()).int());
            add(&mut cross, a_low.matmul(b.high.clone()).int());
            add(&mut rest, a.rest_of_product(b));
        }
        let expected = "at least one row";
        Sums {
            high: high.expect(expected),
            cross: cross.expect(expected),
            rest: rest.expect(expected),
        }
    }

    /// The parts of `A^T A`, `cross` and `rest` without their transposes.
    ///
    /// # Panics
    ///
    /// If there are no rows.
    pub(super) fn gram(&self) -> Sums {
        let (mut high, mut cross, mut rest) = (None, None, None);
        for pieces in &self.chunks {
            let transposed = pieces.high.clone().transpose();
            add(&mut high, transposed.clone().matmul(pieces.high.clone()).int());
            add(&mut cross, transposed.matmul(pieces.low.clone()).int());
            add(&mut rest, pieces.half_of_rest());
        }
        let expected = "at least one row";
        Sums {
            high: high.expect(expected),
            cross: cross.expect(expected),
            rest: rest.expect(expected),
        }
    }
}

/// The parts of a product of matrices with at most [`ROWS`] rows, in 32 bits:
///
/// ```text
/// (high + (cross + rest) / 512)[i, j] * unit of a [i] * unit of b [j]
/// ```
///
/// For `A^T A` the transposes of `cross` and of `rest` are to be added to them.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    /// `a.high^T b.high`: exact, at most 2^24 for each chunk of rows.
    pub high: Tensor<2, Int>,
    /// `a.high^T b.low + a.low^T b.high`, or `a.high^T a.low`: exact, at most 2^25 for each chunk
    /// of rows.
    pub cross: Tensor<2, Int>,
    /// The remainder: rounded, but at most 2^-17 of the largest products.
    pub rest: Tensor<2>,
}

/// Adds `term` to a sum, which may be empty.
fn add<T: std::ops::Add<Output = T>>(sum: &mut Option<T>, term: T) {
    *sum = Some(match sum.take() {
        Some(sum) => sum + term,
        None => term,
    });
}

/// A remainder of at most 1/2, in pieces that the device multiplies without losing bits that
/// matter.
fn fine_pieces(rest: Tensor<2>, precision: OperandPrecision) -> Vec<Tensor<2>> {
    match precision {
        OperandPrecision::Float32 => vec![rest],
        OperandPrecision::Tf32 => {
            let coarse = rest.clone().mul_scalar(LOW).round().div_scalar(LOW);
            vec![coarse.clone(), rest - coarse]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(tensor: &Tensor<2>) -> Vec<f32> {
        host_vec(tensor.clone())
    }

    /// Numbers of all magnitudes down to 2^-30 of the largest.
    fn split(precision: OperandPrecision) -> (Vec<f32>, Split) {
        let numbers: Vec<f32> = (0..3000)
            .map(|i| ((i * 7919) % 4001) as f32 / 1999.0 * 2f32.powi(-(i % 31)) * (-1f32).powi(i))
            .collect();
        let data = TensorData::new(numbers.clone(), [600, 5]);
        let tensor = Tensor::from_data(data, (&Device::flex(), DType::F32));
        (numbers, Split::new(tensor, precision))
    }

    #[test]
    fn pieces_add_up_to_the_matrix_and_are_within_their_bounds() {
        for precision in [OperandPrecision::Float32, OperandPrecision::Tf32] {
            let (numbers, split) = split(precision);
            assert_eq!(split.chunks.len(), 3);
            let units: Vec<f64> = host_vec(split.units.values.clone());
            let mut numbers = numbers.iter().enumerate();
            for pieces in &split.chunks {
                let rest: Vec<Vec<f32>> = pieces.rest.iter().map(values).collect();
                let leading = values(&pieces.high).into_iter().zip(values(&pieces.low));
                for (at, (high, low)) in leading.enumerate() {
                    assert!(high.fract() == 0.0 && high.abs() <= 256.0);
                    assert!(low.fract() == 0.0 && low.abs() <= 256.0);
                    let rest: f64 = rest.iter().map(|piece| f64::from(piece[at])).sum();
                    assert!(rest.abs() <= 0.5);
                    let sum = f64::from(high) + (f64::from(low) + rest) / LOW;
                    let (i, number) = numbers.next().unwrap();
                    assert_eq!(sum * units[i % 5], f64::from(*number));
                }
            }
        }
    }

    /// A matrix unit that keeps 11 bits (TF32) multiplies all pieces but the last exactly, and
    /// loses 2^-41 of the largest number in the last.
    #[test]
    fn pieces_survive_reduced_operands() {
        let (_, split) = split(OperandPrecision::Tf32);
        let bits = |x: f32| 24 - (x.to_bits() << 8).trailing_zeros().min(31).saturating_sub(8);
        for pieces in &split.chunks {
            let [coarse, fine] = pieces.rest.as_slice() else { panic!("two pieces") };
            for piece in [&pieces.high, &pieces.low, coarse] {
                assert!(values(piece).into_iter().all(|x| x == 0.0 || bits(x) <= 11));
            }
            assert!(values(fine).into_iter().all(|x| x.abs() <= 2f32.powi(-10)));
        }
    }
}
