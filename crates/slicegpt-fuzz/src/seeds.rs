//! The files from which mutations start: fixtures, and small ones made here.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};

const ROWS: &[&str] =
    &["Once upon a time", "", "there was a cat.", "caf\u{e9}", "Once upon a time"];

/// The contents of the seed `name`: a file below `fixtures`, or one made here.
pub fn seed(fixtures: &Path, name: &str) -> Result<Vec<u8>> {
    if name.contains('/') {
        let path = fixtures.join(name);
        return std::fs::read(&path).with_context(|| path.display().to_string());
    }
    Ok(match name {
        "small.safetensors" => {
            safetensors(&[("a.weight", "F16", [2, 3], 12), ("b", "F32", [1, 2], 8)])
        }
        "ids.safetensors" => safetensors(&[("input_ids", "I32", [2, 8], 64)]),
        "bpe.json" => bpe().to_string().into_bytes(),
        "words.json" => words().to_string().into_bytes(),
        "lines.jsonl" => lines(|row| json!({"text": row, "score": 1.5, "more": [1, {"a": null}]})),
        "chat.jsonl" => lines(|row| json!({"messages": [{"role": "user", "content": row}]})),
        "rows.csv" => b"text,label\n\"Once, upon\n a \"\"time\"\"\",1\nthere was,2\n,3\n".to_vec(),
        "text.zst" => zstd::encode_all(ROWS.concat().as_bytes(), 0)?,
        "text.gz" => GZIPPED.to_vec(),
        "plain.parquet" => table(false, Compression::UNCOMPRESSED, "required")?,
        "dictionary.parquet" => table(true, Compression::SNAPPY, "required")?,
        "nulls.parquet" => table(true, Compression::ZSTD(Default::default()), "optional")?,
        "chatml.jinja" => CHATML.into(),
        "manifest.json" => include_bytes!("../seeds/manifest.json").to_vec(),
        "record.json" => include_bytes!("../seeds/record.json").to_vec(),
        _ => bail!("there is no seed called {name}"),
    })
}

/// "Once upon a time\n" as gzip, with its length and checksum.
const GZIPPED: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 243, 207, 75, 78, 85, 40, 45, 200, 207, 83, 72, 84, 40, 201,
    204, 77, 229, 2, 0, 127, 8, 26, 116, 17, 0, 0, 0,
];

const CHATML: &str = "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}\
    {{ bos_token }}{% endif %}{{ '<|im_start|>' + m.role + '\n' + m.content | trim }}\
    {% for tool in tools or [] %}{{ tool | tojson(indent=2) }}{% endfor %}\
    {% set ns = namespace(n=0) %}{% set ns.n = ns.n + loop.index0 * 2 %}{{ '%03d' % ns.n }}\
    {% endfor %}{% macro f(x, y=1) %}{{ x[:3].upper().replace('A', 'b') * y }}{% endmacro %}\
    {{ f('abc', y=2) }}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// A safetensors file of zeros: name, type, shape and bytes of each tensor.
fn safetensors(tensors: &[(&str, &str, [usize; 2], usize)]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, dtype, shape, bytes) in tensors {
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [end, end + bytes]});
        header.insert((*name).into(), entry);
        end += bytes;
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.resize(file.len() + end, 0);
    file
}

fn lines(record: impl Fn(&str) -> Value) -> Vec<u8> {
    ROWS.iter().map(|row| record(row).to_string() + "\n").collect::<String>().into_bytes()
}

/// A byte-level BPE tokenizer with a few merges, as those of Llama 3, OPT and Qwen.
fn bpe() -> Value {
    let letters = "abcdefghijklmnopqrstuvwxyzO,.\u{120}\u{10a}".chars().map(String::from);
    let merges = ["t h", "th e", "o n", "c e", "\u{120} a", "u p"];
    let merged = merges.iter().map(|merge| merge.replace(' ', ""));
    let tokens = ["<s>".to_owned(), "</s>".to_owned()].into_iter().chain(letters).chain(merged);
    let vocab: serde_json::Map<String, Value> = tokens.zip((0..).map(Value::from)).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(0, "<s>"), special(1, "</s>")],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"}, {"type": "Replace", "pattern": {"String": "  "}, "content": " "}]},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                          "use_regex": true},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                     {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
             "use_regex": true},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": null,
                  "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
                  "byte_fallback": false, "vocab": vocab, "merges": merges},
    })
}

/// A tokenizer of words, with another normaliser and another decoder.
fn words() -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(1, "<s>")],
        "normalizer": {"type": "Prepend", "prepend": "\u{2581}"},
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\w+"}, "behavior": "Removed",
                          "invert": true},
        "post_processor": null,
        "decoder": {"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "},
        "model": {"type": "WordLevel", "unk_token": "<unk>",
                  "vocab": {"<unk>": 0, "<s>": 1, "Once": 2, "upon": 3, "a": 4, "time": 5}},
    })
}

fn special(id: u32, content: &str) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
           "normalized": false, "special": true})
}

/// A table of a column of texts and one of integers.
fn table(dictionary: bool, compression: Compression, repetition: &str) -> Result<Vec<u8>> {
    let schema = format!("message table {{ {repetition} binary text (UTF8); required int64 id; }}");
    let schema = Arc::new(parse_message_type(&schema)?);
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(dictionary)
        .set_compression(compression)
        .build();
    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut file, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    let levels = [1, 0, 1, 1, 1];
    let optional = repetition == "optional";
    let present = ROWS.iter().zip(levels).filter(|(_, level)| !optional || *level == 1);
    let texts: Vec<ByteArray> = present.map(|(row, _)| ByteArray::from(*row)).collect();
    if let Some(mut column) = group.next_column()? {
        let levels = optional.then_some(levels.as_slice());
        column.typed::<ByteArrayType>().write_batch(&texts, levels, None)?;
        column.close()?;
    }
    if let Some(mut column) = group.next_column()? {
        column.typed::<Int64Type>().write_batch(&[1, 2, 3, 4, 5], None, None)?;
        column.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(file)
}
