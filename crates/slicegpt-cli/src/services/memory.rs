//! Memory of this process: its peak, and how long it is kept.

/// What `mimalloc.h` calls `mi_option_purge_delay`, a name that the crate leaves out.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Milliseconds after which memory that nobody uses goes back to the system: longer than one block of
/// a model is worked on, whose tensors are as large as those of the next. At the allocator's own
/// second, clearing fresh pages takes a tenth of a run.
const KEEP: std::ffi::c_long = 10_000;

/// Has the allocator keep memory for a while, unless `MIMALLOC_PURGE_DELAY` says how long.
pub fn keep() {
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // SAFETY: sets a number.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, KEEP) };
    }
}

/// The largest resident set of this process so far, in bytes, if the system says.
pub fn peak_rss_bytes() -> Option<u64> {
    // On Linux rusage may still hold the peak of the process that started this one.
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        return Some(kib * 1024);
    }
    from_rusage()
}

/// Gives unused memory back to the system, and forgets the peak so far, where the system lets a process
/// do that (Linux).
pub fn reset_peak() {
    // What tokenising took and gave back must not count, nor stay.
    // SAFETY: gives memory that nobody uses back to the system.
    unsafe { libmimalloc_sys::mi_collect(true) };
    // A peak that includes what went before is no worse than what other systems give.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

#[cfg(unix)]
fn from_rusage() -> Option<u64> {
    // SAFETY: the struct is plain numbers, zero is a valid value of it, and the pointer is to it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) == 0).then_some(usage)
    }?;
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    u64::try_from(usage.ru_maxrss).ok().map(|peak| peak * unit)
}

#[cfg(not(unix))]
fn from_rusage() -> Option<u64> {
    None
}
