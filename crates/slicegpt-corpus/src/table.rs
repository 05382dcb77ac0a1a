//! Rows of text from a Parquet table.

use std::borrow::Cow;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use crate::columns::{Cell, Columns};
use crate::error::{CorpusError, Result};

/// The text of each row of the table, in the columns that [`Columns::choose`] chooses.
pub(crate) fn rows(path: &Path, column: Option<&str>) -> Result<Vec<String>> {
    let file = File::open(path).map_err(CorpusError::io(path))?;
    // The Parquet reader panics on some damaged files. None of its state outlives this call.
    catch_unwind(AssertUnwindSafe(|| read(path, file, column))).unwrap_or_else(|_| {
        Err(CorpusError::Parquet { path: path.into(), reason: "cannot be decoded".into() })
    })
}

fn read(path: &Path, file: File, column: Option<&str>) -> Result<Vec<String>> {
    let invalid = |error: ParquetError| {
        let reason = error.to_string();
        CorpusError::Parquet { path: path.into(), reason }
    };
    let reader = SerializedFileReader::new(file).map_err(invalid)?;
    let schema = reader.metadata().file_metadata().schema();
    let available = schema.get_fields().iter().map(|field| field.name());
    let columns = Columns::choose(column, available, path, || "the table".into())?;
    // Read only the pages of these columns.
    let wanted = columns.names();
    let fields = schema.get_fields().iter().filter(|field| wanted.contains(&field.name()));
    let projection = Type::group_type_builder(schema.name())
        .with_fields(fields.map(Arc::clone).collect())
        .build()
        .map_err(invalid)?;
    let rows = reader.get_row_iter(Some(projection)).map_err(invalid)?;
    let rows = rows.enumerate().map(|(i, row)| {
        let row = row.map_err(invalid)?;
        columns.row(|column| cell(&row, column), path, || format!("row {}", i + 1))
    });
    rows.filter_map(Result::transpose).collect()
}

fn cell<'r>(row: &'r Row, column: &str) -> Cell<'r> {
    let found = row.get_column_iter().find(|(name, _)| *name == column);
    match found.map(|(_, field)| field) {
        None | Some(Field::Null) => Ok(None),
        Some(Field::Str(text)) => Ok(Some(Cow::Borrowed(text))),
        Some(Field::Bytes(bytes)) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Ok(Some(Cow::Borrowed(text))),
            Err(_) => Err("bytes that are not UTF-8".into()),
        },
        Some(Field::Group(_)) => Err("a struct".into()),
        Some(Field::ListInternal(_)) => Err("a list".into()),
        Some(Field::MapInternal(_)) => Err("a map".into()),
        Some(other) => Err(format!("`{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    /// A table of an integer column, a nullable string column and a column of plain bytes, in two
    /// row groups.
    fn table(compression: Compression) -> Vec<u8> {
        let schema = "message table {
            required int64 id;
            optional binary text (UTF8);
            required binary raw;
        }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let mut file = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut file, schema, properties.into()).unwrap();
        let bytes = |texts: &[&str]| texts.iter().map(|t| ByteArray::from(*t)).collect::<Vec<_>>();
        for (ids, texts, levels, raw) in [
            ([1, 2], bytes(&["first row", "second\n\nrow"]), [1, 1], bytes(&["a", "b"])),
            ([3, 4], bytes(&["", "unread"])[..1].to_vec(), [0, 1], bytes(&["c", "d"])),
        ] {
            let mut group = writer.next_row_group().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&raw, None, None).unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
        writer.close().unwrap();
        file
    }

    fn read_bytes(bytes: &[u8], column: Option<&str>) -> Result<Vec<String>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.parquet");
        std::fs::write(&path, bytes).unwrap();
        rows(&path, column)
    }

    #[test]
    fn strings_are_rows_and_nulls_are_not() {
        for compression in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::ZSTD(ZstdLevel::default()),
        ] {
            let table = table(compression);
            assert_eq!(read_bytes(&table, None).unwrap(), ["first row", "second\n\nrow", ""]);
            assert_eq!(read_bytes(&table, Some("raw")).unwrap(), ["a", "b", "c", "d"]);
        }
    }

    #[test]
    fn errors_name_file_and_cause() {
        let table = table(Compression::UNCOMPRESSED);
        let check = |bytes: &[u8], column, expected: &str| {
            let error = read_bytes(bytes, column).unwrap_err().to_string();
            assert!(error.contains(&format!("table.parquet: {expected}")), "{error}");
        };
        check(&table, Some("b"), "the table: has no column `b`; it has `id`, `text`, `raw`");
        check(&table, Some("id"), "row 1: column `id` holds `1`, not text");
        check(b"", None, "");
        check(&table[..table.len() - 9], None, "");
    }

    /// Damages every byte of the file in two ways. The Parquet reader panics on some of these
    /// files.
    #[test]
    fn a_damaged_table_is_an_error_or_other_text() {
        let good = table(Compression::SNAPPY);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.parquet");
        let mut refused = 0;
        for at in 0..good.len() {
            for damage in [0x01, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= damage;
                std::fs::write(&path, bad).unwrap();
                refused += usize::from(rows(&path, None).is_err());
            }
        }
        assert!(refused > 0);
    }
}
