//! `slicegpt serve`: a model over HTTP, for clients of OpenAI's API.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use slicegpt_generate::EngineError;
use slicegpt_models::Cache;
use slicegpt_serve::{Forward, Language, Limits, Logits, Options, Origin, ReasoningFormat, Server};

use crate::args::options::positive;
use crate::args::sampling::Loading;
use crate::services::generation::Generator;
use crate::show::output;
use crate::show::progress::{going_on, note, warn};
use crate::show::size::{parse_bytes, show_bytes};

/// Arguments of `slicegpt serve`.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directory, GGUF file, or org/name[@revision] on the Hub; dense or
    /// sliced
    model: PathBuf,
    /// Address or host name to listen at; 0.0.0.0 accepts other machines
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    host: String,
    /// Port to listen at; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    /// Model name for clients [default: the name of its directory, or org/name]
    #[arg(long, value_name = "NAME")]
    model_name: Option<String>,
    /// API key that clients must send (Authorization: Bearer KEY)
    #[arg(long, value_name = "KEY", env = "SLICEGPT_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Origin whose pages may use the server from a browser (CORS), such as
    /// http://localhost:3000; several times for several, '*' for all
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<Origin>,
    /// Where chat responses have the reasoning that the model writes between <think> and </think>
    #[arg(long, value_name = "FORMAT", default_value = "none")]
    reasoning_format: Reasoning,
    #[command(flatten)]
    bounds: Bounds,
    /// Seed of the first request that gives none; further ones count up
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    #[command(flatten)]
    loading: Loading,
}

/// Where chat responses have the reasoning of the model.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Reasoning {
    /// In the content, as the model writes them
    None,
    /// In reasoning_content, apart from the content
    Deepseek,
}

/// Resource limits.
#[derive(clap::Args)]
#[command(next_help_heading = "Limits")]
struct Bounds {
    /// Maximum number of sequences in the running batch
    #[arg(long, value_name = "N", value_parser = positive, default_value_t = 64)]
    max_sequences: usize,
    /// Maximum number of waiting sequences; more are refused (429)
    #[arg(long, value_name = "N", value_parser = positive, default_value_t = 256)]
    max_queue: usize,
    /// Memory of all KV caches [default: a quarter of the device's]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    cache_memory: Option<u64>,
    /// Memory of all responses until they are read; those that do not fit are refused (400, 429)
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "256MB")]
    answer_memory: u64,
    /// Maximum size of a request body; larger ones are refused (413)
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "4MB")]
    max_body: u64,
    /// Memory of all request bodies that are being received; above it they are refused (429), but
    /// for short ones
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "256MB")]
    body_memory: u64,
    /// Maximum number of open connections; above it idle ones are closed, or new ones wait
    #[arg(long, value_name = "N", value_parser = positive, default_value_t = 1024)]
    max_connections: usize,
    /// Maximum time of a request, up to the last byte of its response
    #[arg(long, value_name = "SECONDS", value_parser = positive, default_value_t = 600)]
    request_timeout: usize,
    /// How long a client may read nothing of a response before it is dropped
    #[arg(long, value_name = "SECONDS", value_parser = positive, default_value_t = 30)]
    stall_timeout: usize,
}

/// Refuses a key that no client can send.
fn check_key(key: Option<&str>) -> Result<()> {
    let Some(key) = key else { return Ok(()) };
    if key.is_empty() {
        bail!("--api-key is empty; leave it out to accept every client");
    }
    if key.trim() != key || key.chars().any(char::is_control) {
        bail!(
            "--api-key (or SLICEGPT_API_KEY) has a line end, another control character, or a space \
             at its beginning or end: no client can send it in a header"
        );
    }
    Ok(())
}

/// Runs the command until Ctrl-C or SIGTERM.
pub fn run(args: Args) -> Result<ExitCode> {
    let addresses = addresses(&args.host, args.port)?;
    check_key(args.api_key.as_deref())?;
    if args.model_name.as_deref() == Some("") {
        bail!("--model-name is empty; clients need a name to ask for");
    }
    // Bind before loading the model: an address in use is reported at once.
    let server = Server::bind(&addresses).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "{}:{} is in use by another program; choose another --port, or 0 for one that is free",
            args.host,
            args.port
        ),
        ErrorKind::AddrNotAvailable => {
            anyhow!("--host {}: this machine has no such address", args.host)
        }
        ErrorKind::PermissionDenied => {
            anyhow!("{}:{}: {error}; choose a --port above 1023", args.host, args.port)
        }
        _ => anyhow!("{}:{}: {error}", args.host, args.port),
    })?;
    let address = server.address();
    if !address.ip().is_loopback() && args.api_key.is_none() {
        warn(format!(
            "{address} is open to other machines; --api-key admits only clients that know the key"
        ));
    }

    let generator = args.loading.generator(&args.model)?;
    let template = match generator.template() {
        // A template given on the command line must be valid; the model need not have one.
        Err(error) if args.loading.has_template() => return Err(error),
        template => template.map_err(|error| error.to_string()),
    };
    let name = match args.model_name {
        Some(name) => name,
        None => name_of(&args.model)?,
    };
    let limits = args.bounds.limits(&generator)?;
    generator.target.doing("serving".into());
    let language = Language {
        name: name.clone(),
        template,
        defaults: generator.defaults.clone(),
        context_length: generator.context_length(),
        vocab_size: generator.engine.spec().vocab_size,
        vocabulary: generator.vocabulary.clone(),
    };
    let options = Options {
        limits,
        api_key: args.api_key,
        origins: args.allow_origin,
        reasoning_format: match args.reasoning_format {
            Reasoning::None => ReasoningFormat::None,
            Reasoning::Deepseek => ReasoningFormat::DeepSeek,
        },
        seed: args.seed,
    };
    output::write(format!("{name}: http://{address}/v1\n").as_bytes())?;
    let log = |line: &str| warn(line.replace('\n', " "));
    server.run(language, &generator, options, || going_on().is_break(), &log);
    note("all requests are answered");
    Ok(ExitCode::SUCCESS)
}

fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    // An IPv6 address may be in brackets, as in URLs.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = (host, port).to_socket_addrs();
    Ok(found.with_context(|| format!("--host {host}: no such name or address"))?.collect())
}

/// The default name of a model.
fn name_of(model: &Path) -> Result<String> {
    let Ok(path) = model.canonicalize() else {
        // A model of the Hub.
        let text = model.to_string_lossy();
        return Ok(text.split('@').next().unwrap_or_default().to_string());
    };
    let name = path
        .file_name()
        .with_context(|| format!("{}: has no name; set one with --model-name", model.display()))?;
    Ok(name.to_string_lossy().into_owned())
}

impl Bounds {
    fn limits(&self, generator: &Generator) -> Result<Limits> {
        let seconds = |seconds: usize| Duration::from_secs(seconds as u64);
        let default = Limits::default();
        let memory = generator.target.info.memory_bytes;
        let cache_bytes = self.cache_memory.or(memory.map(|bytes| bytes / 4));
        let limits = Limits {
            sequences: self.max_sequences,
            queue: self.max_queue,
            cache_bytes: cache_bytes.unwrap_or(default.cache_bytes),
            answer_bytes: self.answer_memory,
            body_bytes: usize::try_from(self.max_body).unwrap_or(usize::MAX),
            bodies_bytes: self.body_memory,
            connections: self.max_connections,
            request: seconds(self.request_timeout),
            stall: seconds(self.stall_timeout),
        };
        if self.body_memory / 2 < self.max_body {
            bail!(
                "--body-memory {}: one body takes up to twice --max-body, {}; give at least {}",
                show_bytes(self.body_memory),
                show_bytes(self.max_body),
                show_bytes(self.max_body.saturating_mul(2))
            );
        }
        let context = generator.context_length();
        let (one, all) = (generator.engine.cache_bytes(1), generator.engine.cache_bytes(context));
        if limits.cache_bytes < one {
            bail!(
                "--cache-memory {}: the smallest cache of this model takes {}",
                show_bytes(limits.cache_bytes),
                show_bytes(one)
            );
        }
        if limits.cache_bytes < all {
            warn(format!(
                "a text of {context} tokens, all that the model sees, takes {} of --cache-memory; \
                 there are {}, and longer requests are refused",
                show_bytes(all),
                show_bytes(limits.cache_bytes)
            ));
        }
        Ok(limits)
    }
}

/// Errors of the device, such as full memory, are errors of the batch that runs.
impl Forward for Generator {
    fn prefill(&self, ids: &[u32], cache: &Cache) -> Result<(), String> {
        self.run(|| self.engine.prefill(ids, cache))
    }

    fn prompt_logits(
        &self,
        ids: &[u32],
        cache: &Cache,
        sink: &mut dyn FnMut(&[f32]),
    ) -> Result<(), String> {
        self.run(|| self.engine.logits_of_each(ids, cache, sink))
    }

    fn decode(&self, batch: &[(&[u32], &Cache)]) -> Result<Vec<Logits>, String> {
        let logits = self.run(|| self.engine.next_finite_logits(batch))?.into_iter();
        let finite = |logits: Option<_>| {
            logits.ok_or_else(|| self.engine_error(EngineError::NotFinite).to_string())
        };
        Ok(logits.map(finite).collect())
    }

    fn cache_bytes(&self, tokens: usize) -> u64 {
        self.engine.cache_bytes(tokens)
    }
}

impl Generator {
    /// Runs `work` on the device; errors become messages for clients.
    fn run<T>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError<slicegpt_checkpoint::CheckpointError>>,
    ) -> Result<T, String> {
        let result = self.target.run(|| work().map_err(|error| self.engine_error(error)));
        result.map_err(|error| error.to_string())
    }
}
