//! [`Spill`]: calibration signals in a temporary file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use burn::tensor::{DType, TensorData};
use slicegpt_slice::Shelf;

/// A shelf in an unnamed temporary file, which disappears with the process.
pub struct Spill {
    file: File,
    places: Vec<Option<Place>>,
    end: u64,
}

/// Position, shape and type of a signal in the file.
#[derive(Clone)]
struct Place {
    offset: u64,
    bytes: usize,
    shape: Vec<usize>,
    dtype: DType,
}

impl Spill {
    /// Creates the file in `directory`.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile_in(directory)?;
        Ok(Self { file, places: Vec::new(), end: 0 })
    }
}

impl Shelf for Spill {
    fn put(&mut self, number: usize, data: TensorData) -> io::Result<()> {
        let bytes = data.as_bytes();
        if self.places.len() <= number {
            self.places.resize(number + 1, None);
        }
        let offset = match &self.places[number] {
            Some(place) if place.bytes >= bytes.len() => place.offset,
            _ => {
                let offset = self.end;
                self.end += bytes.len() as u64;
                offset
            }
        };
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(bytes)?;
        let shape = data.shape().to_vec();
        self.places[number] =
            Some(Place { offset, bytes: bytes.len(), shape, dtype: data.dtype() });
        Ok(())
    }

    fn take(&mut self, number: usize) -> io::Result<TensorData> {
        let place = self.places.get(number).and_then(Option::as_ref);
        let place = place.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let mut bytes = vec![0; place.bytes];
        self.file.seek(SeekFrom::Start(place.offset))?;
        self.file.read_exact(&mut bytes)?;
        Ok(TensorData::from_bytes_vec(bytes, place.shape.clone(), place.dtype))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_last_is_taken() {
        let mut spill = Spill::new(&std::env::temp_dir()).unwrap();
        let data = |start: f32| TensorData::new(vec![start, start + 1.0], [1, 2]);
        spill.put(1, data(5.0)).unwrap();
        spill.put(0, data(1.0)).unwrap();
        spill.put(1, data(7.0)).unwrap();
        for (number, start) in [(0, 1.0), (1, 7.0), (1, 7.0)] {
            assert_eq!(spill.take(number).unwrap(), data(start));
        }
        assert_eq!(spill.end, 16);
        assert!(spill.take(2).is_err());
    }
}
