//! The binary `slicegpt`. It only chooses the allocator.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: slicegpt_cli::Allocator = slicegpt_cli::Allocator;

fn main() -> ExitCode {
    slicegpt_cli::run()
}
