//! `slicegpt chat`: a conversation with a model.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use slicegpt_generate::{Message, Sequence};
use slicegpt_models::Cache;

use crate::args::options::positive;
use crate::args::sampling::Choosing;
use crate::args::sampling::Loading;
use crate::commands::generate::{generate, show};
use crate::show::progress::{check, note, warn};

/// Arguments of `slicegpt chat`.
#[derive(clap::Args)]
pub struct Args {
    /// Chat model, dense or sliced: Hugging Face checkpoint directory, GGUF file, or
    /// org/name[@revision] on the Hub
    model: PathBuf,
    /// System message of the conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Maximum number of tokens per response
    #[arg(long, short = 'n', value_name = "N", value_parser = positive, default_value_t = 512)]
    max_tokens: usize,
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    loading: Loading,
}

/// Runs the command: each line of stdin is a turn, until its end, `/exit`, or Ctrl-C.
pub fn run(args: Args) -> Result<ExitCode> {
    let generator = args.loading.generator(&args.model)?;
    let template = generator.template()?;
    let beginning: Vec<Message> =
        args.system.iter().map(|text| Message::new("system", text)).collect();
    let mut messages = beginning.clone();
    let mut cached: Vec<u32> = Vec::new();
    let cache = Cache::default();
    note("each line is a turn; /clear starts over, /exit or Ctrl-D ends");
    let mut lines = std::io::stdin().lock().lines();
    loop {
        show_input_prompt()?;
        check()?;
        let Some(line) = lines.next() else { break };
        match line.context("stdin")?.trim() {
            "" => continue,
            "/exit" | "/quit" => break,
            "/clear" => {
                messages = beginning.clone();
                continue;
            }
            line => messages.push(Message::new("user", line)),
        }
        let ids = generator.vocabulary.encode_inner(&template.prompt(&messages)?)?;
        if let Err(error) = generator.check_prompt(&ids) {
            warn(format!("{error}, or enter /clear"));
            messages.pop();
            continue;
        }
        // The cached part of the conversation is not run again, except for the last token.
        let known = cached.iter().zip(&ids).take_while(|(old, new)| old == new).count();
        cache.truncate(known.min(ids.len() - 1));
        let stop = args.choosing.stop_criteria(&generator.defaults, args.max_tokens);
        let sampling = args.choosing.sampling(&generator.defaults);
        let context = generator.context_length();
        let mut sequence = Sequence::new(ids, cache.clone(), sampling, stop, context);
        let answer = generate(&generator, &mut sequence, &mut |text| show(text))?;
        show("\n")?;
        cached = sequence.ids()[..cache.seen()].to_vec();
        messages.push(Message::new("assistant", answer.text));
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the input prompt on a terminal.
fn show_input_prompt() -> Result<()> {
    if std::io::stdin().is_terminal() {
        let mut stderr = std::io::stderr();
        stderr.write_all(b"> ").and_then(|()| stderr.flush()).context("stderr")?;
    }
    Ok(())
}
