//! [`Checksum`]: two numbers by which the results of two devices are compared. It does
//! not know what the values mean.

/// A summary of many numbers: their norm, and their sum under random signs.
///
/// If values differ by `e`, their norms differ by at most the norm of `e`, and their projections by
/// about as much, so both are compared relative to the norm. Unlike the norm, the signed sum
/// changes when values move or change their sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checksum {
    /// The Euclidean norm.
    pub norm: f64,
    /// The sum, with a sign for each value that depends only on its position.
    pub projection: f64,
}

impl Checksum {
    /// The checksum of all values, in their order.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let (mut squares, mut projection) = (0.0, 0.0);
        for (place, value) in values.into_iter().enumerate() {
            squares += value * value;
            projection += sign(place as u64) * value;
        }
        Self { norm: f64::sqrt(squares), projection }
    }
}

/// A pseudo-random sign: the last mixing step of SplitMix64.
fn sign(place: u64) -> f64 {
    let mixed = (place ^ (place >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    if (mixed ^ (mixed >> 31)) & 1 == 0 { 1.0 } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_sees_size_order_and_sign() {
        let values: Vec<f64> = (1..200).map(f64::from).collect();
        let whole = Checksum::of(values.iter().copied());
        assert_eq!(whole, Checksum::of(values.iter().copied()));
        let reversed = Checksum::of(values.iter().rev().copied());
        assert!((reversed.norm - whole.norm).abs() < 1e-9);
        assert_ne!(reversed.projection, whole.projection);
        let negative = Checksum::of(values.iter().map(|x| -x));
        assert_eq!(negative.projection, -whole.projection);
    }
}
