//! Mutations of files: bytes, integers, numbers in text, repetitions, and parts of other files.

use rand::Rng;
use rand::seq::IndexedRandom;

/// The largest file that a mutation makes of a smaller one.
const LARGEST: usize = 1 << 20;

/// Integers at which sizes and counts go wrong.
const INTEGERS: &[u64] = &[
    0,
    1,
    2,
    7,
    8,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x10000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_fff8,
    0xffff_ffff_ffff_ffff,
];

/// What replaces a number or another token in a text.
const TOKENS: &[&str] = &[
    "0",
    "-1",
    "1e308",
    "-1e999",
    "0.5",
    "NaN",
    "18446744073709551615",
    "9007199254740993",
    "4294967296",
    "1000000000000",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\"\\ud800\"",
    "\u{0}",
    "\u{feff}",
];

/// A changed copy of `seed`, which takes parts of `others`.
pub fn mutated(seed: &[u8], others: &[&[u8]], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..1 << rng.random_range(0..4) {
        mutate(&mut bytes, others, rng);
        bytes.truncate(LARGEST.max(seed.len()));
    }
    bytes
}

fn mutate(bytes: &mut Vec<u8>, others: &[&[u8]], rng: &mut impl Rng) {
    if bytes.is_empty() {
        bytes.extend((0..rng.random_range(0..16)).map(|_| rng.random::<u8>()));
        return;
    }
    let at = place(bytes.len(), rng);
    match rng.random_range(0..10) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes[at] = rng.random(),
        2 => overwrite(bytes, at, rng),
        3 => drop(bytes.drain(span(bytes.len(), at, rng))),
        4 => {
            let copy = bytes[span(bytes.len(), at, rng)].to_vec();
            let to = place(bytes.len(), rng);
            bytes.splice(to..to, copy);
        }
        5 => bytes.truncate(at),
        6 => number(bytes, at, rng),
        7 => repeat(bytes, at, rng),
        8 => {
            let token = TOKENS.choose(rng).copied().unwrap_or_default();
            bytes.splice(at..at, token.bytes());
        }
        _ => {
            let Some(other) = others.choose(rng).filter(|other| !other.is_empty()) else { return };
            let part = span(other.len(), place(other.len(), rng), rng);
            let range = span(bytes.len(), at, rng);
            bytes.splice(range, other[part].iter().copied());
        }
    }
}

/// A position: half of the time near the beginning, where headers are, or the end, where footers
/// are.
fn place(length: usize, rng: &mut impl Rng) -> usize {
    let near = length.min(256);
    match rng.random_range(0..4) {
        0 => rng.random_range(0..near),
        1 => length - 1 - rng.random_range(0..near),
        _ => rng.random_range(0..length),
    }
}

/// A short range from `at`, or now and then a long one.
fn span(length: usize, at: usize, rng: &mut impl Rng) -> std::ops::Range<usize> {
    let most = if rng.random_ratio(1, 8) { length } else { 32 };
    at..length.min(at + rng.random_range(1..=most))
}

/// Overwrites a little-endian integer.
fn overwrite(bytes: &mut [u8], at: usize, rng: &mut impl Rng) {
    let length = bytes.len() as u64;
    let value = match rng.random_range(0..3) {
        0 => length.wrapping_add_signed(rng.random_range(-9..9)),
        _ => INTEGERS.choose(rng).copied().unwrap_or_default(),
    };
    let size = [1, 2, 4, 8][rng.random_range(0..4)];
    for (to, from) in bytes[at..].iter_mut().zip(&value.to_le_bytes()[..size]) {
        *to = *from;
    }
}

/// Replaces the digits at `at`, or the first ones after it.
fn number(bytes: &mut Vec<u8>, at: usize, rng: &mut impl Rng) {
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit) else { return };
    let start = at + start;
    let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let token = TOKENS.choose(rng).copied().unwrap_or_default();
    bytes.splice(start..start + digits, token.bytes());
}

/// Repeats the byte or the bytes at `at`, for nesting and long runs.
fn repeat(bytes: &mut Vec<u8>, at: usize, rng: &mut impl Rng) {
    let length = [1, 2, 4, 16][rng.random_range(0..4)];
    let unit = bytes[at..bytes.len().min(at + length)].to_vec();
    let times = 1 << rng.random_range(1..15);
    bytes.splice(at..at, unit.repeat(times));
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn a_mutation_is_repeatable_and_bounded() {
        let others: [&[u8]; 2] = [b"{\"other\": 3}", b""];
        let mut changed = 0;
        for seed in 0..2000 {
            let [one, two] = [(); 2]
                .map(|()| mutated(b"[1, 22, 333]", &others, &mut ChaCha8Rng::seed_from_u64(seed)));
            assert_eq!(one, two);
            assert!(one.len() <= LARGEST);
            changed += usize::from(one != b"[1, 22, 333]");
        }
        assert!(changed > 1800, "{changed}");
    }
}
