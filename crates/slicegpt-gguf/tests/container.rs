//! The container is read back by a parser that shares no code with the writer.

use serde_json::json;
use slicegpt_gguf::{GgufError, GgufWriter, TensorInfo, Type, Value};
use slicegpt_testkit::Gguf;

fn info(name: &str, shape: &[usize], ty: Type) -> TensorInfo {
    TensorInfo { name: name.into(), shape: shape.to_vec(), ty }
}

#[test]
fn a_written_file_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.gguf");
    let pairs = [
        ("a.count", Value::U32(7), json!(7)),
        ("a.number", Value::F32(0.5), json!(0.5)),
        ("a.flag", Value::Bool(true), json!(true)),
        ("a.text", Value::Text("\u{4f60}\u{597d}".into()), json!("\u{4f60}\u{597d}")),
        ("a.counts", Value::I32s(vec![1, -2]), json!([1, -2])),
        ("a.numbers", Value::F32s(vec![]), json!([])),
        ("a.texts", Value::texts(["", "\u{2581}x"]), json!(["", "\u{2581}x"])),
    ];
    let metadata = pairs.iter().map(|(key, value, _)| (key.to_string(), value.clone())).collect();
    let infos = vec![
        info("first", &[3, 5], Type::F32),
        info("second", &[7], Type::F32),
        info("third", &[2, 64], Type::Q8_0),
    ];
    let mut writer = GgufWriter::create(&path, &metadata, infos).unwrap();
    // In pieces.
    writer.write("first", &[1.0; 10]).unwrap();
    writer.write("first", &[2.0; 5]).unwrap();
    writer.write("second", &[3.0; 7]).unwrap();
    writer.write("third", &[4.0; 64]).unwrap();
    writer.write("third", &[-4.0; 64]).unwrap();
    let bytes = writer.finish().unwrap();
    assert_eq!(bytes, std::fs::metadata(&path).unwrap().len());

    let file = Gguf::read(&path);
    assert_eq!(file.metadata.len(), pairs.len());
    for (key, _, value) in pairs {
        assert_eq!(file.metadata[key], value, "{key}");
    }
    assert_eq!(file.tensors["first"].shape, [3, 5]);
    assert_eq!(file.f32s("first"), [[1.0; 5], [1.0; 5], [2.0; 5]].concat());
    assert_eq!(file.f32s("second"), [3.0; 7]);
    let third = &file.tensors["third"];
    assert_eq!((third.shape.as_slice(), third.ty, third.data.len()), (&[2, 64][..], 8, 4 * 34));
    assert_eq!(third.data[2..34], [127; 32]);
    assert_eq!(third.data[70..102], [0x81; 32]);
}

#[test]
fn nothing_is_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.gguf");
    std::fs::write(&path, "mine").unwrap();
    assert!(matches!(
        GgufWriter::create(&path, &Vec::new(), Vec::new()),
        Err(GgufError::Io { .. })
    ));
    assert_eq!(std::fs::read_to_string(path).unwrap(), "mine");
}

#[test]
fn a_value_out_of_range_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.gguf");
    let infos = vec![info("huge", &[1, 2], Type::F16)];
    let mut writer = GgufWriter::create(&path, &Vec::new(), infos).unwrap();
    let error = writer.write("huge", &[1.0, 7e4]).unwrap_err().to_string();
    assert!(error.contains("`huge` does not fit F16: 7e4"), "{error}");
}

#[test]
#[should_panic(expected = "never written")]
fn a_tensor_that_is_not_written_panics() {
    let directory = tempfile::tempdir().unwrap();
    let infos = vec![info("a", &[2], Type::F32)];
    let _ = GgufWriter::create(&directory.path().join("f"), &Vec::new(), infos).unwrap().finish();
}
