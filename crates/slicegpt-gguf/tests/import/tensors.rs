//! Export, then import: the same tensors under the same names, in the same order of rows.

use slicegpt_core::TensorSource;
use slicegpt_gguf::{FileType, Import};
use slicegpt_testkit::fixtures;

use crate::{Fixture, Scratch};

/// Families, and the family that they come back as.
const FAMILIES: &[(&str, &str)] = &[
    ("llama2", "llama"),
    ("llama31", "llama"),
    ("llama-bias", "llama"),
    ("llama-yarn", "llama"),
    // llama.cpp's architecture is the same, and a window is not in it.
    ("mistral", "llama"),
    ("mistral-head-dim", "llama"),
    ("qwen2", "qwen2"),
    ("qwen3", "qwen3"),
    ("phi3", "phi3"),
    ("phi3-longrope", "phi3"),
    ("phi4-mini", "phi3"),
];

#[track_caller]
fn check(import: &Import, model: &Fixture) {
    for entry in import.spec().entries() {
        let ours = import.tensor(&entry.name, &entry.shape).unwrap();
        assert_eq!(ours, model.tensor(&entry.name, &entry.shape).unwrap(), "{}", entry.name);
        // Some of the rows, and rows in another order.
        if let [rows, columns] = entry.shape[..] {
            let (part, shape) = (1..rows / 2, [rows, columns]);
            let some = import.rows(&entry.name, shape, part.clone()).unwrap();
            assert_eq!(some, ours[columns..columns * part.end], "{}", entry.name);
            let some = import.gather(&entry.name, shape, &[rows as u32 - 1, 0]).unwrap();
            let last = &ours[(rows - 1) * columns..];
            assert_eq!(some, [last, &ours[..columns]].concat(), "{}", entry.name);
        }
    }
}

#[test]
fn float32_comes_back_as_it_was() {
    for (name, family) in FAMILIES {
        let model = Fixture::new(name);
        let scratch = Scratch::export(&model, FileType::F32);
        let import = Import::open(&scratch.path).unwrap();
        assert_eq!(import.spec().model_type, *family, "{name}");
        assert_eq!(import.config()["torch_dtype"], "float32", "{name}");
        let names = |spec: &slicegpt_models::DecoderSpec| {
            spec.entries().into_iter().map(|entry| (entry.name, entry.shape)).collect::<Vec<_>>()
        };
        assert_eq!(names(import.spec()), names(&model.spec), "{name}");
        check(&import, &model);
    }
}

/// Matrices come back rounded to the type, and exactly if they were representable.
#[test]
fn half_precision_comes_back_as_it_was() {
    for (name, _) in FAMILIES {
        for file_type in [FileType::F16, FileType::Bf16] {
            let first = Scratch::export(&Fixture::new(name), file_type);
            let first = Import::open(&first.path).unwrap();
            let (spec, source) = (first.spec().clone(), &first);
            let vocabulary = slicegpt_gguf::Vocabulary::default();
            let export = slicegpt_gguf::Export::new(&spec, file_type, "test", vocabulary).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("again.gguf");
            let unobserved = &slicegpt_core::Unobserved;
            export.write(&path, source, str::to_string, unobserved).unwrap();
            let second = Import::open(&path).unwrap();
            assert_eq!(second.config(), first.config(), "{name}");
            for entry in spec.entries() {
                let [a, b] =
                    [&first, &second].map(|import| import.tensor(&entry.name, &entry.shape));
                assert_eq!(a.unwrap(), b.unwrap(), "{name} {}", entry.name);
            }
        }
    }
}

/// `fixtures/gguf/read.py` wrote these with llama.cpp's package.
#[test]
fn phi2_is_read_with_separate_and_with_packed_projections() {
    for name in ["phi2.gguf", "phi2-packed.gguf"] {
        let import = Import::open(&fixtures().join("gguf").join(name)).unwrap();
        let model = Fixture::new("phi");
        assert_eq!(import.spec().positions, model.spec.positions, "{name}");
        assert_eq!(import.spec().norm, model.spec.norm, "{name}");
        assert_eq!(import.spec().mlp, model.spec.mlp, "{name}");
        assert_eq!(import.spec().attention, model.spec.attention, "{name}");
        check(&import, &model);
    }
}

/// The packed projections of Phi-3 become separate, and a Qwen2 whose heads are not as wide as its
/// stream becomes a Llama with some biases.
#[test]
fn families_that_were_written_as_llama_come_back_as_what_they_can_be() {
    for (name, family) in [("qwen2", "qwen2"), ("phi3", "llama"), ("phi4-mini", "llama")] {
        let model = Fixture::new(name);
        let width = model.spec.hidden_size / 2;
        let spec = model.spec.in_shared_basis(width, model.spec.mlp.intermediate_size, false);
        let source = Narrow(&model);
        let export = slicegpt_gguf::Export::new(
            &spec,
            FileType::F32,
            "test",
            slicegpt_gguf::Vocabulary::default(),
        )
        .unwrap();
        assert_eq!(export.architecture(), "llama", "{name}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        export.write(&path, &source, str::to_string, &slicegpt_core::Unobserved).unwrap();
        let import = Import::open(&path).unwrap();
        assert_eq!(import.spec().model_type, family, "{name}");
        let embedding = import.spec().embedding_entry();
        let ours = import.tensor(&embedding.name, &embedding.shape).unwrap();
        assert_eq!(ours, source.tensor(&embedding.name, &embedding.shape).unwrap(), "{name}");
        assert_eq!(import.spec().parameters(), spec.parameters(), "{name}");
    }
}

/// A model with the first values of each tensor.
struct Narrow<'a>(&'a Fixture);

impl TensorSource for Narrow<'_> {
    type Error = std::io::Error;

    fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> std::io::Result<Vec<f32>> {
        let whole = match self.0.contains(name) {
            true => self.0.tensor(name, shape)?,
            // The head, which was tied.
            false => vec![0.5; shape.iter().product()],
        };
        let length = shape.iter().product();
        Ok(whole.into_iter().cycle().take(length).collect())
    }

    fn rows(&self, _: &str, _: [usize; 2], _: std::ops::Range<usize>) -> std::io::Result<Vec<f32>> {
        unreachable!("small tensors are read whole")
    }

    fn gather(&self, _: &str, _: [usize; 2], _: &[u32]) -> std::io::Result<Vec<f32>> {
        unreachable!("small tensors are read whole")
    }
}
