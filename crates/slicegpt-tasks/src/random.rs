//! [`Random`]: Python's `random.Random`, so that the same few-shot examples are drawn.

use std::collections::HashSet;

use rand_mt::Mt;

/// Python's random number generator, with the methods that are needed here.
pub struct Random(Mt);

impl Random {
    /// `random.Random(seed)`.
    pub fn new(seed: u32) -> Self {
        Self(Mt::new_with_key([seed]))
    }

    /// `random()`: a number below 1.
    fn float(&mut self) -> f64 {
        let (a, b) = (self.0.next_u32() >> 5, self.0.next_u32() >> 6);
        (f64::from(a) * 67_108_864.0 + f64::from(b)) / 9_007_199_254_740_992.0
    }

    /// `randrange(n)`: draws bits until the number is below `n`.
    fn below(&mut self, n: usize) -> usize {
        let bits = usize::BITS - n.leading_zeros();
        assert!((1..=32).contains(&bits), "a number below {n}");
        loop {
            let drawn = (self.0.next_u32() >> (32 - bits)) as usize;
            if drawn < n {
                return drawn;
            }
        }
    }

    /// `sample(range(n), k)`: `k` different numbers below `n`.
    ///
    /// # Panics
    ///
    /// If `k` is greater than `n`.
    pub fn sample(&mut self, n: usize, k: usize) -> Vec<usize> {
        assert!(k <= n, "{k} of {n}");
        // Python uses a list or a set, whichever is smaller; they give different numbers.
        let set = 21 + if k > 5 { 4usize.pow(((k * 3) as f64).log(4.0).ceil() as u32) } else { 0 };
        if n <= set {
            let mut pool: Vec<usize> = (0..n).collect();
            return (0..k).map(|i| pool.swap_remove(self.below(n - i))).collect();
        }
        let mut chosen = HashSet::new();
        let mut draw = || loop {
            let number = self.below(n);
            if chosen.insert(number) {
                return number;
            }
        };
        (0..k).map(|_| draw()).collect()
    }

    /// `choices(range(n), k=k)`: `k` numbers below `n`, with repetition.
    pub fn choices(&mut self, n: usize, k: usize) -> impl Iterator<Item = usize> {
        (0..k).map(move |_| (self.float() * n as f64).floor() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are those of CPython 3.11.
    #[test]
    fn the_numbers_are_those_of_python() {
        let mut random = Random::new(1234);
        assert_eq!(random.sample(10, 4), [7, 1, 0, 9]);
        assert_eq!(random.sample(1000, 6), [932, 965, 961, 826, 596, 35]);
        // Around the size at which Python changes from a list to a set.
        assert_eq!(random.sample(21, 5), [2, 3, 11, 7, 0]);
        assert_eq!(random.sample(22, 5), [0, 11, 20, 19, 15]);
        assert_eq!(random.sample(100, 30)[25..], [61, 45, 99, 89, 25]);
        let mut random = Random::new(1234);
        assert_eq!(random.sample(3000, 6), [1805, 478, 30, 371, 2384, 143]);
        assert_eq!(random.sample(3000, 6), [2750, 2838, 343, 403, 1452, 969]);
        assert_eq!(random.sample(1 << 20, 2), [36549, 64621]);
        let mut random = Random::new(0);
        assert_eq!(random.choices(1000, 5).collect::<Vec<_>>(), [844, 757, 420, 258, 511]);
        assert_eq!(random.float(), 0.404_934_137_450_414_3);
    }
}
