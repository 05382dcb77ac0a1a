//! `cargo xtask`: the commands of this workspace, one file each.
//!
//! It starts cargo and the binaries that cargo builds, and links neither Burn nor any crate of the
//! workspace, so that it builds in seconds on a new machine. Everything is built in release mode,
//! so that all commands share one target directory.

mod bench;
mod canvas;
mod cases;
mod compress;
mod fixtures;
mod gpu;
mod harness;
mod interop;
mod llama_cpp;
mod machine;
mod random_model;
mod serve_clients;
mod study;
mod test;
mod tidy;
mod versions;
mod whole;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The commands of this workspace", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Test(test::Args),
    /// Checks the rules of the source, and the invariants of ARCHITECTURE.md; a line per violation.
    Tidy,
    Compress(compress::Args),
    Fixtures(fixtures::Args),
    RandomModel(random_model::Args),
    #[command(subcommand)]
    Bench(bench::Command),
    Study(study::Args),
    GpuKit(gpu::KitArgs),
    GpuPage(gpu::PageArgs),
    Interop(interop::Args),
    LlamaCpp(llama_cpp::Args),
    ServeClients(serve_clients::Args),
    Harness(harness::Args),
    Cases(cases::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    match command {
        Command::Test(args) => test::run(&workspace, &args),
        Command::Tidy => tidy::run(&workspace),
        Command::Compress(args) => compress::run(&workspace, args),
        Command::Fixtures(args) => fixtures::run(&workspace, args),
        Command::RandomModel(args) => random_model::run(&workspace, args),
        Command::Bench(command) => bench::run(&workspace, command),
        Command::Study(args) => study::run(&workspace, &args),
        Command::GpuKit(args) => gpu::kit(&workspace, &args),
        Command::GpuPage(args) => gpu::page(&workspace, &args),
        Command::Interop(args) => interop::run(&workspace, &args),
        Command::LlamaCpp(args) => llama_cpp::run(&workspace, &args),
        Command::ServeClients(args) => serve_clients::run(&workspace, args),
        Command::Harness(args) => harness::run(&workspace, &args),
        Command::Cases(args) => cases::run(&workspace, &args),
    }
}
