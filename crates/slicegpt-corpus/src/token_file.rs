//! [`token_file`]: samples that were tokenised elsewhere, in a safetensors file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::Samples;
use crate::error::{CorpusError, Result, list};

/// Maximum length of a header, in bytes, as the format defines it.
const MAX_HEADER: u64 = 100_000_000;

/// Whether `spec` has the form `FILE.safetensors` or `FILE.safetensors:TENSOR`. The file is not
/// opened.
pub fn is_token_file(spec: &str) -> bool {
    split(spec).is_some()
}

/// Reads token ids, and their padding mask if there is one, from `FILE.safetensors[:TENSOR]`.
///
/// The tensor, by default `input_ids`, holds integers of any type, `[samples, tokens]`, or
/// `[tokens]` for one sample. The mask of `input_ids` is `attention_mask`, that of `cal_input_ids`
/// is `cal_attention_mask`, and so on; it has the same shape and is 0 at padding. A mask without
/// padding is ignored.
///
/// # Errors
///
/// If the file or a tensor does not have this form, an id is negative or does not fit into 32 bits,
/// or a sample consists of padding only.
pub fn token_file(spec: &str) -> Result<Samples> {
    let (path, name) = split(spec).ok_or_else(|| CorpusError::NotTokenFile(spec.into()))?;
    let name = name.unwrap_or("input_ids");
    let mut file = TokenFile::open(path)?;
    let shape = file.info(name)?.shape.clone();
    let seqlen = match shape[..] {
        [tokens] if tokens > 0 => tokens,
        [samples, tokens] if samples > 0 && tokens > 0 => tokens,
        _ => {
            let (path, name) = (file.path, name.into());
            return Err(CorpusError::TensorShape { path, name, found: shape });
        }
    };
    let ids = file.integers(name, |index, id| {
        u32::try_from(id).map_err(|_| CorpusError::TokenId {
            path: path.into(),
            name: name.into(),
            id,
            row: index / seqlen,
            column: index % seqlen,
        })
    })?;
    let mask = match name.strip_suffix("input_ids") {
        Some(prefix) => file.mask(&format!("{prefix}attention_mask"), name, &shape, seqlen)?,
        None => None,
    };
    Ok(Samples::new(ids, mask, seqlen))
}

/// File and tensor, if `spec` names a token file. The colon after a drive letter is not a
/// separator.
fn split(spec: &str) -> Option<(&Path, Option<&str>)> {
    if spec.ends_with(".safetensors") {
        return Some((Path::new(spec), None));
    }
    let (file, tensor) = spec.rsplit_once(':')?;
    file.ends_with(".safetensors").then(|| (Path::new(file), Some(tensor)))
}

/// A safetensors file. Only its header and the requested tensors are read.
struct TokenFile {
    path: PathBuf,
    file: File,
    header: Metadata,
    /// Offset of the tensors, in bytes.
    data: u64,
}

impl TokenFile {
    fn open(path: &Path) -> Result<Self> {
        let corrupt = |reason: String| CorpusError::Corrupt { path: path.into(), reason };
        let mut file = slicegpt_limits::open(path).map_err(CorpusError::io(path))?;
        let size = file.metadata().map_err(CorpusError::io(path))?.len();
        if size < 8 {
            return Err(corrupt(format!("is {size} bytes long")));
        }
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(CorpusError::io(path))?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER.min(size - 8) {
            return Err(corrupt(format!("says its header is {length} bytes long")));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(CorpusError::io(path))?;
        let header: Metadata =
            serde_json::from_slice(&header).map_err(|error| corrupt(error.to_string()))?;
        let (data, tensors) = (8 + length, header.data_len() as u64);
        if size - data != tensors {
            let found = size - data;
            return Err(corrupt(format!(
                "holds {found} bytes of tensors, its header says {tensors}"
            )));
        }
        Ok(Self { path: path.into(), file, header, data })
    }

    fn info(&self, name: &str) -> Result<&TensorInfo> {
        self.header.info(name).ok_or_else(|| CorpusError::MissingTensor {
            path: self.path.clone(),
            name: name.into(),
            found: list(self.header.offset_keys()),
        })
    }

    /// The integers of tensor `name`, each passed to `convert` with its index.
    fn integers<T>(
        &mut self,
        name: &str,
        convert: impl Fn(usize, i128) -> Result<T>,
    ) -> Result<Vec<T>> {
        let info = self.info(name)?;
        let decode: fn(&[u8]) -> i128 = match info.dtype {
            Dtype::BOOL | Dtype::U8 => |b| b[0].into(),
            Dtype::I8 => |b| i8::from_le_bytes([b[0]]).into(),
            Dtype::U16 => |b| u16::from_le_bytes([b[0], b[1]]).into(),
            Dtype::I16 => |b| i16::from_le_bytes([b[0], b[1]]).into(),
            Dtype::U32 => |b| u32::from_le_bytes(b.try_into().expect("four bytes")).into(),
            Dtype::I32 => |b| i32::from_le_bytes(b.try_into().expect("four bytes")).into(),
            Dtype::U64 => |b| u64::from_le_bytes(b.try_into().expect("eight bytes")).into(),
            Dtype::I64 => |b| i64::from_le_bytes(b.try_into().expect("eight bytes")).into(),
            other => {
                let found = format!("{other:?}");
                let (path, name) = (self.path.clone(), name.into());
                return Err(CorpusError::TensorType { path, name, found });
            }
        };
        let (width, (start, end)) = (info.dtype.bitsize() / 8, info.data_offsets);
        // `open` checked the header against the size of the file: the bytes exist.
        let mut bytes = vec![0; end - start];
        self.file
            .seek(SeekFrom::Start(self.data + start as u64))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(CorpusError::io(&self.path))?;
        bytes
            .chunks_exact(width)
            .map(decode)
            .enumerate()
            .map(|(index, x)| convert(index, x))
            .collect()
    }

    /// The mask of tensor `name`, if it exists and masks any padding.
    fn mask(
        &mut self,
        mask: &str,
        name: &str,
        shape: &[usize],
        seqlen: usize,
    ) -> Result<Option<Vec<bool>>> {
        let Some(info) = self.header.info(mask) else { return Ok(None) };
        if info.shape != shape {
            return Err(CorpusError::MaskShape {
                path: self.path.clone(),
                name: name.into(),
                mask: mask.into(),
                found: info.shape.clone(),
                ids: shape.to_vec(),
            });
        }
        let kept = self.integers(mask, |_, kept| Ok(kept != 0))?;
        if let Some(row) = kept.chunks(seqlen).position(|row| !row.contains(&true)) {
            let (path, mask) = (self.path.clone(), mask.into());
            return Err(CorpusError::FullyMasked { path, mask, row });
        }
        Ok(kept.contains(&false).then_some(kept))
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::*;

    type Tensor<'a> = (&'a str, Dtype, &'a [usize], Vec<u8>);

    fn bytes<const N: usize, T: Copy>(values: &[T], encode: fn(T) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|value| encode(*value)).collect()
    }

    fn read(tensors: &[Tensor<'_>], tensor: &str) -> Result<Samples> {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            (*name, TensorView::new(*dtype, shape.to_vec(), bytes).unwrap())
        });
        read_bytes(&safetensors::serialize(views, None).unwrap(), tensor)
    }

    fn read_bytes(bytes: &[u8], tensor: &str) -> Result<Samples> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.safetensors");
        std::fs::write(&path, bytes).unwrap();
        token_file(&format!("{}{tensor}", path.display()))
    }

    #[test]
    fn a_spec_names_file_and_tensor() {
        let check = |spec, expected: Option<(&str, Option<&str>)>| {
            assert_eq!(split(spec), expected.map(|(file, tensor)| (Path::new(file), tensor)));
            assert_eq!(is_token_file(spec), expected.is_some());
        };
        check("a.safetensors", Some(("a.safetensors", None)));
        check("a.safetensors:b", Some(("a.safetensors", Some("b"))));
        check(r"C:\a.safetensors", Some((r"C:\a.safetensors", None)));
        check(r"C:\a.safetensors:b", Some((r"C:\a.safetensors", Some("b"))));
        check("a.txt", None);
        check("a:b.txt", None);
        check("a.safetensors.txt:b", None);
    }

    #[test]
    fn integers_of_any_type_are_accepted() {
        let expected = Samples::new(vec![1, 2, 3, 4, 5, 100], None, 3);
        for (dtype, bytes) in [
            (Dtype::U8, bytes(&[1, 2, 3, 4, 5, 100], u8::to_le_bytes)),
            (Dtype::I8, bytes(&[1, 2, 3, 4, 5, 100], i8::to_le_bytes)),
            (Dtype::U16, bytes(&[1, 2, 3, 4, 5, 100], u16::to_le_bytes)),
            (Dtype::I16, bytes(&[1, 2, 3, 4, 5, 100], i16::to_le_bytes)),
            (Dtype::U32, bytes(&[1, 2, 3, 4, 5, 100], u32::to_le_bytes)),
            (Dtype::I32, bytes(&[1, 2, 3, 4, 5, 100], i32::to_le_bytes)),
            (Dtype::U64, bytes(&[1, 2, 3, 4, 5, 100], u64::to_le_bytes)),
            (Dtype::I64, bytes(&[1, 2, 3, 4, 5, 100], i64::to_le_bytes)),
        ] {
            let tensors = [("input_ids", dtype, &[2, 3][..], bytes)];
            assert_eq!(read(&tensors, "").unwrap(), expected, "{dtype:?}");
            let [(_, dtype, _, bytes)] = tensors;
            let one = read(&[("a", dtype, &[6], bytes)], ":a").unwrap();
            assert_eq!(one, Samples::new(vec![1, 2, 3, 4, 5, 100], None, 6), "{dtype:?}");
        }
    }

    #[test]
    fn a_mask_belongs_to_the_ids_with_its_prefix() {
        let ids = |name| (name, Dtype::U8, &[2, 2][..], vec![7, 8, 9, 0]);
        let mask = |name, last| (name, Dtype::BOOL, &[2, 2][..], vec![1, 1, 1, last]);
        let padded = Samples::new(vec![7, 8, 9, 0], Some(vec![true, true, true, false]), 2);
        let whole = Samples::new(vec![7, 8, 9, 0], None, 2);
        for (tensors, tensor, expected) in [
            ([ids("input_ids"), mask("attention_mask", 0)], "", &padded),
            ([ids("input_ids"), mask("attention_mask", 1)], "", &whole),
            ([ids("cal_input_ids"), mask("cal_attention_mask", 0)], ":cal_input_ids", &padded),
            ([ids("cal_input_ids"), mask("attention_mask", 0)], ":cal_input_ids", &whole),
            ([ids("tokens"), mask("attention_mask", 0)], ":tokens", &whole),
        ] {
            assert_eq!(&read(&tensors, tensor).unwrap(), expected, "{tensor}");
        }
    }

    #[test]
    fn errors_name_file_and_cause() {
        let check = |tensors: &[Tensor<'_>], tensor, expected: &str| {
            let error = read(tensors, tensor).unwrap_err().to_string();
            assert!(error.contains(&format!("t.safetensors: {expected}")), "{error}");
        };
        let ids = || ("input_ids", Dtype::U8, &[2, 2][..], vec![1, 2, 3, 4]);
        let integers = |values: &[i64]| bytes(values, i64::to_le_bytes);
        let bad = |values| [("input_ids", Dtype::I64, &[2, 2][..], integers(values))];
        check(&[ids()], ":x", "has no tensor `x`; it has `input_ids`");
        check(&[ids()], ":", "has no tensor ``");
        check(&[], "", "has no tensor `input_ids`; it has none");
        check(
            &bad(&[0, 1, -1, 3]),
            "",
            "tensor `input_ids`: -1 is not a token id (sample 1, position 0",
        );
        check(&bad(&[0, 1, 2, 1 << 32]), "", "tensor `input_ids`: 4294967296 is not a token id");
        check(&[("input_ids", Dtype::F32, &[1, 1], vec![0; 4])], "", "tensor `input_ids` is F32;");
        check(&[("input_ids", Dtype::U8, &[], vec![1])], "", "tensor `input_ids` has shape [];");
        for shape in [[2, 1, 2], [1, 4, 0]] {
            let bytes = vec![1; shape.iter().product()];
            check(&[("input_ids", Dtype::U8, &shape, bytes)], "", "tensor `input_ids` has shape [");
        }
        for shape in [[0, 2], [2, 0]] {
            let expected = format!("tensor `input_ids` has shape {shape:?}");
            check(&[("input_ids", Dtype::U8, &shape, vec![])], "", &expected);
        }
        let mask = |shape, bytes| [ids(), ("attention_mask", Dtype::U8, shape, bytes)];
        let expected = "mask `attention_mask` has shape [4], but `input_ids` has [2, 2]";
        check(&mask(&[4], vec![1; 4]), "", expected);
        let expected = "mask `attention_mask`: sample 1 (from 0) is padding only";
        check(&mask(&[2, 2], vec![1, 1, 0, 0]), "", expected);
        let floats = [ids(), ("attention_mask", Dtype::F16, &[2, 2][..], vec![0; 8])];
        check(&floats, "", "tensor `attention_mask` is F16;");
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        for bytes in [
            &b""[..],
            b"short",
            &[255; 16],
            b"\x02\0\0\0\0\0\0\0{}more",
            b"\x02\0\0\0\0\0\0\0{",
            b"\x02\0\0\0\0\0\0\0[]",
        ] {
            let error = read_bytes(bytes, "").unwrap_err().to_string();
            assert!(error.contains("or not a safetensors file"), "{error}");
        }
        assert!(matches!(token_file("no.safetensors"), Err(CorpusError::Io { .. })));
        assert!(matches!(token_file("tokens.bin"), Err(CorpusError::NotTokenFile(_))));
    }
}
