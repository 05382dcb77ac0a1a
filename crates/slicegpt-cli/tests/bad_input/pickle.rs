//! Weights in a PyTorch pickle that is corrupt or tries to run code.

use crate::sandbox::{READERS, Sandbox, check_damages};

const FILE: &str = "dense/pytorch_model.bin";

/// A pickle that runs `touch pwned` when Python loads it.
const PROGRAM: &[u8] = b"cposix\nsystem\n(S'touch pwned'\ntR.";

/// The same in the protocol of `torch.save`, as the value of a dictionary.
const PROGRAM_2: &[u8] =
    b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01cposix\nsystem\nq\x02X\x0b\x00\x00\x00\
      touch pwned\x85Rs.";

#[test]
fn a_corrupt_pickle_is_refused() {
    let write = |bytes: Vec<u8>| move |sandbox: &Sandbox| sandbox.write(FILE, &bytes);
    // xorshift, so that the noise is the same in every run.
    let mut state = 0x9E37_79B9_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    })
    .take(5000)
    .collect();
    let cut = |part: usize| {
        move |sandbox: &Sandbox| {
            let bytes = sandbox.read(FILE);
            sandbox.write(FILE, &bytes[..bytes.len() * part / 8]);
        }
    };
    let magic = |magic: &[u8]| [magic, &noise].concat();
    let says = &[FILE, "download it again"][..];
    check_damages(
        "families/opt-bin",
        READERS,
        &[
            (&write(Vec::new()), says),
            (&write(noise.clone()), says),
            (&write(magic(b"PK\x03\x04")), says),
            (&write(magic(b"\x80\x02")), says),
            (&write(magic(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.")), says),
            (&cut(0), says),
            (&cut(1), says),
            (&cut(4), says),
            (&cut(7), says),
            (&write(zip("pytorch_model/data.pkl", b"\x80\x02}.")), says),
            (&write(zip("pytorch_model/data.pkl", &noise)), says),
            (&write(zip("elsewhere", b"")), says),
        ],
    );
}

/// The check would notice the new file `pwned`.
#[test]
fn a_pickle_runs_no_code() {
    let write = |bytes: Vec<u8>| move |sandbox: &Sandbox| sandbox.write(FILE, &bytes);
    let says = &[FILE, "posix.system", "nothing was run"][..];
    check_damages(
        "families/opt-bin",
        READERS,
        &[
            (&write(PROGRAM.into()), says),
            (&write(PROGRAM_2.into()), says),
            (&write(zip("pytorch_model/data.pkl", PROGRAM)), says),
            (&write(zip("pytorch_model/data.pkl", PROGRAM_2)), says),
        ],
    );
}

/// A zip archive of one stored file.
fn zip(name: &str, contents: &[u8]) -> Vec<u8> {
    let size = (contents.len() as u32).to_le_bytes();
    let crc = crc32(contents).to_le_bytes();
    let name_length = (name.len() as u16).to_le_bytes();
    // Version, flags, method, time and date, then the checksum and the sizes.
    let shared =
        [&[10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..], &crc, &size, &size, &name_length].concat();
    let mut bytes = [b"PK\x03\x04", &shared[..], &[0, 0], name.as_bytes(), contents].concat();
    let directory = (bytes.len() as u32).to_le_bytes();
    let entry = [b"PK\x01\x02\x0a\0", &shared[..], &[0; 16], name.as_bytes()].concat();
    bytes.extend(&entry);
    let length = (entry.len() as u32).to_le_bytes();
    bytes.extend(
        [b"PK\x05\x06", &[0, 0, 0, 0, 1, 0, 1, 0][..], &length, &directory, &[0, 0]].concat(),
    );
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
