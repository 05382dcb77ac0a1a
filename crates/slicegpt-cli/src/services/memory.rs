//! The memory of this process: its peak, how long the allocator keeps freed pages, and how many
//! threads a limited address space is enough for.

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

/// Address space that the process takes besides its threads, in bytes.
const BASE: u64 = 1 << 30;

/// Address space that a thread takes besides its buffers, in bytes: arenas of the allocator.
const ARENA: u64 = 1 << 30;

/// Buffers of the largest cache's size that a thread reserves for matrix products: two in each of
/// the libraries, and in each pool that it works for.
const BUFFERS: u64 = 8;

/// Starts fewer threads than there are cores where the address space is limited (`ulimit -v`, batch
/// systems), unless `RAYON_NUM_THREADS` is set. Threads reserve much of it and use little.
pub fn fit_address_space() {
    let Some(limit) = address_space() else { return };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads_within(limit, largest_cache(), cores);
    if threads < cores && std::env::var_os("RAYON_NUM_THREADS").is_none() {
        // It fails only where threads were started before.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
}

/// The number of threads, at most `most`, that `limit` bytes of address space are enough for.
fn threads_within(limit: u64, cache: u64, most: usize) -> usize {
    let fit = limit.saturating_sub(BASE) / (BUFFERS * cache + ARENA);
    usize::try_from(fit).unwrap_or(most).clamp(1, most)
}

/// The limit of the address space in bytes, if there is one.
#[cfg(unix)]
fn address_space() -> Option<u64> {
    // SAFETY: `rlimit` consists of numbers, for which zero is valid, and the pointer is valid.
    let limit = unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        (libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) == 0).then_some(limit.rlim_cur)
    }?;
    (limit != libc::RLIM_INFINITY).then_some(limit)
}

#[cfg(not(unix))]
fn address_space() -> Option<u64> {
    None
}

/// Bytes of the largest cache of a core, if the system says it (Linux); else of a common one.
fn largest_cache() -> u64 {
    let sizes = (0..8).filter_map(|index| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size");
        let size = std::fs::read_to_string(path).ok()?;
        size.trim().strip_suffix('K')?.parse::<u64>().ok()
    });
    sizes.max().map_or(32 << 20, |kib| kib * 1024)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_fit_into_the_address_space() {
        let gib = |count: u64| count << 30;
        // With a cache of 300 MB, as some servers have it.
        assert_eq!(threads_within(gib(6), 300 << 20, 2), 1);
        assert_eq!(threads_within(gib(9), 300 << 20, 2), 2);
        assert_eq!(threads_within(gib(9), 32 << 20, 64), 6);
        assert_eq!(threads_within(0, 32 << 20, 64), 1);
        assert_eq!(threads_within(u64::MAX, 32 << 20, 64), 64);
        assert!(largest_cache() > 0);
    }
}
