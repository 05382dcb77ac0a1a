//! `tokenizer.model`, SentencePiece's protocol buffer: its pieces, their scores and types.

use std::path::Path;

use super::tokens::Kind;
use crate::error::{GgufError, Result};

/// A token, which SentencePiece calls a piece.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub text: String,
    pub score: f32,
    pub kind: Kind,
}

/// The pieces of the `tokenizer.model` of `directory`, if there is one.
pub(super) fn read(directory: &Path) -> Result<Option<Vec<Piece>>> {
    let path = directory.join("tokenizer.model");
    if !path.exists() {
        return Ok(None);
    }
    let bytes = slicegpt_limits::read(&path, slicegpt_limits::MAX_TOKENIZER);
    let bytes = bytes.map_err(GgufError::io(&path))?;
    match parse(&bytes) {
        Some(Model { pieces, is_bpe: true }) if !pieces.is_empty() => Ok(Some(pieces)),
        Some(Model { is_bpe: false, .. }) => {
            let reason = "a SentencePiece model that is not BPE; llama.cpp runs BPE for this model";
            Err(GgufError::tokenizer(path, reason))
        }
        _ => Err(GgufError::tokenizer(path, "not a SentencePiece model, or truncated")),
    }
}

struct Model {
    pieces: Vec<Piece>,
    is_bpe: bool,
}

/// A field of a message.
enum Field<'a> {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64,
    Bytes(&'a [u8]),
}

/// Reads a `ModelProto`: its pieces are field 1, the settings of its training field 2.
fn parse(bytes: &[u8]) -> Option<Model> {
    // The default type is a unigram model.
    let mut model = Model { pieces: Vec::new(), is_bpe: false };
    for field in fields(bytes) {
        match field? {
            (1, Field::Bytes(piece)) => model.pieces.push(parse_piece(piece)?),
            (2, Field::Bytes(trainer)) => {
                for field in fields(trainer) {
                    if let (3, Field::Varint(kind)) = field? {
                        model.is_bpe = kind == 2;
                    }
                }
            }
            _ => {}
        }
    }
    Some(model)
}

fn parse_piece(bytes: &[u8]) -> Option<Piece> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: Kind::Normal };
    for field in fields(bytes) {
        match field? {
            (1, Field::Bytes(text)) => piece.text = String::from_utf8(text.to_vec()).ok()?,
            (2, Field::Fixed32(score)) => piece.score = f32::from_le_bytes(score),
            (3, Field::Varint(kind)) => {
                piece.kind = match kind {
                    1 => Kind::Normal,
                    2 => Kind::Unknown,
                    3 => Kind::Control,
                    4 => Kind::UserDefined,
                    5 => Kind::Unused,
                    6 => Kind::Byte,
                    _ => return None,
                }
            }
            _ => {}
        }
    }
    Some(piece)
}

/// The fields of a message, their numbers and values; ends with `None` where the message is
/// damaged.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = Option<(u64, Field<'_>)>> {
    let mut broken = false;
    std::iter::from_fn(move || {
        if bytes.is_empty() || broken {
            return None;
        }
        let field = next(&mut bytes);
        broken = field.is_none();
        Some(field)
    })
}

fn next<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let tag = varint(bytes)?;
    let field = match tag & 7 {
        0 => Field::Varint(varint(bytes)?),
        1 => take(bytes, 8).map(|_| Field::Fixed64)?,
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Field::Bytes(take(bytes, length)?)
        }
        5 => Field::Fixed32(take(bytes, 4)?.try_into().expect("four bytes")),
        _ => return None,
    };
    Some((tag >> 3, field))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes: tag, length, contents.
    fn message(field: u8, bytes: &[u8]) -> Vec<u8> {
        [&[field << 3 | 2, bytes.len() as u8], bytes].concat()
    }

    fn model(kind: u8) -> Vec<u8> {
        let unknown = [message(1, b"<unk>"), vec![3 << 3, 2]].concat();
        let the = [message(1, "\u{2581}the".as_bytes()), vec![2 << 3 | 5, 0, 0, 0x40, 0xc0]];
        [message(1, &unknown), message(1, &the.concat()), message(2, &[3 << 3, kind])].concat()
    }

    #[test]
    fn pieces_scores_and_types_are_read() {
        let model = parse(&model(2)).unwrap();
        assert!(model.is_bpe);
        let [unknown, the] = model.pieces.as_slice() else { panic!("two pieces") };
        assert_eq!((unknown.text.as_str(), unknown.kind), ("<unk>", Kind::Unknown));
        assert_eq!((the.text.as_str(), the.kind, the.score), ("\u{2581}the", Kind::Normal, -3.0));
    }

    #[test]
    fn a_model_that_is_not_bpe_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let read = |bytes: &[u8]| {
            std::fs::write(directory.path().join("tokenizer.model"), bytes).unwrap();
            read(directory.path()).map_err(|error| error.to_string())
        };
        assert_eq!(read(&model(2)).unwrap().unwrap().len(), 2);
        assert!(read(&model(1)).unwrap_err().contains("not BPE"));
        let whole = model(2);
        for broken in [b"".as_slice(), b"not a model", &whole[..7], &whole[..whole.len() - 1]] {
            assert!(read(broken).is_err(), "{broken:?}");
        }
    }
}
