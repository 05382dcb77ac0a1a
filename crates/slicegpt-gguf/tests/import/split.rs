//! Models in several files.

use slicegpt_core::TensorSource;
use slicegpt_gguf::{FileType, Import};
use slicegpt_testkit::RawGguf;

use crate::{Fixture, Scratch};

/// The parts of a model, as `gguf-split` makes them.
fn parts(scratch: &Scratch, count: usize) -> Vec<RawGguf> {
    let whole = scratch.raw();
    let each = whole.tensors.len().div_ceil(count);
    let mut parts: Vec<RawGguf> = whole
        .tensors
        .chunks(each)
        .map(|tensors| RawGguf { version: 3, fields: Vec::new(), tensors: tensors.to_vec() })
        .collect();
    parts[0].fields = whole.fields;
    for (number, part) in parts.iter_mut().enumerate() {
        let u16 =
            |number: usize| [&2_u32.to_le_bytes()[..], &(number as u16).to_le_bytes()].concat();
        part.set("split.no", u16(number));
        part.set("split.count", u16(count));
        part.set("split.tensors.count", RawGguf::number(whole.tensors.len() as u32));
    }
    parts
}

fn name(number: usize) -> String {
    format!("model-{:05}-of-00003.gguf", number + 1)
}

#[test]
fn any_part_opens_the_whole_model() {
    let model = Fixture::new("llama2");
    let scratch = Scratch::export(&model, FileType::F32);
    for (number, part) in parts(&scratch, 3).iter().enumerate() {
        std::fs::write(scratch.folder().join(name(number)), part.bytes()).unwrap();
    }
    for number in 0..3 {
        let import = Import::open(&scratch.folder().join(name(number))).unwrap();
        assert_eq!(import.files().count(), 3);
        for entry in model.spec.entries() {
            let ours = import.tensor(&entry.name, &entry.shape).unwrap();
            assert_eq!(ours, model.tensor(&entry.name, &entry.shape).unwrap(), "{}", entry.name);
        }
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let model = Fixture::new("llama2");
    type Damage = fn(&mut Vec<RawGguf>);
    let damages: &[(Damage, &str)] = &[
        (|parts| drop(parts.pop()), "model-00003-of-00003.gguf: missing: the model has 3 parts"),
        (|parts| parts.swap(1, 2), "not the part that its name says"),
        (|parts| drop(parts[2].tensors.pop()), "its 3 parts hold"),
        (
            |parts| {
                let twice = parts[0].tensors[0].clone();
                parts[2].tensors[0] = twice;
            },
            "is in two parts",
        ),
    ];
    for (damage, says) in damages {
        let scratch = Scratch::export(&model, FileType::F32);
        let mut parts = parts(&scratch, 3);
        damage(&mut parts);
        for (number, part) in parts.iter().enumerate() {
            std::fs::write(scratch.folder().join(name(number)), part.bytes()).unwrap();
        }
        let error = Import::open(&scratch.folder().join(name(0))).err().unwrap().to_string();
        assert!(error.contains(says), "{error}");
    }
    // A part under another name.
    let scratch = Scratch::export(&model, FileType::F32);
    let part = Scratch::of(&parts(&scratch, 3)[0].bytes());
    let error = part.refused();
    assert!(error.contains("one of 3 parts") && error.contains("-00001-of-00003"), "{error}");
}
