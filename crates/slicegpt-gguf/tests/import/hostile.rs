//! Files that are damaged, or made to harm: one error each, no panic, and no memory for a claim.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use slicegpt_core::TensorSource;
use slicegpt_gguf::{FileType, Import};
use slicegpt_testkit::RawGguf;

use crate::{Fixture, Scratch};

/// A small valid file.
fn valid() -> RawGguf {
    Scratch::export(&Fixture::new("llama2"), FileType::F32).raw()
}

#[track_caller]
fn check(bytes: &[u8], says: &[&str]) {
    let scratch = Scratch::of(bytes);
    let error = scratch.refused();
    for words in [&["model.gguf: "], says].concat() {
        assert!(error.contains(words), "no {words:?} in: {error}");
    }
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn what_is_no_such_file_is_said() {
    let mut whole = valid().bytes();
    check(b"", &["not a GGUF file"]);
    check(b"GGML and more", &["not a GGUF file"]);
    check(b"GGUF", &["truncated"]);
    for (version, says) in [(1_u32, "version 1"), (4, "version 4"), (0, "version 0")] {
        whole[4..8].copy_from_slice(&version.to_le_bytes());
        check(&whole, &[says]);
    }
    whole[4..8].copy_from_slice(&3_u32.to_be_bytes());
    check(&whole, &["big-endian", "gguf_convert_endian.py"]);
    whole[4..8].copy_from_slice(&2_u32.to_le_bytes());
    assert!(Import::open(&Scratch::of(&whole).path).is_ok(), "version 2 is read");
}

/// Every cut through the header, and some through the values.
#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    let whole = valid().bytes();
    let cuts = (0..whole.len().min(4000)).step_by(3).chain((4000..whole.len()).step_by(4099));
    for end in cuts {
        let error = Scratch::of(&whole[..end]).refused();
        assert!(error.contains("truncated") || end < 4, "{end}: {error}");
    }
}

/// Claims of sizes that are not there. With any of them taken at its word, this test would need
/// more memory than there is.
#[test]
fn claims_are_compared_with_the_bytes_that_are_there() {
    let whole = valid().bytes();
    for at in [8, 16] {
        let mut bytes = whole.clone();
        for claim in [u64::MAX, 1 << 60, 1 << 32] {
            bytes[at..at + 8].copy_from_slice(&claim.to_le_bytes());
            check(&bytes, &[&claim.to_string(), "truncated or damaged"]);
        }
    }
    let array = |ty: u32, count: u64| {
        [&9_u32.to_le_bytes()[..], &ty.to_le_bytes(), &count.to_le_bytes()].concat()
    };
    for (value, says) in [
        (array(0, u64::MAX), "the length of an array"),
        (array(8, 1 << 40), "the length of an array"),
        (array(10, 1 << 61), "the length of an array"),
        ([&8_u32.to_le_bytes()[..], &(1_u64 << 40).to_le_bytes()].concat(), "a text"),
        (77_u32.to_le_bytes().to_vec(), "a value of type 77"),
    ] {
        let mut file = valid();
        file.set("general.description", value);
        check(&file.bytes(), &["`general.description`", says]);
    }
    // Arrays in arrays in arrays.
    let mut file = valid();
    let inner = array(9, 1)[4..].to_vec();
    let deep = std::iter::repeat_n(inner, 100_000).flatten();
    file.set("general.description", 9_u32.to_le_bytes().into_iter().chain(deep).collect());
    check(&file.bytes(), &["arrays more than"]);
}

type Damage = fn(&mut RawGguf);

#[test]
fn tensors_lie_in_the_file_and_apart() {
    let damages: &[(Damage, &[&str])] = &[
        (|file| file.tensors[1].dimensions = vec![1 << 40, 1 << 40], &["a shape of"]),
        (|file| file.tensors[1].dimensions = vec![1 << 30, 4], &["in a file of"]),
        (|file| file.tensors[1].dimensions = vec![0, 4], &["a dimension of 0"]),
        (|file| file.tensors[1].dimensions = vec![2; 5], &["5 dimensions"]),
        (|file| file.tensors[1].dimensions = vec![], &["0 dimensions"]),
        (|file| file.tensors[1].offset = Some(u64::MAX - 31), &["in a file of"]),
        (|file| file.tensors[1].offset = Some(1 << 40), &["in a file of"]),
        (|file| file.tensors[1].offset = Some(0), &["overlaps"]),
        (|file| file.tensors[1].offset = Some(3), &["not a multiple of 32"]),
        (|file| file.tensors[1].ty = 999, &["number 999", "Q4_K"]),
        (|file| file.tensors[1].ty = 12, &["not whole Q4_K"]),
        (|file| file.tensors[1].name = file.tensors[0].name.clone(), &["twice"]),
        (|file| file.fields.push(file.fields[3].clone()), &["twice"]),
        (|file| file.set("general.alignment", RawGguf::number(0)), &["alignment"]),
        (|file| file.set("general.alignment", RawGguf::number(48)), &["alignment"]),
        (|file| file.set("general.alignment", RawGguf::text("32")), &["alignment"]),
    ];
    for (damage, says) in damages {
        let mut file = valid();
        damage(&mut file);
        check(&file.bytes(), says);
    }
}

#[test]
fn another_model_than_the_metadata_say_is_refused() {
    let damages: &[(Damage, &[&str])] = &[
        (|file| file.remove("general.architecture"), &["`general.architecture`", "not a model"]),
        (
            |file| file.set("general.architecture", RawGguf::text("mamba")),
            &["`mamba`", "llama, qwen2, qwen3, phi3, phi2"],
        ),
        (|file| file.set("general.architecture", RawGguf::number(1)), &["not a text"]),
        (|file| file.remove("llama.block_count"), &["`llama.block_count` is missing"]),
        (|file| file.set("llama.block_count", RawGguf::number(7)), &["blk.2", "is missing"]),
        (|file| file.set("llama.block_count", RawGguf::number(1)), &["`blk.1.", "another one"]),
        (|file| file.set("llama.block_count", RawGguf::number(u32::MAX)), &["num_hidden_layers"]),
        (
            |file| file.set("llama.attention.head_count", RawGguf::number(1 << 23)),
            &["num_attention_heads"],
        ),
        (
            |file| file.set("llama.attention.head_count", RawGguf::number(0)),
            &["no attention heads"],
        ),
        (
            |file| {
                file.set("llama.attention.head_count", RawGguf::number(1 << 20));
                file.set("llama.attention.head_count_kv", RawGguf::number(1 << 20));
            },
            &["`blk.0.attn_q.weight` has shape"],
        ),
        (
            |file| file.set("llama.feed_forward_length", RawGguf::number(1 << 20)),
            &["ffn_gate.weight` has shape", "the metadata say"],
        ),
        (|file| file.set("llama.expert_count", RawGguf::number(8)), &["`llama.expert_count`"]),
        (|file| file.set("llama.unheard_of", RawGguf::number(1)), &["`llama.unheard_of`"]),
        (
            |file| file.set("llama.rope.freq_base", RawGguf::float(f32::NAN)),
            &["`llama.rope.freq_base`", "finite"],
        ),
        (|file| file.set("llama.rope.dimension_count", RawGguf::number(4)), &["it rotates 4 of"]),
        (
            |file| file.set("llama.attention.value_length", RawGguf::number(4)),
            &["different lengths"],
        ),
        (|file| file.tensors.retain(|tensor| tensor.name != "token_embd.weight"), &["token_embd"]),
        (|file| file.tensors.retain(|tensor| tensor.name != "output_norm.weight"), &["missing"]),
        (|file| file.tensor("output_norm.weight").name = "x.weight".into(), &["output_norm"]),
        (
            |file| {
                let tensor = file.tensor("blk.1.ffn_norm.weight");
                (tensor.ty, tensor.dimensions) = (16, vec![256]);
            },
            &["`blk.1.ffn_norm.weight` is IQ2_XXS", "Q6_K"],
        ),
    ];
    for (damage, says) in damages {
        let mut file = valid();
        damage(&mut file);
        check(&file.bytes(), says);
    }
}

#[test]
fn a_tensor_that_is_not_finite_is_named() {
    let mut file = valid();
    let tensor = file.tensor("blk.1.ffn_up.weight");
    tensor.data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let scratch = Scratch::of(&file.bytes());
    let import = Import::open(&scratch.path).unwrap();
    let entries = import.spec().entries();
    let entry = entries.iter().find(|entry| entry.name.ends_with("1.mlp.up_proj.weight")).unwrap();
    let error = import.tensor(&entry.name, &entry.shape).unwrap_err().to_string();
    assert!(error.contains("model.layers.1.mlp.up_proj.weight"), "{error}");
    let error = import.tensor("nothing", &[1]).unwrap_err().to_string();
    assert!(error.contains("`nothing` is missing"), "{error}");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_waited_for() {
    let scratch = Scratch::of(b"");
    let pipe = scratch.folder().join("pipe.gguf");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let devices = [pipe, scratch.folder().to_path_buf(), "/dev/zero".into()];
    for path in devices {
        let error = Import::open(&path).err().unwrap().to_string();
        assert!(error.contains("not a file"), "{error}");
    }
    let error = Import::open(&scratch.folder().join("none.gguf")).err().unwrap().to_string();
    assert!(error.contains("none.gguf: "), "{error}");
}

/// Bytes of a valid file changed at random: it is refused, or all of it can be read.
#[test]
fn changed_bytes_never_end_the_program() {
    let mut rng = ChaCha8Rng::seed_from_u64(19);
    let whole = valid().bytes();
    // Most changes hit the header.
    let header = 3000.min(whole.len());
    let (mut opened, count) = (0, 4000);
    for _ in 0..count {
        let mut bytes = whole.clone();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..header);
            match rng.random_range(0..3) {
                0 => bytes[at] = rng.random(),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.random_range(0..5)],
                _ => {
                    let end = (at + 8).min(bytes.len());
                    let number: u64 = 1 << rng.random_range(0..64);
                    bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
                }
            }
        }
        let scratch = Scratch::of(&bytes);
        let Ok(import) = Import::open(&scratch.path) else { continue };
        opened += 1;
        let _ = import.tokenizer(None);
        for entry in import.spec().entries() {
            let _ = import.tensor(&entry.name, &entry.shape);
        }
    }
    assert!((1..count).contains(&opened), "{opened} of {count} were opened");
}
