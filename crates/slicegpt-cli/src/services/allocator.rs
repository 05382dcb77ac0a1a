//! [`Allocator`]: the allocator of the program, which ends it in one line where memory is missing.

use std::alloc::{GlobalAlloc, Layout};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use mimalloc::MiMalloc;

/// mimalloc. Thousands of tensors are allocated and freed; with the system allocator this takes a
/// tenth of the time.
///
/// Without memory, Rust's standard library aborts the process with a backtrace. Here the process
/// ends with an error and exit code 2, and removes the output that it had begun.
pub struct Allocator;

// SAFETY: every call goes to mimalloc, whose pointers are returned unchanged.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        had(unsafe { MiMalloc.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        had(unsafe { MiMalloc.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        had(unsafe { MiMalloc.realloc(pointer, layout, size) }, size)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }
}

/// The pointer, if it is one.
fn had(pointer: *mut u8, size: usize) -> *mut u8 {
    if pointer.is_null() {
        out_of_memory(size)
    }
    pointer
}

#[cold]
fn out_of_memory(size: usize) -> ! {
    static ENDS: AtomicBool = AtomicBool::new(false);
    // Only the first thread cleans up, and it may run out of memory once more.
    if !ENDS.swap(true, Ordering::SeqCst) {
        let _ = writeln!(
            std::io::stderr(),
            "error: out of memory: {size} bytes more were needed; give the process more memory, or \
             more address space (ulimit -v)"
        );
        slicegpt_checkpoint::remove_unfinished();
    }
    end()
}

/// Ends the process with the code of bad input, without waiting for other threads.
#[cfg(unix)]
fn end() -> ! {
    // SAFETY: it only ends the process.
    unsafe { libc::_exit(2) }
}

#[cfg(not(unix))]
fn end() -> ! {
    std::process::exit(2)
}
