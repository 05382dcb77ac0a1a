//! Tests of the reader of tables. Good tables are written by the crate `parquet`, hostile ones by
//! hand.

mod hostile;

use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::Value;

use super::*;
use crate::chat::Render;

/// A column for a test: texts with levels, or integers.
enum Values<'a> {
    Texts(&'a [&'a str], Option<&'a [i16]>, Option<&'a [i16]>),
    Integers(&'a [i64]),
}

/// A file with a group of rows per element of `groups`.
fn file(schema: &str, properties: WriterProperties, groups: &[&[Values<'_>]]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut file, schema, properties.into()).unwrap();
    for columns in groups {
        let mut group = writer.next_row_group().unwrap();
        for values in *columns {
            let mut column = group.next_column().unwrap().unwrap();
            match values {
                Values::Texts(texts, definitions, repetitions) => {
                    let texts: Vec<ByteArray> = texts.iter().map(|x| ByteArray::from(*x)).collect();
                    let column = column.typed::<ByteArrayType>();
                    column.write_batch(&texts, *definitions, *repetitions).unwrap();
                }
                Values::Integers(values) => {
                    column.typed::<Int64Type>().write_batch(values, None, None).unwrap();
                }
            }
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
    file
}

/// A table of an integer column, a nullable string column and a column of plain bytes, in two
/// row groups.
fn table(properties: WriterProperties) -> Vec<u8> {
    let schema = "message table {
        required int64 id;
        optional binary text (UTF8);
        required binary raw;
    }";
    let groups: [&[Values<'_>]; 2] = [
        &[
            Values::Integers(&[1, 2]),
            Values::Texts(&["first row", "second\n\nrow"], Some(&[1, 1]), None),
            Values::Texts(&["a", "b"], None, None),
        ],
        &[
            Values::Integers(&[3, 4]),
            Values::Texts(&[""], Some(&[0, 1]), None),
            Values::Texts(&["c", "d"], None, None),
        ],
    ];
    file(schema, properties, &groups)
}

fn packed(compression: Compression) -> WriterProperties {
    WriterProperties::builder().set_compression(compression).build()
}

fn read_bytes(bytes: &[u8], column: Option<&str>) -> Result<Vec<String>> {
    read_chats(bytes, column, None)
}

fn read_chats(
    bytes: &[u8],
    column: Option<&str>,
    render: Option<&Render<'_>>,
) -> Result<Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("table.parquet");
    std::fs::write(&path, bytes).unwrap();
    rows(&path, column, &Conversations::new(render, Budget::new(1000, "text")))
}

#[test]
fn strings_are_rows_and_nulls_are_not() {
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let properties = WriterProperties::builder().set_writer_version(version);
            let table = table(properties.set_compression(compression).build());
            let found = read_bytes(&table, None).unwrap();
            assert_eq!(found, ["first row", "second\n\nrow", ""], "{compression} {version:?}");
            assert_eq!(read_bytes(&table, Some("raw")).unwrap(), ["a", "b", "c", "d"]);
        }
    }
}

/// Many rows in many pages, some equal, some null, in each encoding of texts.
#[test]
fn encodings_hold_the_same_texts() {
    let texts: Vec<String> =
        (0..3000).map(|i| format!("{}{}", "common ".repeat(i % 7), i % 1700)).collect();
    let there: Vec<&str> =
        texts.iter().enumerate().filter(|(i, _)| i % 5 != 3).map(|(_, x)| &**x).collect();
    let levels: Vec<i16> = (0..3000).map(|i| i16::from(i % 5 != 3)).collect();
    let schema = "message table { optional binary text (UTF8); }";
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for encoding in [
            None,
            Some(Encoding::PLAIN),
            Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
            Some(Encoding::DELTA_BYTE_ARRAY),
        ] {
            let mut properties = WriterProperties::builder()
                .set_writer_version(version)
                .set_write_batch_size(64)
                .set_data_page_size_limit(4000);
            if let Some(encoding) = encoding {
                properties = properties.set_dictionary_enabled(false).set_encoding(encoding);
            }
            let column = [Values::Texts(&there, Some(&levels), None)];
            let file = file(schema, properties.build(), &[&column]);
            let found = read_bytes(&file, None).unwrap();
            assert_eq!(found, there, "{version:?} {encoding:?}");
        }
    }
}

#[test]
fn lists_of_turns_are_conversations() {
    let schema = "message table {
        required int64 id;
        optional group messages (LIST) {
            repeated group list {
                optional group element {
                    optional binary content (UTF8);
                    required binary role (UTF8);
                }
            }
        }
    }";
    // Two turns of which the second has no content; null; none; one turn.
    let definitions = [[4, 3, 0, 1, 4], [3, 3, 0, 1, 3]];
    let repetitions = [0, 1, 0, 0, 0];
    let columns = [
        Values::Integers(&[1, 2, 3, 4]),
        Values::Texts(&["hi", "ho"], Some(&definitions[0]), Some(&repetitions)),
        Values::Texts(&["user", "assistant", "user"], Some(&definitions[1]), Some(&repetitions)),
    ];
    let table = file(schema, packed(Compression::UNCOMPRESSED), &[&columns]);
    let render = |turns: &Value| Ok(turns.to_string());
    let expected = [
        r#"[{"content":"hi","role":"user"},{"content":null,"role":"assistant"}]"#,
        r#"[{"content":"ho","role":"user"}]"#,
    ];
    for column in [None, Some("messages")] {
        let found = read_chats(&table, column, Some(&render)).unwrap();
        let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let found: Vec<Value> = found.iter().map(|text| parsed(text)).collect();
        assert_eq!(found, expected.map(parsed));
    }
    let error = read_bytes(&table, None).unwrap_err().to_string();
    assert!(error.contains("row 1: column `messages` holds conversations"), "{error}");
    let long = |_: &Value| Ok("x".repeat(600));
    let error = read_chats(&table, None, Some(&long)).unwrap_err().to_string();
    assert!(error.ends_with("row 4: column `messages`: more than 1000 bytes of text"), "{error}");
}

#[test]
fn errors_name_file_and_cause() {
    let table = table(packed(Compression::UNCOMPRESSED));
    let check = |bytes: &[u8], column, expected: &str| {
        let error = read_bytes(bytes, column).unwrap_err().to_string();
        assert!(error.contains(&format!("table.parquet: {expected}")), "{error}");
    };
    check(&table, Some("b"), "the table: has no column `b`; it has `id`, `text`, `raw`");
    check(&table, Some("id"), "the table: column `id` holds integers, not text");
    check(b"", None, "it has 0 bytes; the file is corrupt");
    check(&table[..table.len() - 9], None, "it does not end as a Parquet file does");
    let schema = "message table { repeated binary text (UTF8); }";
    let list = [Values::Texts(&["a"], Some(&[1]), Some(&[0]))];
    let list = file(schema, packed(Compression::UNCOMPRESSED), &[&list]);
    check(&list, None, "the table: column `text` holds a list that is not a conversation");
}

/// Damages every byte of the file in two ways.
#[test]
fn a_damaged_table_is_an_error_or_other_text() {
    let good = table(packed(Compression::SNAPPY));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("table.parquet");
    let mut refused = 0;
    for at in 0..good.len() {
        for damage in [0x01, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= damage;
            std::fs::write(&path, bad).unwrap();
            let conversations = Conversations::new(None, Budget::new(0, "text"));
            refused += usize::from(rows(&path, None, &conversations).is_err());
        }
    }
    assert!(refused > 0);
}
