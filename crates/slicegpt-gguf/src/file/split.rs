//! Files of a model that was split: `NAME-00001-of-00003.gguf`, and so on. The first has the
//! metadata, each has some of the tensors.

use std::path::{Path, PathBuf};

use super::gguf_file::GgufFile;
use crate::error::{GgufError, Result};

/// Opens `path` and, if it is part of a split model, all other parts. The first one comes first.
pub(crate) fn open(path: &Path) -> Result<Vec<GgufFile>> {
    let given = GgufFile::open(path)?;
    let count = given.count("split.count")?.unwrap_or(1);
    if count <= 1 {
        return Ok(vec![given]);
    }
    let Some(name) = PartName::of(path).filter(|name| name.count == count) else {
        return Err(given.wrong(format!(
            "one of {count} parts of a model, which must be called NAME-00001-of-{count:05}.gguf \
             and so on, in one directory"
        )));
    };
    drop(given);
    let mut parts = Vec::new();
    for number in 0..count {
        let path = name.part(number);
        if !path.exists() {
            return Err(GgufError::file(path, format!("missing: the model has {count} parts")));
        }
        let part = GgufFile::open(&path)?;
        let is = (part.count("split.no")?, part.count("split.count")?);
        if is != (Some(number), Some(count)) {
            return Err(part.wrong("not the part that its name says"));
        }
        parts.push(part);
    }
    let found: usize = parts.iter().map(|part| part.tensors().len()).sum();
    match parts[0].count("split.tensors.count")? {
        Some(claimed) if claimed != found as u64 => Err(parts[0]
            .wrong(format!("the model has {claimed} tensors, and its {count} parts hold {found}"))),
        _ => Ok(parts),
    }
}

/// The name of a part.
struct PartName<'a> {
    path: &'a Path,
    /// What is before the number.
    stem: &'a str,
    count: u64,
}

impl<'a> PartName<'a> {
    fn of(path: &'a Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
        let (rest, count) = name.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let digits = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
        (digits(number) && digits(count)).then_some(())?;
        Some(Self { path, stem, count: count.parse().ok()? })
    }

    /// The path of part `number`, from 0.
    fn part(&self, number: u64) -> PathBuf {
        let Self { path, stem, count } = self;
        path.with_file_name(format!("{stem}-{:05}-of-{count:05}.gguf", number + 1))
    }
}
