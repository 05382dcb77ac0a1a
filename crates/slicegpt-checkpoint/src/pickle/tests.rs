//! Pickles that are refused, and those that are not.

use std::io::Write;

use super::*;

/// What a file of these bytes is refused for.
fn refused(bytes: &[u8]) -> Option<String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    refuse_programs(file.path()).err().map(|error| error.to_string())
}

fn says(bytes: &[u8], part: &str) {
    let found = refused(bytes).unwrap_or_else(|| panic!("{part} is not seen"));
    assert!(found.contains(part), "{part}: {found}");
}

/// The pickle of `parts`, made into a state dictionary.
fn pickle(parts: &[u8]) -> Vec<u8> {
    [b"\x80\x02}", parts, b"."].concat()
}

/// A tensor called `a` in protocol 2.
const TENSOR: &[u8] = b"X\x01\x00\x00\x00aq\x02ctorch._utils\n_rebuild_tensor_v2\nq\x03\
      ((X\x07\x00\x00\x00storageq\x04ctorch\nHalfStorage\nq\x05X\x01\x00\x00\x000q\x06tq\x07QK\x00\
      tRs";

const CALL: &[u8] = b"cposix\nsystem\n0";

/// An archive of `entries`, with `packed` as their compression and sizes.
struct Archive {
    body: Vec<u8>,
    directory: Vec<u8>,
    count: u16,
}

impl Archive {
    fn new() -> Self {
        Self { body: Vec::new(), directory: Vec::new(), count: 0 }
    }

    fn add(mut self, name: &str, contents: &[u8]) -> Self {
        let start = self.body.len();
        let fields = fields(name, 0, contents.len(), contents.len());
        self.body = [&self.body, &b"PK\x03\x04"[..], &fields, name.as_bytes(), contents].concat();
        self.list(name, &fields, start)
    }

    /// Lists what is at `start` in the directory.
    fn list(mut self, name: &str, fields: &[u8], start: usize) -> Self {
        self.directory.extend(b"PK\x01\x02\x14\x00");
        self.directory.extend(fields);
        self.directory.extend([0; 10]);
        self.directory.extend((start as u32).to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.count += 1;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        self.ending_with(&self.body, &self.directory)
    }

    fn ending_with(&self, body: &[u8], directory: &[u8]) -> Vec<u8> {
        let count = self.count.to_le_bytes();
        let [size, start] = [directory, body].map(|part| (part.len() as u32).to_le_bytes());
        let end = [b"PK\x05\x06\0\0\0\0", &count[..], &count, &size, &start, &[0, 0]].concat();
        [body, directory, &end].concat()
    }
}

/// Fields that an entry and its place in the directory have in common, from the version on.
fn fields(name: &str, method: u8, packed: usize, size: usize) -> Vec<u8> {
    let mut fields = vec![20, 0, 0, 0, method, 0, 0, 0, 0x21, 0, 0, 0, 0, 0];
    fields.extend((packed as u32).to_le_bytes());
    fields.extend((size as u32).to_le_bytes());
    fields.extend((name.len() as u16).to_le_bytes());
    fields.extend([0, 0]);
    fields
}

/// The format before PyTorch 1.6, with this object and these names of storages.
fn sequence(object: &[u8], names: &[u8]) -> Vec<u8> {
    let header = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";
    let machine = pickle(b"X\x0d\x00\x00\x00little_endian\x88s");
    [&header[..], &machine, object, names].concat()
}

#[test]
fn constructors_of_tensors_pass() {
    let state = pickle(TENSOR);
    assert_eq!(refused(&sequence(&state, b"\x80\x02](X\x01\x00\x00\x000e.")), None);
    assert_eq!(refused(&Archive::new().add("x/data.pkl", &state).bytes()), None);
    // Protocol 4: strings, then a name made of them, one of them from the memo.
    let state = b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00\x8c\x05torch\x94\
                  \x8c\x0cFloatStorage\x94\x93\x94h\x00\x8c\x07float16\x93.";
    assert_eq!(refused(&Archive::new().add("x/data.pkl", state).bytes()), None);
}

#[test]
fn names_of_code_are_found() {
    for (bytes, name) in [
        (&b"cposix\nsystem\n(S'touch pwned'\ntR."[..], "posix.system"),
        (b"\x80\x02ctorch\nload\n.", "torch.load"),
        (b"\x80\x02cbuiltins\neval\n0}.", "builtins.eval"),
        // Two harmless strings are popped again, or replaced by a tuple from the memo.
        (
            b"\x80\x04\x8c\x02os\x8c\x06system\x8c\x0bcollections\x8c\x0bOrderedDict00\x93.",
            "os.sys",
        ),
        (b"\x80\x04\x8c\x0bcollections)q\x01h\x01\x93.", "a name that it computes"),
        (b"\x80\x04\x8c\x02os\x94\x8c\x06system\x93.", "os.system"),
        // The name is in the memo, followed by harmless strings.
        (b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x8c\x01ah\x00h\x01\x93.", "os.system"),
        // After a harmless pickle.
        (b"\x80\x02K\x01.\x80\x02csubprocess\nPopen\n.", "subprocess.Popen"),
        (b"\x80\x02\x82\x01.", "extension"),
        (b"(ios\nsystem\n.", "os.system"),
    ] {
        says(bytes, name);
    }
    says(&Archive::new().add("x/data.pkl", b"(ios\nsystem\n.").bytes(), "os.system");
    // The fifth pickle is the last before the numbers.
    says(&sequence(&pickle(TENSOR), &pickle(CALL)), "posix.system");
}

/// Python takes the number of entries of the memo, whatever their places: here 2 and 3 are
/// `posix` and `system`, not `collections` and `OrderedDict`.
#[test]
fn the_memo_is_numbered_as_python_does() {
    let hidden = b"\x80\x04\x8c\x01aq\x0a0\x8c\x0bcollectionsq\x020\x8c\x05posix\x940\
                   \x8c\x0bOrderedDictq\x030\x8c\x06system\x940h\x02h\x03\x93.";
    says(&Archive::new().add("x/data.pkl", hidden).bytes(), "posix.system");
}

#[test]
fn archives_that_readers_disagree_on_are_refused() {
    let (good, bad) = (pickle(TENSOR), pickle(&[CALL, TENSOR].concat()));
    let twice = Archive::new().add("x/data.pkl", &good).add("x/data.pkl", &good);
    says(&twice.bytes(), "two entries of one name");
    for two in [[&bad, &good], [&good, &bad]] {
        for names in [["x/data.pkl", "x/data.pkl"], ["x/DATA.PKL", "x/data.pkl"]] {
            let [one, other] = [0, 1].map(|at| (names[at], two[at]));
            let archive = Archive::new().add(one.0, one.1).add(other.0, other.1);
            says(&archive.bytes(), "posix.system");
        }
    }
    let case = Archive::new().add("x/DATA.PKL", &good).add("x/data.pkl", &good);
    says(&case.bytes(), "two entries x/data.pkl");
    let case = Archive::new().add("x/DATA.PKL", &bad).add("y/data.pkl", &good);
    says(&case.bytes(), "posix.system");

    let packed = fields("x/data/0", 8, 4, 1 << 30);
    let mut archive = Archive::new().add("x/data.pkl", &good);
    let start = archive.body.len();
    archive.body = [&archive.body, &b"PK\x03\x04"[..], &packed, b"x/data/0", &[0; 4]].concat();
    says(&archive.list("x/data/0", &packed, start).bytes(), "x/data/0 is compressed");

    let mut archive = Archive::new().add("x/data.pkl", &good);
    for number in 0..9 {
        let name = format!("x/{number:04}.pkl");
        let fields = fields(&name, 0, good.len(), good.len());
        archive = archive.list(&name, &fields, 0);
    }
    says(&archive.bytes(), "entries overlap");

    // A directory for readers of small archives, and one for those of large archives.
    let one = Archive::new().add("x/data.pkl", &good);
    let [start, at] = [one.body.len(), one.body.len() + one.directory.len()];
    let numbers = [1, at - start + 1, start - 1].map(|number| (number as u64).to_le_bytes());
    let large = [&b"PK\x06\x06"[..], &[0; 28], &numbers.concat()].concat();
    let locator = [&b"PK\x06\x07\0\0\0\0"[..], &(at as u64).to_le_bytes(), &[1, 0, 0, 0]].concat();
    let bytes = one.bytes();
    says(&[&bytes[..at], &large, &locator, &bytes[at..]].concat(), "two directories");
    let mut comment = one.bytes();
    let length = comment.len();
    comment[length - 2] = 22;
    says(&[comment, one.bytes()[length - 22..].to_vec()].concat(), "directory is not at its end");
    says(&one.bytes()[..length - 30], "does not end as an archive");
}

#[test]
fn tar_archives_are_refused() {
    let mut header = vec![0; 1024];
    header[..8].copy_from_slice(b"\x80\x02}.\x80\x02}.");
    header[257..262].copy_from_slice(b"ustar");
    says(&header, "tar archive");
    // Without the name of the format, by the sum alone.
    header[257..262].fill(0);
    let sum = 2 * (0x80 + 2 + u32::from(b'}') + u32::from(b'.')) + 8 * 32;
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    says(&header, "tar archive");
}

/// Each of them makes the reader hold gigabytes.
#[test]
fn pickles_of_too_many_objects_are_refused() {
    let many = |start: &[u8], unit: &[u8], count: usize| {
        let bytes = [b"\x80\x04", start, &unit.repeat(count), b"."].concat();
        says(&Archive::new().add("x/data.pkl", &bytes).bytes(), "bytes of objects");
    };
    many(b"", b"N", 2_000_000);
    many(b"", b"]", 2_000_000);
    many(b"", b"N0", 2_000_000);
    many(b"", b"U\0", 2_000_000);
    many(b"U\x01a", b"\x94", 1_500_000);
    many(b"U\x01aq\0", b"h\0", 1_500_000);
    // One long text, copied: as a value, and as a key.
    let text = [b"X\0\0\x10\0", "a".repeat(1 << 20).as_bytes()].concat();
    many(&text, b"2", 300);
    many(&[b"}", &text[..], b"Ns"].concat(), b"2", 300);
    // One long key before the names of many tensors.
    let mut tensors = vec![b'('];
    for number in 0..1000 {
        tensors.extend(format!("X\x04\0\0\0{number:04}").bytes());
        tensors.extend(b"ctorch\nSize\n(tQ");
    }
    let nested = [b"}", &text[..], b"}", &tensors, b"us"].concat();
    many(&nested, b"", 0);
    let names = [&b"}X\x01\0\0\0a}"[..], &tensors, b"us"].concat();
    let names = [b"\x80\x02", &names[..], b"."].concat();
    assert_eq!(refused(&Archive::new().add("x/data.pkl", &names).bytes()), None);
    let line = [b"c", &b"a".repeat(5000)[..], b"\na\n"].concat();
    says(&[b"\x80\x02", &line[..], b"."].concat(), "a line of more than 4096 bytes");
}

#[test]
fn anything_but_a_pickle_is_refused() {
    for bytes in [&b""[..], b"\xff", b"X\x09\0\0\0", b"cposix", b"0", b"h\0", b"(R", b"\x97"] {
        says(bytes, "truncated or corrupt");
    }
    says(b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff", "bytes of objects");
}
