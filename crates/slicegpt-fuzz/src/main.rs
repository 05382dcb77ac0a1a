//! `cargo xtask test --fuzz`: calls every reader of files with mutated files.
//!
//! A reader may refuse a file, and may not panic, abort, take more than ten seconds or use more
//! than 2 GiB of address space. Each reader runs in a process of its own, which is started again
//! after an input that it did not survive. Mutations follow from a seed and the number of the
//! input, so that every fault can be repeated.
//!
//! It knows which files there are, and nothing of what is in them.

mod child;
mod mutate;
mod parent;
mod readers;
mod seeds;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use child::Inputs;
use parent::{Effort, fuzz, keep};
use readers::{FAULTY, READERS, Reader};

/// Calls every reader of files with mutated files.
#[derive(Parser)]
#[command(name = "slicegpt-fuzz")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Calls readers with mutated files, and prints a table.
    Run(Run),
    /// Calls one reader in this process.
    #[command(hide = true)]
    Read(Inputs),
}

#[derive(clap::Args)]
struct Run {
    /// The folder `fixtures` of the repository
    #[arg(long, value_name = "DIR")]
    fixtures: PathBuf,
    /// Only these readers
    #[arg(long, value_name = "NAME")]
    reader: Vec<String>,
    /// Inputs for each reader
    #[arg(long, value_name = "N", default_value_t = u64::MAX)]
    inputs: u64,
    /// Seconds for each reader
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
    /// Seed of the mutations
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Seconds that a reader may take for one input
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    longest: u64,
    /// Where inputs are written that a reader did not survive
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Read(inputs) => read(&inputs).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn find(name: &str) -> Result<&'static Reader> {
    let found = READERS.iter().chain([&FAULTY]).find(|reader| reader.name == name);
    found.with_context(|| {
        let names: Vec<_> = READERS.iter().map(|reader| reader.name).collect();
        format!("there is no reader `{name}`; there are {}", names.join(", "))
    })
}

fn read(inputs: &Inputs) -> Result<()> {
    child::run(find(&inputs.reader)?, inputs)
}

/// Whether every reader survived every input.
fn run(args: &Run) -> Result<bool> {
    let chosen: Vec<&Reader> = match args.reader.as_slice() {
        [] => READERS.iter().collect(),
        names => names.iter().map(|name| find(name)).collect::<Result<_>>()?,
    };
    let time = Some(Duration::from_secs(args.seconds));
    let longest = Duration::from_secs(args.longest);
    let effort = Effort { inputs: args.inputs, time, longest, seed: args.seed };
    println!("{:16} {:>9} {:>8} {:>9} {:>7}", "reader", "inputs", "seconds", "accepted", "faults");
    let (mut inputs, mut seconds, mut faults) = (0, 0.0, 0);
    for reader in chosen {
        let outcome = fuzz(reader, &args.fixtures, &effort)?;
        println!(
            "{:16} {:>9} {:>8.1} {:>9} {:>7}",
            reader.name,
            outcome.inputs,
            outcome.seconds,
            outcome.accepted,
            outcome.faults.len()
        );
        for (number, fault) in outcome.faults.iter().take(8) {
            let path = keep(reader, &args.fixtures, (args.seed, *number), &args.out)?;
            println!("    {number}: {fault}; {}", path.display());
        }
        inputs += outcome.inputs;
        seconds += outcome.seconds;
        faults += outcome.faults.len();
    }
    println!("{inputs} inputs in {seconds:.0} s, {faults} faults");
    Ok(faults == 0)
}
