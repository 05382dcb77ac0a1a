//! The `slicegpt` command.
//!
//! Every command is a file under `commands`: its arguments, and how it composes the libraries.
//! This crate refuses to know how a tensor is computed.

// The comments of arguments are their help texts, where brackets are not links.
#![allow(rustdoc::broken_intra_doc_links, rustdoc::invalid_html_tags)]

mod args;
mod commands;
#[cfg(test)]
mod documents;
mod services;
mod show;

use std::process::ExitCode;
use std::sync::Mutex;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::show::progress::Interrupted;

/// Tensors come and go by the thousand; taking each from the system anew costs a tenth of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Make a language model smaller by rotating its residual stream and cutting what carries nothing
/// (SliceGPT). The result is a smaller dense model: no special kernels, faster everywhere.
#[derive(Parser)]
#[command(name = "slicegpt", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

// One at a time: its size is nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Subcommand)]
enum Command {
    /// Say what a checkpoint is: family, shapes, parameters, bytes, and how it was sliced
    Inspect(commands::inspect::Args),
    /// Say what slicing would give, without reading weights: widths, parameters, bytes, memory
    Plan(commands::plan::Args),
    /// Compute the statistics of a model once, for `compress --stats` at any size
    Calibrate(commands::calibrate::Args),
    /// Slice a checkpoint
    Compress(commands::compress::Args),
    /// Score a model
    #[command(subcommand)]
    Eval(Eval),
    /// Measure how fast models read and write, side by side
    Bench(commands::bench::Args),
    /// Write the text that follows a prompt
    Generate(commands::generate::Args),
    /// Talk to a chat model
    Chat(commands::chat::Args),
    /// Answer requests over HTTP, as OpenAI's interface
    Serve(commands::serve::Args),
    /// Write the logits of a model for given tokens
    Logits(commands::logits::Args),
    /// Show that fusing and rotating a model changes nothing
    Verify(commands::verify::Args),
    /// Show what slicing did to one or several models, as one HTML page with charts
    ///
    /// The page loads nothing and runs no script: it can be mailed, and opened from a disk. It is made of what
    /// `compress` records beside its output, and of whatever --results adds.
    Report(commands::report::Args),
    /// Bring in a model that the reference implementation of SliceGPT has sliced
    Import(commands::import::Args),
    /// Write a model in another format
    #[command(subcommand)]
    Export(Export),
    /// List where models can be run: what this binary was built with, and what this machine has
    Devices(commands::devices::Args),
    /// Print what makes a shell complete commands and options
    Completions(commands::completions::Args),
    /// Print the manual page of a command, or write those of all
    Man(commands::man::Args),
}

#[derive(Subcommand)]
enum Eval {
    /// Perplexity, with its protocol
    Ppl(commands::ppl::Args),
    /// Divergence from another model: KL per token, and how often both predict the same
    Kl(commands::kl::Args),
    /// Multiple choice and LAMBADA, zero-shot or few-shot, as lm-evaluation-harness scores them
    ///
    /// Prompts, token boundaries, examples and metrics are those of lm-evaluation-harness 0.4; nothing is
    /// downloaded. Documents are JSON objects with the field names of the data sets on the Hub, one per line
    /// in DIR/TASK.jsonl. Examples for --num-fewshot come from DIR/TASK_train.jsonl (mmlu: TASK_dev.jsonl).
    Tasks(commands::tasks::Args),
}

#[derive(Subcommand)]
enum Export {
    /// One GGUF file for llama.cpp, quantised if asked for, with tokenizer and chat template
    ///
    /// Any dense checkpoint whose family llama.cpp has will do, and whatever `compress` wrote that stayed of
    /// its family (--method shared, equal MLP widths). K types (q2_k to q6_k) have blocks of 256 values: where
    /// rows are no multiple of that, another type stands in, as in llama.cpp, and is counted. Compress with
    /// --align 256 to need none.
    Gguf(commands::gguf::Args),
}

fn main() -> ExitCode {
    // SAFETY: no thread has been started yet.
    unsafe { slicegpt_device::quiet_without_screen() };
    services::memory::keep();
    let matches = show::help::arranged(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    show::progress::on_interrupt();
    // A panic that reaches us is a bug of ours, and says so in one line instead of a backtrace.
    // Panics of libraries that are caught on the way are errors like others.
    std::panic::set_hook(Box::new(|info| {
        *PANIC.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = info.to_string();
    }));
    let result = std::panic::catch_unwind(|| match cli.command {
        Command::Inspect(args) => commands::inspect::run(args),
        Command::Plan(args) => commands::plan::run(args),
        Command::Calibrate(args) => commands::calibrate::run(args),
        Command::Compress(args) => commands::compress::run(args),
        Command::Eval(Eval::Ppl(args)) => commands::ppl::run(args),
        Command::Eval(Eval::Kl(args)) => commands::kl::run(args),
        Command::Eval(Eval::Tasks(args)) => commands::tasks::run(args),
        Command::Bench(args) => commands::bench::run(args),
        Command::Generate(args) => commands::generate::run(args),
        Command::Chat(args) => commands::chat::run(args),
        Command::Serve(args) => commands::serve::run(args),
        Command::Logits(args) => commands::logits::run(args),
        Command::Verify(args) => commands::verify::run(args),
        Command::Report(args) => commands::report::run(args),
        Command::Import(args) => commands::import::run(args),
        Command::Export(Export::Gguf(args)) => commands::gguf::run(args),
        Command::Devices(args) => commands::devices::run(args),
        Command::Completions(args) => {
            commands::completions::run(args, show::help::arranged(Cli::command()))
        }
        Command::Man(args) => commands::man::run(args, show::help::arranged(Cli::command())),
    });
    match result {
        Ok(Ok(code)) => code,
        Ok(Err(error)) if error.is::<Interrupted>() => {
            eprintln!("{}", one_line(&error));
            ExitCode::from(130)
        }
        Ok(Err(error)) => {
            eprintln!("error: {}", one_line(&error));
            ExitCode::from(2)
        }
        Err(_) => {
            let panic = PANIC.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            eprintln!("error: internal error, a bug in slicegpt (please report it): {panic}");
            ExitCode::from(101)
        }
    }
}

/// What the last panic said.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// An error and its causes in one line. A cause that the message before it tells already is not
/// told again, and names out of files bring no line breaks of their own.
fn one_line(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    message.chars().map(escape).collect()
}
