//! Every block type has the values that the `gguf` package gives it.

use safetensors::SafeTensors;
use slicegpt_gguf::StoredType;

/// `fixtures/gguf/read.py` computed the values of random blocks.
#[test]
fn values_are_those_of_the_gguf_package() {
    let path = slicegpt_testkit::fixtures().join("gguf/dequantised.safetensors");
    let file = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&file).unwrap();
    let mut seen = 0;
    for (name, bytes) in file.iter() {
        let Some(name) = name.strip_suffix(".bytes") else { continue };
        let values = file.tensor(&format!("{name}.values")).unwrap();
        let theirs = values.data().chunks_exact(4);
        let theirs: Vec<f32> = theirs.map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect();
        let ty = StoredType::by_name(name).unwrap();
        let mut ours = Vec::new();
        ty.decode(bytes.data(), &mut ours);
        assert_eq!(ours.len(), theirs.len(), "{name}");
        assert!(theirs.iter().any(|x| *x != theirs[0]), "{name}: values that say nothing");
        for (index, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            // Zeros of either sign are equal.
            assert_eq!(ours, theirs, "{name}, value {index}");
        }
        seen += 1;
    }
    assert_eq!(seen, StoredType::readable().split(", ").count(), "a type has no fixture");
}
