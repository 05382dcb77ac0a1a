//! The process that calls a reader: it is killed if the reader aborts, or does not return.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::mutate::mutated;
use crate::readers::Reader;
use crate::seeds::seed;

/// Address space that a reader may use, in bytes. What asks for more aborts.
const ADDRESS_SPACE: u64 = 2 << 30;

/// Which inputs a process reads.
#[derive(clap::Args, Clone, Debug)]
pub struct Inputs {
    /// Name of the reader.
    #[arg(long)]
    pub reader: String,
    /// The folder `fixtures` of the repository.
    #[arg(long, value_name = "DIR")]
    pub fixtures: PathBuf,
    /// A folder of its own.
    #[arg(long, value_name = "DIR")]
    pub folder: PathBuf,
    /// Number of the first input.
    #[arg(long, default_value_t = 0)]
    pub first: u64,
    /// Number of the input after the last one.
    #[arg(long)]
    pub end: u64,
    /// Seed of all mutations.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// What the inputs of a reader are made of.
pub struct Material {
    seeds: Vec<Vec<u8>>,
    parts: Vec<Vec<u8>>,
}

impl Material {
    /// That of `reader`.
    pub fn of(reader: &Reader, fixtures: &Path) -> Result<Self> {
        let all = |names: &[&str]| -> Result<Vec<Vec<u8>>> {
            names.iter().map(|name| seed(fixtures, name)).collect()
        };
        Ok(Self { seeds: all(reader.seeds)?, parts: all(reader.parts)? })
    }

    /// How many of the first inputs are the seeds themselves.
    pub fn seeds(&self) -> u64 {
        self.seeds.len() as u64
    }

    /// The input called `number`, of the mutations of `seed`.
    pub fn input(&self, seed: u64, number: u64) -> Vec<u8> {
        let Self { seeds, parts } = self;
        let at = number as usize % seeds.len();
        if number < self.seeds() {
            return seeds[at].clone();
        }
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number;
        let others: Vec<&[u8]> = seeds.iter().chain(parts).map(Vec::as_slice).collect();
        mutated(&seeds[at], &others, &mut ChaCha8Rng::seed_from_u64(mixed))
    }
}

/// Copies the files beside the input into `folder`.
pub fn lay_out(reader: &Reader, fixtures: &Path, folder: &Path) -> Result<()> {
    for name in reader.beside {
        let from = fixtures.join(name);
        let to = folder.join(from.file_name().unwrap_or_default());
        std::fs::copy(&from, to).with_context(|| from.display().to_string())?;
    }
    Ok(())
}

/// Reads all inputs. The number of the present one is in the file `number`, how many were accepted
/// in `accepted`; panics are lines of the standard output.
pub fn run(reader: &Reader, inputs: &Inputs) -> Result<()> {
    let Inputs { fixtures, folder, first, end, seed, .. } = inputs;
    bound_address_space();
    let material = Material::of(reader, fixtures)?;
    let files = folder.join("files");
    std::fs::create_dir_all(&files)?;
    lay_out(reader, fixtures, &files)?;
    let [number, accepted] = ["number", "accepted"].map(|name| folder.join(name));
    let (number, accepted) = (File::create(number)?, File::create(accepted)?);
    std::panic::set_hook(Box::new(|_| {}));
    let mut good = 0u64;
    for at in *first..*end {
        std::fs::write(files.join(reader.file), material.input(*seed, at))?;
        number.write_all_at(&at.to_le_bytes(), 0)?;
        match catch_unwind(AssertUnwindSafe(|| (reader.read)(&files))) {
            Ok(Ok(())) => {
                good += 1;
                accepted.write_all_at(&good.to_le_bytes(), 0)?;
            }
            Ok(Err(error)) if at < material.seeds() => {
                println!("{at} the seed is refused: {error:#}");
            }
            Ok(Err(_)) => {}
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).into()));
                let text = text.unwrap_or_default();
                println!("{at} panic: {}", text.lines().next().unwrap_or_default());
                std::io::stdout().flush()?;
            }
        }
    }
    number.write_all_at(&end.to_le_bytes(), 0)?;
    Ok(())
}

fn bound_address_space() {
    let bound = libc::rlimit { rlim_cur: ADDRESS_SPACE, rlim_max: ADDRESS_SPACE };
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both structures live for the calls, which read them only.
    unsafe {
        libc::setrlimit(libc::RLIMIT_AS, &raw const bound);
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::READERS;

    /// Every seed is accepted, and a few mutations of it do no harm.
    #[test]
    fn every_reader_accepts_its_seeds_and_survives_mutations() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
        for reader in READERS {
            let folder = tempfile::tempdir().unwrap();
            lay_out(reader, &fixtures, folder.path()).unwrap();
            let material = Material::of(reader, &fixtures).unwrap();
            let count = material.seeds();
            for number in 0..count + 50 {
                let bytes = material.input(1, number);
                std::fs::write(folder.path().join(reader.file), bytes).unwrap();
                let read = (reader.read)(folder.path());
                if number < count {
                    let name = reader.seeds[number as usize];
                    assert!(read.is_ok(), "{}: {name}: {:#}", reader.name, read.unwrap_err());
                }
            }
        }
    }
}
