//! [`Snapshot::outline`]: a model without the values of its weights, from the headers of its files.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::error::{HubError, Result};
use crate::header::read_header;
use crate::listing::{Need, Needed, shards};
use crate::observer::DownloadObserver;
use crate::snapshot::{Origin, Snapshot};

impl Snapshot {
    /// Writes to `folder` the config and the index of the model and, for each file of weights, a
    /// file of the same length that holds its header and no values. Headers are kept in the cache,
    /// so that this works without the Hub later.
    ///
    /// Returns false and writes nothing where this saves nothing, because the weights are in the
    /// cache or are not safetensors.
    ///
    /// # Errors
    ///
    /// As [`directory`](Snapshot::directory), or if `folder` cannot be written.
    pub fn outline(&self, folder: &Path, observer: &mut dyn DownloadObserver) -> Result<bool> {
        let directory = self.directory(Need::Config, observer)?;
        let listed = match &self.origin {
            Origin::Hub { files, .. } => files.clone(),
            Origin::Nowhere(_) => [self.cached()?, self.cache.headers(&self.commit)].concat(),
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
                // The rest is a hole, which takes no space on disk.
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

    /// The length of a file of weights, and its header.
    fn header(&self, name: &str, observer: &mut dyn DownloadObserver) -> Result<(u64, Vec<u8>)> {
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
                (size, read_header(file).map_err(HubError::io(&here))?)
            }
            (Err(_), Some(download)) => download.header(name, observer)?,
            (Err(_), None) => return Err(self.without(vec![name.into()], &[])),
        };
        self.cache.keep(&kept, &[&size.to_le_bytes()[..], &header].concat())?;
        Ok((size, header))
    }
}
