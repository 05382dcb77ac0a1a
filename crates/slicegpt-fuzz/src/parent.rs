//! The process that starts those that read, and says which inputs they did not survive.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::child::Material;
use crate::readers::Reader;

/// How many inputs, and for how long.
pub struct Effort {
    pub inputs: u64,
    pub time: Option<Duration>,
    /// How long a reader may take for one input.
    pub longest: Duration,
    pub seed: u64,
}

/// What became of the inputs of one reader.
#[derive(Default)]
pub struct Outcome {
    pub inputs: u64,
    pub accepted: u64,
    pub seconds: f64,
    /// By the number of the input: what it did.
    pub faults: BTreeMap<u64, String>,
}

/// How a process ended.
enum Ended {
    Finished,
    OutOfTime,
    At(u64, String),
}

/// Calls `reader` with `effort.inputs` inputs, or until its time is over.
pub fn fuzz(reader: &Reader, fixtures: &Path, effort: &Effort) -> Result<Outcome> {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let folder = tempfile::Builder::new().prefix("slicegpt-fuzz-").tempdir_in(place)?;
    let start = Instant::now();
    let mut outcome = Outcome::default();
    let mut first = 0;
    while first < effort.inputs {
        let log = folder.path().join("log");
        let mut child = Command::new(std::env::current_exe()?)
            .args(["read", "--reader", reader.name, "--seed", &effort.seed.to_string()])
            .args(["--first", &first.to_string(), "--end", &effort.inputs.to_string()])
            .args([Path::new("--fixtures"), fixtures, Path::new("--folder"), folder.path()])
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start a process")?;
        let ended = wait(&mut child, folder.path(), start, effort)?;
        let at = counter(&folder.path().join("number"));
        outcome.accepted += counter(&folder.path().join("accepted"));
        for line in std::fs::read_to_string(&log)?.lines() {
            if let Some((number, fault)) = line.split_once(' ')
                && let Ok(number) = number.parse()
            {
                outcome.faults.insert(number, fault.to_owned());
            }
        }
        match ended {
            Ended::Finished => first = effort.inputs,
            Ended::OutOfTime => {
                first = at;
                break;
            }
            Ended::At(number, fault) => {
                outcome.faults.insert(number, fault);
                first = number + 1;
            }
        }
    }
    outcome.inputs = first;
    outcome.seconds = start.elapsed().as_secs_f64();
    Ok(outcome)
}

fn wait(child: &mut Child, folder: &Path, start: Instant, effort: &Effort) -> Result<Ended> {
    let path = folder.join("number");
    let (mut last, mut since) = (u64::MAX, Instant::now());
    loop {
        let at = counter(&path);
        if let Some(status) = child.try_wait()? {
            let at = counter(&path);
            return Ok(if status.success() {
                Ended::Finished
            } else {
                Ended::At(at, format!("the process ended: {status}"))
            });
        }
        if at != last {
            (last, since) = (at, Instant::now());
        }
        let hangs = since.elapsed() > effort.longest;
        let over = effort.time.is_some_and(|time| start.elapsed() > time);
        if hangs || over {
            child.kill()?;
            child.wait()?;
            return Ok(if hangs {
                Ended::At(at, format!("no end after {} s", effort.longest.as_secs()))
            } else {
                Ended::OutOfTime
            });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The number in a file that another process writes.
fn counter(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Writes the input that `reader` did not survive to `folder`, and says where.
pub fn keep(
    reader: &Reader,
    fixtures: &Path,
    (seed, number): (u64, u64),
    folder: &Path,
) -> Result<PathBuf> {
    let name = reader.name.replace(' ', "-");
    let path = folder.join(format!("{name}-{seed}-{number}")).join(reader.file);
    std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
    std::fs::write(&path, Material::of(reader, fixtures)?.input(seed, number))?;
    Ok(path)
}
