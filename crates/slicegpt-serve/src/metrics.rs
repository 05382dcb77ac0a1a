//! [`Metrics`]: what a server counts, for Prometheus.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// An endpoint and the status it answered with.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Answered {
    pub endpoint: String,
    pub status: u32,
}

/// An endpoint.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Endpoint {
    pub endpoint: String,
}

/// Why a text ended: `stop`, `length`, `gone` (its client left), `stalled` (its client did not read),
/// `failed`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Reason {
    pub reason: &'static str,
}

/// What a server counts.
pub struct Metrics {
    registry: Registry,
    pub requests: Family<Answered, Counter>,
    pub seconds: Family<Endpoint, Histogram, fn() -> Histogram>,
    pub waiting: Gauge,
    pub running: Gauge,
    pub cache_bytes: Gauge,
    pub prompt_tokens: Counter,
    pub generated_tokens: Counter,
    pub steps: Counter,
    pub ended: Family<Reason, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let buckets = || {
            let seconds = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0];
            Histogram::new(seconds)
        };
        let mut metrics = Self {
            registry: Registry::with_prefix("slicegpt"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(buckets),
            waiting: Gauge::default(),
            running: Gauge::default(),
            cache_bytes: Gauge::default(),
            prompt_tokens: Counter::default(),
            generated_tokens: Counter::default(),
            steps: Counter::default(),
            ended: Family::default(),
        };
        let all = &mut metrics.registry;
        let requests = "Requests answered; status 499: the client left before";
        all.register("requests", requests, metrics.requests.clone());
        let seconds = "Seconds from a request to the end of its answer";
        all.register("request_seconds", seconds, metrics.seconds.clone());
        let waiting = "Texts that wait for their turn";
        all.register("sequences_waiting", waiting, metrics.waiting.clone());
        let running = "Texts on their way";
        all.register("sequences_running", running, metrics.running.clone());
        let ended = "Texts that ended, by reason";
        all.register("sequences_ended", ended, metrics.ended.clone());
        let cache = "Bytes set aside for the caches of texts on their way";
        all.register("cache_bytes", cache, metrics.cache_bytes.clone());
        let prompt = "Tokens of prompts that were read";
        all.register("prompt_tokens", prompt, metrics.prompt_tokens.clone());
        let generated = "Tokens that were written";
        all.register("generated_tokens", generated, metrics.generated_tokens.clone());
        let steps = "Forwards that wrote a token of every text in them";
        all.register("steps", steps, metrics.steps.clone());
        metrics
    }
}

impl Metrics {
    /// All of it in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes everything");
        text
    }
}
