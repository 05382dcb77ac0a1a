//! The memory of this process: its peak, and how long the allocator keeps freed pages.

/// `mi_option_purge_delay` of `mimalloc.h`, which the crate does not declare.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Milliseconds after which unused pages are returned to the operating system. It is longer than
/// the time spent on one block, because the next block has tensors of the same sizes. With the
/// default of one second, zeroing fresh pages takes a tenth of a run.
const KEEP: std::ffi::c_long = 10_000;

/// Makes the allocator keep unused pages, unless `MIMALLOC_PURGE_DELAY` is set.
pub fn keep() {
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // SAFETY: the function only stores a number.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, KEEP) };
    }
}

/// Peak resident set size of this process, in bytes, if the system reports it.
pub fn peak_rss_bytes() -> Option<u64> {
    // On Linux `rusage` may include the peak of the parent process.
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        return Some(kib * 1024);
    }
    from_rusage()
}

/// Returns unused pages to the system and resets the peak, where the system allows it (Linux).
pub fn reset_peak() {
    // Otherwise the memory of the tokenizer would count towards the peak.
    //
    // SAFETY: the function only returns unused pages to the system.
    unsafe { libmimalloc_sys::mi_collect(true) };
    // If it fails, the peak includes earlier work, as on other systems.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

#[cfg(unix)]
fn from_rusage() -> Option<u64> {
    // SAFETY: `rusage` consists of numbers, for which zero is valid, and the pointer is valid.
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
