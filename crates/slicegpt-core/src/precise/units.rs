//! [`Units`]: the powers of two by which the columns of a matrix are scaled, on its device.

use burn::tensor::{DType, Device, Tensor, TensorData};

/// One power of two per column, `[1, columns]`, and their inverses. All are normal float32 numbers.
///
/// The inverses are kept because a quotient may be inexact on an accelerator. Products of powers of
/// two are exact everywhere.
#[derive(Clone, Debug)]
pub struct Units {
    pub values: Tensor<2>,
    pub inverse: Tensor<2>,
}

/// The binary exponents of the magnitudes that are distinguished.
const EXPONENTS: std::ops::RangeInclusive<i32> = -110..=127;

/// A column whose largest magnitude is in `[2^e, 2^(e + 1))` gets the unit `2^(e - HEADROOM)`, so
/// that scaled it is at most 256.
const HEADROOM: i32 = 7;

impl Units {
    /// The units for columns of these largest magnitudes, `[1, columns]`, without a read-back. The
    /// unit for a magnitude that is not finite is some power of two.
    pub fn for_largest(largest: Tensor<2>) -> Self {
        let [_, columns] = largest.dims();
        let device = largest.device();
        let exponents: Vec<i32> = EXPONENTS.collect();
        let table = |power: fn(i32) -> i32| {
            let powers: Vec<f32> = exponents.iter().map(|e| 2f32.powi(power(*e))).collect();
            let shape = [powers.len(), 1];
            let table =
                Tensor::<2>::from_data(TensorData::new(powers, shape), (&device, DType::F32));
            table.expand([shape[0], columns])
        };
        let above = largest.expand([exponents.len(), columns]).lower(table(|e| e));
        let least = EXPONENTS.start() - 1 - HEADROOM;
        let unit = table(|e| e - HEADROOM).mask_fill(above.clone(), 2f32.powi(least));
        let inverse = table(|e| HEADROOM - e).mask_fill(above, 2f32.powi(-least));
        Self { values: unit.max_dim(0), inverse: inverse.min_dim(0) }
    }

    /// These units, which are powers of two, on `device`.
    pub fn on(device: &Device, units: &[f64]) -> Self {
        let row = |values: Vec<f32>| {
            let shape = [1, values.len()];
            Tensor::<2>::from_data(TensorData::new(values, shape), (device, DType::F32))
        };
        Self {
            values: row(units.iter().map(|unit| *unit as f32).collect()),
            inverse: row(units.iter().map(|unit| unit.recip() as f32).collect()),
        }
    }

    /// The larger unit of each column.
    pub fn max(&self, other: &Self) -> Self {
        Self {
            values: self.values.clone().max_pair(other.values.clone()),
            inverse: self.inverse.clone().min_pair(other.inverse.clone()),
        }
    }

    /// `self / larger`, `[1, columns]`: powers of two of at most 1.
    pub fn relative_to(&self, larger: &Self) -> Tensor<2> {
        self.values.clone() * larger.inverse.clone()
    }
}

/// The unit for a column of the host with this largest magnitude, which is finite.
pub fn unit(largest: f64) -> f64 {
    let exponent = if largest > 0.0 { largest.log2().floor() as i32 } else { 0 };
    // The logarithm of a number just below a power of two may be rounded up to it, never down.
    2f64.powi(exponent.clamp(*EXPONENTS.start() - 1, *EXPONENTS.end()) - HEADROOM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_vec;

    #[test]
    fn units_on_the_device_are_those_of_the_host() {
        let largest = [0.0, 1.0, 0.999, 255.9, 256.0, 1e-20, 3e38, 1e-38, 6.5e4, 1.5e-33f32];
        let data = TensorData::new(largest.to_vec(), [1, largest.len()]);
        let found = Units::for_largest(Tensor::from_data(data, (&Device::flex(), DType::F32)));
        let values: Vec<f64> = host_vec(found.values.clone());
        let inverse: Vec<f64> = host_vec(found.inverse.clone());
        for ((value, inverse), largest) in values.iter().zip(inverse).zip(largest) {
            assert_eq!(value * inverse, 1.0);
            assert!(f64::from(largest) / value <= 256.0);
            if largest > 0.0 {
                assert_eq!(*value, unit(largest.into()), "{largest}");
            }
        }
        let ones = Units::on(&Device::flex(), &vec![1.0; largest.len()]);
        let ratio: Vec<f64> = host_vec(found.relative_to(&found.max(&ones)));
        for (ratio, value) in ratio.iter().zip(values) {
            assert_eq!(*ratio, value.min(1.0));
        }
    }
}
