//! What a model says of itself without its weights: the headers of safetensors files.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::error::{HubError, Result};
use crate::listing::{Need, Needed, shards};
use crate::observer::Observer;
use crate::snapshot::{Origin, Snapshot};

/// A longer header is none, to the safetensors library too.
const LONGEST: u64 = 100_000_000;

impl Snapshot {
    /// Makes `folder` describe the model as its directory would: its config and its index, and in place
    /// of each file of weights one of the same length, which holds its header and no value. Headers are
    /// kept beside the snapshot, for a time without the Hub.
    ///
    /// Nothing is written, and the answer is no, where that saves nothing: the weights are there, or no
    /// safetensors.
    ///
    /// # Errors
    ///
    /// As [`directory`](Snapshot::directory), or if `folder` cannot be written.
    pub fn outline(&self, folder: &Path, observer: &mut dyn Observer) -> Result<bool> {
        let directory = self.directory(Need::Config, observer)?;
        let listed = match &self.origin {
            Origin::Hub { files, .. } => files.clone(),
            Origin::Nowhere(_) => [self.there()?, self.cache.headers(&self.commit)].concat(),
        };
        let needed = Needed::of(&listed, Need::Model(|_| false));
        let Needed { mut files, index } =
            needed.map_err(|missing| self.without(missing, &listed))?;
        let weights = match &index {
            Some(index) => {
                if let Some(download) = self.download() {
                    download.file(index, observer)?;
                }
                shards(&directory.join(index))?
            }
            None => files.pop().into_iter().collect(),
        };
        let is_there = |name: &String| directory.join(name).is_file();
        if weights.iter().all(is_there)
            || !weights.iter().all(|name| name.ends_with(".safetensors"))
        {
            return Ok(false);
        }
        for name in &weights {
            let (size, header) = self.header(name, observer)?;
            let path = folder.join(name);
            let written = File::create(&path).and_then(|mut file| {
                file.write_all(&header)?;
                // The rest takes no room.
                file.set_len(size)
            });
            written.map_err(HubError::io(&path))?;
        }
        for name in &files {
            let path = folder.join(name);
            fs::copy(directory.join(name), &path).map_err(HubError::io(&path))?;
        }
        Ok(true)
    }

    /// The length of a file of weights, and how it begins.
    fn header(&self, name: &str, observer: &mut dyn Observer) -> Result<(u64, Vec<u8>)> {
        let kept = self.cache.header(&self.commit, name);
        if let Ok(bytes) = fs::read(&kept)
            && let Some((size, header)) = bytes.split_first_chunk()
        {
            return Ok((u64::from_le_bytes(*size), header.to_vec()));
        }
        let here = self.cache.snapshot(&self.commit).join(name);
        let (size, header) = match (File::open(&here), self.download()) {
            (Ok(file), _) => {
                let size = file.metadata().map_err(HubError::io(&here))?.len();
                (size, beginning(file).map_err(HubError::io(&here))?)
            }
            (Err(_), Some(download)) => download.header(name, observer)?,
            (Err(_), None) => return Err(self.without(vec![name.into()], &[])),
        };
        self.cache.keep(&kept, &[&size.to_le_bytes()[..], &header].concat())?;
        Ok((size, header))
    }
}

/// The header of a safetensors file, with its length before it; of another file, as much of it as tells.
pub(crate) fn beginning(mut reader: impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    reader.read_exact(&mut length)?;
    let mut header = length.to_vec();
    let length = u64::from_le_bytes(length);
    if length <= LONGEST {
        let read = reader.take(length).read_to_end(&mut header)?;
        if (read as u64) < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(header)
}
