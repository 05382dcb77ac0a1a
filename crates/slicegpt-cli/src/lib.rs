//! The `slicegpt` command, as a library of one function: the binary `slicegpt` calls it, and so
//! does the program of the GPU kit, whose archive would otherwise hold everything twice.
//!
//! Every command is a file under `commands`: its arguments, and how it composes the libraries.
//! Commands share arguments (`args`), services (`services`) and output (`show`). This crate does
//! not know how a tensor is computed.

// Doc comments of arguments are help texts, in which brackets are not links.
#![allow(rustdoc::broken_intra_doc_links, rustdoc::invalid_html_tags)]

mod args;
mod commands;
#[cfg(test)]
mod documents;
mod services;
mod show;

pub use services::allocator::Allocator;

use std::process::ExitCode;
use std::sync::Mutex;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::show::output::ClosedPipe;
use crate::show::progress::Interrupted;

/// Make a language model smaller: rotate its residual stream and delete the least important
/// directions (SliceGPT). The result is a smaller dense model: it needs no special kernels.
#[derive(Parser)]
#[command(name = "slicegpt", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

// There is one value of it, so its size does not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Subcommand)]
enum Command {
    /// Describe a checkpoint: family, shapes, parameters, bytes, and how it was sliced
    Inspect(commands::inspect::Args),
    /// Predict the result of slicing without reading weights: widths, parameters, bytes, memory
    Plan(commands::plan::Args),
    /// Compute the statistics of a model once, for `compress --stats` at any size
    Calibrate(commands::calibrate::Args),
    /// Slice a checkpoint
    Compress(commands::compress::Args),
    /// Train a model on text after a cut: low-rank corrections or whole weights, with or without a
    /// teacher
    Finetune(commands::finetune::Args),
    /// Score a model
    #[command(subcommand)]
    Eval(Eval),
    /// Measure prefill and decode speed of models, side by side
    Bench(commands::bench::Args),
    /// Generate text from a prompt
    Generate(commands::generate::Args),
    /// Chat with a model
    Chat(commands::chat::Args),
    /// Serve a model over HTTP with an OpenAI-compatible API
    Serve(commands::serve::Args),
    /// Write the logits of a model for given tokens to a file
    Logits(commands::logits::Args),
    /// Check that fusing and rotating a model does not change its logits
    Verify(commands::verify::Args),
    /// Report the effects of slicing on one or several models, as one HTML page with charts
    ///
    /// The page is self-contained and has no scripts: it can be mailed, and opened from a disk. It
    /// shows what `compress` recorded with its output, and the results added with --results.
    Report(commands::report::Args),
    /// Import a model: a GGUF file, or what the reference implementation of SliceGPT wrote
    Import(commands::import::Args),
    /// Add a LoRA adapter to the weights of its model, as a checkpoint
    ///
    /// The adapter is a directory as PEFT writes it, or a repository on the Hub. A weight that it
    /// has matrices for becomes W + scale B A; tensors that it holds as a whole (`modules_to_save`,
    /// biases) replace those of the model. An adapter that does not fit the model, or whose config
    /// asks for something that is not implemented, is refused. The tokenizer is that of the
    /// adapter, if it has one.
    Merge(commands::merge::Args),
    /// Export a model to another format
    #[command(subcommand)]
    Export(Export),
    /// List devices: those this binary was built for, and those of this machine
    Devices(commands::devices::Args),
    /// Print a completion script for a shell
    Completions(commands::completions::Args),
    /// Print the manual page of a command, or write the pages of all commands
    Man(commands::man::Args),
}

#[derive(Subcommand)]
enum Eval {
    /// Perplexity, with its protocol
    Ppl(commands::ppl::Args),
    /// Divergence from another model: KL per token, and agreement of the most likely tokens
    Kl(commands::kl::Args),
    /// Multiple choice and LAMBADA, zero-shot or few-shot, as lm-evaluation-harness scores them
    ///
    /// Prompts, token boundaries, examples and metrics are those of lm-evaluation-harness 0.4;
    /// nothing is downloaded. Documents are JSON objects with the field names of the data sets on
    /// the Hub, one per line in DIR/TASK.jsonl. Examples for --num-fewshot come from
    /// DIR/TASK_train.jsonl (mmlu: TASK_dev.jsonl).
    Tasks(commands::tasks::Args),
}

#[derive(Subcommand)]
enum Export {
    /// One GGUF file for llama.cpp, quantised on request, with tokenizer and chat template
    ///
    /// Works for dense checkpoints of families that llama.cpp supports, and for compressed ones
    /// that are still models of their family (--method shared, equal MLP widths). K types (q2_k to
    /// q6_k) have blocks of 256 values: matrices whose rows are not a multiple of 256 fall back to
    /// another type, as in llama.cpp, and are counted. Compress with --align 256 to avoid this.
    Gguf(commands::gguf::Args),
}

/// Runs the command that the arguments of this process name, and returns its exit code. The first
/// thing that a program does, before it starts a thread.
pub fn run() -> ExitCode {
    // SAFETY: no thread has been started yet.
    unsafe { slicegpt_device::quiet_without_screen() };
    services::memory::keep();
    services::memory::fit_address_space();
    let matches = show::help::arranged(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    show::progress::on_interrupt();
    // A panic that gets here is a bug of this program: it is reported in one line, without a
    // backtrace. Panics of libraries that are caught on the way become errors.
    std::panic::set_hook(Box::new(|info| {
        *PANIC.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = info.to_string();
    }));
    let result = std::panic::catch_unwind(|| match cli.command {
        Command::Inspect(args) => commands::inspect::run(args),
        Command::Plan(args) => commands::plan::run(args),
        Command::Calibrate(args) => commands::calibrate::run(args),
        Command::Compress(args) => commands::compress::run(args),
        Command::Finetune(args) => commands::finetune::run(args),
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
        Command::Merge(args) => commands::merge::run(args),
        Command::Export(Export::Gguf(args)) => commands::gguf::run(args),
        Command::Devices(args) => commands::devices::run(args),
        Command::Completions(args) => {
            commands::completions::run(args, show::help::arranged(Cli::command()))
        }
        Command::Man(args) => commands::man::run(args, show::help::arranged(Cli::command())),
    });
    let code = match result {
        Ok(Ok(code)) => code,
        Ok(Err(error)) if error.is::<ClosedPipe>() => ExitCode::SUCCESS,
        Ok(Err(error)) if error.is::<Interrupted>() => {
            show::progress::say(show::error::one_line(&error));
            ExitCode::from(130)
        }
        Ok(Err(error)) => {
            let line = services::gguf::with_names(&show::error::one_line(&error));
            show::progress::say(format_args!("error: {line}"));
            ExitCode::from(2)
        }
        Err(_) => {
            let panic = PANIC.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let what = "internal error, a bug in slicegpt (please report it)";
            show::progress::say(format_args!("error: {what}: {panic}"));
            ExitCode::from(101)
        }
    };
    services::gguf::close();
    code
}

/// Message of the last panic.
static PANIC: Mutex<String> = Mutex::new(String::new());
