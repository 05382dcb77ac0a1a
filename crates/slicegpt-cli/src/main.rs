//! The binary `slicegpt`. It only chooses the allocator.

use std::process::ExitCode;

/// Thousands of tensors are allocated and freed; with the system allocator this takes a tenth of
/// the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    slicegpt_cli::run()
}
