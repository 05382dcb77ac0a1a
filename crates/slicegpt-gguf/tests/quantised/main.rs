//! Block quantisation: the bytes are those of llama.cpp's quantiser, and values are recovered.

mod dequantise;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use slicegpt_gguf::Type;

use dequantise::dequantise;

const TYPES: &[(&str, Type)] = &[
    ("f16", Type::F16),
    ("bf16", Type::Bf16),
    ("q8_0", Type::Q8_0),
    ("q4_0", Type::Q4_0),
    ("q4_1", Type::Q4_1),
    ("q5_0", Type::Q5_0),
    ("q5_1", Type::Q5_1),
    ("q2_k", Type::Q2K),
    ("q3_k", Type::Q3K),
    ("q4_k", Type::Q4K),
    ("q5_k", Type::Q5K),
    ("q6_k", Type::Q6K),
];

/// `fixtures/gguf/make.py` quantised the same values with llama.cpp.
#[test]
fn bytes_are_those_of_llama_cpp() {
    let path = slicegpt_testkit::fixtures().join("gguf/quantised.safetensors");
    let file = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&file).unwrap();
    let values = file.tensor("values").unwrap();
    let values: Vec<f32> =
        values.data().chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect();
    assert_eq!(values.len(), 13 * 256);
    for (name, ty) in TYPES {
        let bytes = ty.encode(&values).unwrap();
        let theirs = file.tensor(name).unwrap();
        let row = ty.bytes(256);
        for (number, (ours, theirs)) in bytes.chunks(row).zip(theirs.data().chunks(row)).enumerate()
        {
            assert_eq!(ours, theirs, "{name}, super-block {number}");
        }
        assert_eq!(bytes.len(), theirs.data().len(), "{name}");
    }
}

/// The error is at most half a quantisation step over the range of a group, and sometimes more,
/// because scales are rounded too and the search minimises the squared error.
#[test]
fn values_are_recovered() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let rows = 64;
    let values: Vec<f32> = (0..rows * 256)
        .map(|i| rng.random_range(-1.0..1.0_f32) * 0.02 * (1.0 + (i / 256) as f32))
        .collect();
    // The mean squared error relative to the mean square of the values, for q uniform in a step.
    for (name, ty, most) in [
        ("f16", Type::F16, 1e-7),
        ("bf16", Type::Bf16, 6e-6),
        ("q8_0", Type::Q8_0, 1.7e-5),
        ("q6_k", Type::Q6K, 3e-4),
        ("q5_k", Type::Q5K, 1.1e-3),
        ("q5_1", Type::Q5_1, 1.1e-3),
        ("q5_0", Type::Q5_0, 1.1e-3),
        ("q4_k", Type::Q4K, 5e-3),
        ("q4_1", Type::Q4_1, 5e-3),
        ("q4_0", Type::Q4_0, 5e-3),
        ("q3_k", Type::Q3K, 2e-2),
        ("q2_k", Type::Q2K, 9e-2),
    ] {
        let back = dequantise(ty, &ty.encode(&values).unwrap());
        assert_eq!(back.len(), values.len(), "{name}");
        let square =
            |list: &mut dyn Iterator<Item = f32>| list.map(|x| f64::from(x * x)).sum::<f64>();
        let error = square(&mut back.iter().zip(&values).map(|(a, b)| a - b));
        let relative = error / square(&mut values.iter().copied());
        println!("{name}: {relative:.2e}");
        assert!(relative < most, "{name}: {relative:.2e}, more than {most:.0e}");
        assert!(relative > most / 20.0, "{name}: {relative:.2e}, too good to be quantised");
    }
}

/// Rows are quantised in parallel: the bytes do not depend on the number of values per call.
#[test]
fn rows_are_quantised_separately() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let values: Vec<f32> = (0..200 * 256).map(|_| rng.random_range(-1.0..1.0)).collect();
    for (name, ty) in TYPES {
        let pieces: Vec<u8> =
            values.chunks(7 * 256).flat_map(|values| ty.encode(values).unwrap()).collect();
        assert!(pieces == ty.encode(&values).unwrap(), "{name}");
    }
}
