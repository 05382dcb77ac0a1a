//! `slicegpt generate`: continues a prompt.

use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use slicegpt_generate::{FinishReason, Message, Sequence};
use slicegpt_models::Cache;

use crate::args::options::positive;
use crate::args::sampling::Choosing;
use crate::args::sampling::Loading;
use crate::services::generation::Generator;
use crate::services::memory;
use crate::show::output::{self, ClosedPipe};
use crate::show::progress::{check, note};

/// Default of `--max-tokens`.
const TOKENS: usize = 128;

/// Arguments of `slicegpt generate`.
#[derive(clap::Args)]
#[group(id = "text", required = true, multiple = false, args = ["prompt", "prompt_file"])]
pub struct Args {
    /// Hugging Face checkpoint directory, GGUF file, or org/name[@revision] on the Hub; dense or
    /// sliced
    model: PathBuf,
    /// Prompt; `-` reads it from stdin
    #[arg(long, short, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// File with the prompt
    #[arg(long, short = 'f', value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// Maximum number of tokens to generate
    #[arg(long, short = 'n', value_name = "N", value_parser = positive, default_value_t = TOKENS)]
    max_tokens: usize,
    /// Apply the model's chat template, with the prompt as the user's message
    #[arg(long, help_heading = "Chat")]
    chat: bool,
    /// System message for the chat template
    #[arg(long, value_name = "TEXT", requires = "chat", help_heading = "Chat")]
    system: Option<String>,
    /// Print the prompt too
    #[arg(long)]
    echo: bool,
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    loading: Loading,
    /// Print one JSON object at the end instead of streaming the text
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode> {
    let prompt = args.prompt_text()?;
    let generator = args.loading.generator(&args.model)?;
    let ids = if args.chat {
        let system = args.system.iter().map(|text| Message::new("system", text));
        let messages: Vec<_> = system.chain([Message::new("user", &prompt)]).collect();
        // The template contains the special tokens.
        generator.vocabulary.encode_inner(&generator.template()?.prompt(&messages)?)?
    } else {
        generator.vocabulary.encode_prompt(&prompt)?
    };
    generator.check_prompt(&ids)?;
    let prompt_tokens = ids.len();
    let stop = args.choosing.stop_criteria(&generator.defaults, args.max_tokens);
    let sampling = args.choosing.sampling(&generator.defaults);
    let length = (ids.len() + args.max_tokens).min(generator.context_length());
    let cache = Cache::with_capacity(length);
    let mut sequence = Sequence::new(ids, cache, sampling, stop, generator.context_length());

    let shown = !args.json;
    if args.echo && shown {
        show(&prompt)?;
    }
    let mut print = |text: &str| if shown { show(text) } else { Ok(()) };
    let GeneratedText { text, finish, prefill, decode } =
        generate(&generator, &mut sequence, &mut print)?;
    let tokens = sequence.generated().len();
    let rate = |tokens: usize, time: Duration| tokens as f64 / time.as_secs_f64().max(1e-9);
    if shown {
        show("\n")?;
        note(format!(
            "{prompt_tokens} tokens read at {:.1} a second, {tokens} written at {:.1} a second, on \
             {} with {} weights",
            rate(prompt_tokens, prefill),
            rate(tokens.saturating_sub(1), decode),
            generator.target.info.name,
            generator.weights,
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let json = json!({
        "text": text,
        "token_ids": sequence.generated(),
        "prompt_tokens": prompt_tokens,
        "generated_tokens": tokens,
        "finish_reason": finish.name(),
        "device": generator.target.info.name.to_string(),
        "weights": generator.weights.to_string(),
        "prefill_seconds": prefill.as_secs_f64(),
        "decode_seconds": decode.as_secs_f64(),
        "decode_tokens_per_second": (tokens > 1).then(|| rate(tokens - 1, decode)),
        "peak_rss_bytes": memory::peak_rss_bytes(),
    });
    output::print(Some(json), &[], &[], None)?;
    Ok(ExitCode::SUCCESS)
}

/// A generated text, and how long it took.
pub struct GeneratedText {
    pub text: String,
    pub finish: FinishReason,
    /// Time until the first token.
    pub prefill: Duration,
    /// Time from the first token to the last.
    pub decode: Duration,
}

/// Runs a sequence to its end; `show` gets text as it becomes certain.
pub fn generate(
    generator: &Generator,
    sequence: &mut Sequence,
    show: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<GeneratedText> {
    let start = Instant::now();
    let mut first = None;
    let mut text = String::new();
    generator.target.doing("generating".into());
    loop {
        check()?;
        let logits = generator.target.run(|| {
            let logits = generator.engine.next_logits(&[sequence.next()]);
            logits.map_err(|error| generator.engine_error(error))
        })?;
        let token = sequence.accept(&logits[0], &generator.vocabulary)?;
        let first = *first.get_or_insert_with(Instant::now);
        show(&token.text)?;
        text.push_str(&token.text);
        if let Some(finish) = token.finish {
            let (prefill, decode) = (first - start, first.elapsed());
            return Ok(GeneratedText { text, finish, prefill, decode });
        }
    }
}

/// Prints text at once. A closed pipe ends the command, silently.
pub fn show(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(ClosedPipe.into()),
        result => result.context("stdout"),
    }
}

impl Args {
    fn prompt_text(&self) -> Result<String> {
        match (&self.prompt, &self.prompt_file) {
            (Some(text), _) if text == "-" => {
                let mut text = String::new();
                let most = slicegpt_limits::MAX_DESCRIPTION;
                std::io::stdin().take(most + 1).read_to_string(&mut text).context("stdin")?;
                if text.len() as u64 > most {
                    bail!("stdin: at most {most} bytes are read");
                }
                Ok(text)
            }
            (Some(text), _) => Ok(text.clone()),
            (None, Some(path)) => {
                let text = slicegpt_limits::read_input(path, slicegpt_limits::MAX_DESCRIPTION);
                let text = text.with_context(|| path.display().to_string())?;
                String::from_utf8(text).with_context(|| path.display().to_string())
            }
            (None, None) => Ok(String::new()),
        }
    }
}
