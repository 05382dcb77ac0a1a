//! Small tables that say that they are large.

use super::read_bytes;

/// A field of a structure: its type and its bytes.
type Field = (u8, Vec<u8>);

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn integer(value: i64) -> Field {
    (6, varint(value as u64 * 2))
}

fn text(text: &[u8]) -> Field {
    (8, [varint(text.len() as u64), text.to_vec()].concat())
}

fn structure(fields: Vec<(u8, Field)>) -> Field {
    let (mut bytes, mut last) = (Vec::new(), 0);
    for (id, (kind, body)) in fields {
        bytes.push((id - last) << 4 | kind);
        bytes.extend(body);
        last = id;
    }
    bytes.push(0);
    (12, bytes)
}

fn list(items: Vec<Field>) -> Field {
    let mut bytes = vec![0xfc];
    bytes.extend(varint(items.len() as u64));
    bytes.extend(items.into_iter().flat_map(|(_, body)| body));
    (9, bytes)
}

fn leaf(repetition: i64) -> Field {
    structure(vec![(1, integer(6)), (3, integer(repetition)), (4, text(b"text"))])
}

fn root(children: i64) -> Field {
    structure(vec![(4, text(b"schema")), (5, integer(children))])
}

/// A page that says that it becomes `size` bytes.
fn page(body: &[u8], values: i64, encoding: i64, which: u8, size: i64) -> Vec<u8> {
    let header = structure(vec![(1, integer(values)), (2, integer(encoding))]);
    let kind = integer(i64::from(which) - 5);
    let sizes = [(2, integer(size)), (3, integer(body.len() as i64))];
    let fields = [(1, kind)].into_iter().chain(sizes).chain([(which, header)]);
    [structure(fields.collect()).1, body.to_vec()].concat()
}

fn data(body: &[u8], values: i64, encoding: i64) -> Vec<u8> {
    page(body, values, encoding, 5, body.len() as i64)
}

fn dictionary(text: &[u8], values: i64) -> Vec<u8> {
    let body = [&(text.len() as u32).to_le_bytes()[..], text].concat();
    page(&body, values, 0, 7, body.len() as i64)
}

/// A file of one column of `rows` rows, with its pages as often as `groups` says.
fn file(schema: Vec<Field>, pages: &[Vec<u8>], rows: i64, codec: i64, groups: usize) -> Vec<u8> {
    let mut file = [b"PAR1".to_vec(), pages.concat()].concat();
    let length = file.len() as i64 - 4;
    let column = structure(vec![
        (1, integer(6)),
        (4, integer(codec)),
        (5, integer(rows)),
        (7, integer(length)),
        (9, integer(4)),
    ]);
    let chunk = structure(vec![(2, integer(4)), (3, column)]);
    let group = structure(vec![(1, list(vec![chunk])), (2, integer(4)), (3, integer(rows))]);
    let footer = structure(vec![
        (1, integer(1)),
        (2, list(schema)),
        (3, integer(rows)),
        (4, list(vec![group; groups])),
    ]);
    file.extend(&footer.1);
    file.extend((footer.1.len() as u32).to_le_bytes());
    file.extend(b"PAR1");
    file
}

fn check(file: &[u8], expected: &str) {
    let error = read_bytes(file, None).unwrap_err().to_string();
    assert!(error.contains("table.parquet: ") && error.contains(expected), "{error}");
}

fn plain(pages: &[Vec<u8>], rows: i64) -> Vec<u8> {
    file(vec![root(1), leaf(0)], pages, rows, 0, 1)
}

const MOST: i64 = i32::MAX as i64;

#[test]
fn a_good_file_made_by_hand_is_read() {
    let good = data(b"\x05\0\0\0hello", 1, 0);
    assert_eq!(read_bytes(&plain(&[good], 1), None).unwrap(), ["hello"]);
    let pages = [dictionary(b"hello", 1), data(&[1, 4, 0], 2, 8)];
    assert_eq!(read_bytes(&plain(&pages, 2), None).unwrap(), ["hello", "hello"]);
}

#[test]
fn columns_are_counted_before_room_is_made() {
    let good = [data(b"\x05\0\0\0hello", 1, 0)];
    let says = file(vec![root(MOST), leaf(0)], &good, 1, 0, 1);
    check(&says, "group `schema` says it has 2147483647 columns");
    let group = structure(vec![(3, integer(0)), (4, text(b"text")), (5, integer(1))]);
    let deep = [vec![root(1)], vec![group; 50_000], vec![leaf(0)]].concat();
    check(&file(deep, &good, 1, 0, 1), "nested more than 32 deep");
    let long = [&2000_u32.to_le_bytes()[..], &[b'a'; 2000]].concat();
    let repeated = file(vec![root(1), leaf(0)], &[data(&long, 1, 0)], 1, 0, 1000);
    check(&repeated, "the parts of a column are larger than the file");
}

#[test]
fn repeated_and_empty_texts_are_within_the_budget() {
    let run = [vec![1], varint(1 << 31), vec![0]].concat();
    for long in [400_000, 0] {
        let pages = [dictionary(&vec![b'a'; long], 1), data(&run, 1 << 30, 8)];
        check(&plain(&pages, 1 << 30), "becomes more than 134217728 bytes of texts");
        let pages = [dictionary(&vec![b'a'; long], 1), data(&run, 1 << 21, 8)];
        check(&plain(&pages, 1 << 21), "becomes more than 134217728 bytes of texts");
    }
    let runs = varint(1 << 32);
    let levels = [&(runs.len() as u32 + 1).to_le_bytes()[..], &runs, &[0]].concat();
    let nulls = file(vec![root(1), leaf(1)], &[data(&levels, MOST, 0)], MOST, 0, 1);
    check(&nulls, "becomes more than 134217728 bytes of texts");
}

#[test]
fn counts_in_pages_are_checked() {
    let pages = [dictionary(b"hello", MOST), data(&[1, 2, 0], 1, 8)];
    check(&plain(&pages, 1), "a dictionary of 2147483647 texts has 9 bytes");
    let differences = [varint(128), varint(4), varint(1 << 40), varint(10), vec![0; 200]].concat();
    for encoding in [6, 7] {
        let says = data(&differences, 1000, encoding);
        check(&plain(&[says], 1000), "a page has 1099511627776 texts of 1000 values");
    }
    check(&plain(&[data(&[1, 2, 0], 1, 8)], 1), "a dictionary that is not there");
    check(&plain(&[data(b"\xff\xff\xff\xffhello", 1, 0)], 1), "a page ends within a text");
}

#[test]
fn what_pages_become_is_checked() {
    for codec in [1, 2, 5, 6, 7] {
        let says = page(b"\x09hello", 1, 0, 5, MOST);
        let says = file(vec![root(1), leaf(0)], &[says], 1, codec, 1);
        check(&says, "becomes more than 134217728 bytes of unpacked pages");
        let says = page(b"\x09hello", 1, 0, 5, 100_000_000);
        check(&file(vec![root(1), leaf(0)], &[says], 1, codec, 1), "a page");
    }
}
