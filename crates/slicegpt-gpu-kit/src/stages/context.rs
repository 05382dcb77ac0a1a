//! [`Context`]: what a stage works with. It refuses to know what the stages do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{Deadline, Program};

/// What a stage works with.
pub struct Context {
    /// The binary `slicegpt`.
    pub program: Program,
    /// The device under test, as options name it.
    pub device: String,
    /// The folder with `families`, `models` and `text`.
    pub fixtures: PathBuf,
    /// A folder for what stages write and later ones read.
    pub scratch: PathBuf,
    /// When the stage must have ended.
    pub deadline: Deadline,
}

/// What `slicegpt devices` says about the device under test.
#[derive(Clone, Debug, Default)]
pub struct Tested {
    /// What it calls itself.
    pub model: String,
    /// Its memory, where it is known.
    pub memory_bytes: Option<u64>,
    /// Whether it is a program that stands in for a device.
    pub software: bool,
    /// Its entry in the list of devices.
    pub listed: Value,
}

impl Context {
    /// What the device under test is.
    pub fn tested(&self) -> Result<Tested> {
        let listed = self.program.devices(self.deadline.left())?;
        let all = listed["backends"].as_array().into_iter().flatten();
        let mut all = all.flat_map(|backend| backend["devices"].as_array().into_iter().flatten());
        let info = all.find(|info| info["name"] == self.device.as_str());
        let info = info.with_context(|| format!("no device {} is listed", self.device))?.clone();
        Ok(Tested {
            model: info["model"].as_str().unwrap_or_default().to_owned(),
            memory_bytes: info["memory_bytes"].as_u64(),
            software: info["software"] == true,
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

/// What `work` gives, or what it panicked with: one check that fails must not end a stage.
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

/// Bytes that are free where `path` is, where the system says.
pub fn free_disk(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let path = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
        // SAFETY: the struct is plain numbers, zero is a valid value of it, and both pointers are
        // to what lives until the call returns.
        let (status, found) = unsafe {
            let mut found: libc::statvfs = std::mem::zeroed();
            (libc::statvfs(path.as_ptr(), &raw mut found), found)
        };
        (status == 0).then(|| found.f_bavail as u64 * found.f_frsize as u64)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// One second, to be multiplied.
pub const A_SECOND: Duration = Duration::from_secs(1);
