//! [`Context`]: the inputs of a stage. It does not know what the stages do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{Deadline, Log, Program};

/// The inputs of a stage.
pub struct Context {
    /// The binary `slicegpt`.
    pub program: Program,
    /// The device under test, as options name it.
    pub device: String,
    /// The folder with `families`, `models` and `text`.
    pub fixtures: PathBuf,
    /// A folder for files that stages write and later stages read.
    pub scratch: PathBuf,
    /// The time by which the stage must end.
    pub deadline: Deadline,
}

/// The device under test, as `slicegpt devices` describes it.
#[derive(Clone, Debug, Default)]
pub struct Tested {
    /// Its model, as it reports it.
    pub model: String,
    /// Its memory, where it is known.
    pub memory_bytes: Option<u64>,
    /// Whether it is a software rasteriser.
    pub software: bool,
    /// Its entry in the list of devices.
    pub listed: Value,
}

impl Context {
    /// Describes the device under test.
    pub fn tested(&self) -> Result<Tested> {
        let listed = self.program.devices(self.deadline.left())?;
        let all = listed["backends"].as_array().into_iter().flatten();
        let mut all = all.flat_map(|backend| backend["devices"].as_array().into_iter().flatten());
        let info = all.find(|info| info["name"] == self.device.as_str());
        let info = info.with_context(|| format!("no device {} is listed", self.device))?.clone();
        Ok(Tested {
            model: info["model"].as_str().unwrap_or_default().to_owned(),
            memory_bytes: info["memory_bytes"].as_u64(),
            software: info["software"] == true || self.device.starts_with("cpu"),
            listed: info,
        })
    }

    /// Opens the device under test in this process.
    pub fn open(&self) -> Result<slicegpt_device::OpenDevice> {
        Ok(slicegpt_device::open(self.device.parse()?)?)
    }

    /// The folders in `fixtures/KIND` that hold `file`, in order.
    pub fn cases(&self, kind: &str, file: &str) -> Result<Vec<PathBuf>> {
        let folder = self.fixtures.join(kind);
        let entries = folder
            .read_dir()
            .with_context(|| format!("cannot list {}: use --fixtures", folder.display()))?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut cases: Vec<PathBuf> = paths.filter(|path| path.join(file).is_file()).collect();
        cases.sort();
        Ok(cases)
    }

    /// Writes that a program failed or, if the stage has no time left, that it was skipped.
    /// Programs get all of a stage's time but the last second.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn unfinished(&self, log: &mut Log<'_>, name: &str, reason: String) -> Result<()> {
        if self.deadline.is_short_of(2 * A_SECOND) {
            log.skipped(name, reason)
        } else {
            log.failed(name, reason)
        }
    }

    /// The text that the stages calibrate and score on.
    pub fn text(&self) -> PathBuf {
        self.fixtures.join("text/valid.txt")
    }
}

impl Tested {
    /// Whether it computes in `dtype`, such as `float16`.
    pub fn computes_in(&self, dtype: &str) -> bool {
        self.listed[dtype] == true
    }
}

/// The result of `work`, or its error or panic as a message: one failure must not end a stage.
pub fn attempt<T>(work: impl FnOnce() -> Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| format!("{error:#}")),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(format!("panicked: {}", text.unwrap_or_default()))
        }
    }
}

/// Free bytes of the file system of `path`, if the system reports them.
pub fn free_disk(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let path = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
        // SAFETY: the struct consists of numbers, for which zero is valid, and what both pointers
        // point to lives until the call returns.
        let (status, found) = unsafe {
            let mut found: libc::statvfs = std::mem::zeroed();
            (libc::statvfs(path.as_ptr(), &raw mut found), found)
        };
        // The types of these fields differ from system to system.
        #[allow(clippy::unnecessary_cast)]
        let [blocks, size] = [found.f_bavail as u64, found.f_frsize as u64];
        (status == 0).then(|| blocks * size)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// One second, to be multiplied.
pub const A_SECOND: Duration = Duration::from_secs(1);
