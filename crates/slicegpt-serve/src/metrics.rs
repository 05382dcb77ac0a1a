//! [`Metrics`]: the Prometheus metrics of a server.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Labels of a finished request.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    pub endpoint: String,
    pub status: u32,
}

/// The label of a request whose duration is measured.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct EndpointLabel {
    pub endpoint: String,
}

/// Why a sequence ended: `stop`, `length`, `gone` (the client disconnected), `stalled` (the client
/// stopped reading) or `failed`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ReasonLabel {
    pub reason: &'static str,
}

/// The metrics of a server.
pub struct Metrics {
    registry: Registry,
    pub requests: Family<RequestLabels, Counter>,
    pub seconds: Family<EndpointLabel, Histogram, fn() -> Histogram>,
    pub waiting: Gauge,
    pub running: Gauge,
    pub cache_bytes: Gauge,
    pub prompt_tokens: Counter,
    pub generated_tokens: Counter,
    pub steps: Counter,
    pub ended: Family<ReasonLabel, Counter>,
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
        let registry = &mut metrics.registry;
        let requests = "Requests by endpoint and status; 499: the client disconnected";
        registry.register("requests", requests, metrics.requests.clone());
        let seconds = "Seconds from a request to the last byte of its response";
        registry.register("request_seconds", seconds, metrics.seconds.clone());
        let waiting = "Sequences that wait to be scheduled";
        registry.register("sequences_waiting", waiting, metrics.waiting.clone());
        let running = "Sequences in the running batch";
        registry.register("sequences_running", running, metrics.running.clone());
        let ended = "Sequences that ended, by reason";
        registry.register("sequences_ended", ended, metrics.ended.clone());
        let cache = "Bytes reserved for the KV caches of running sequences";
        registry.register("cache_bytes", cache, metrics.cache_bytes.clone());
        let prompt = "Prompt tokens processed";
        registry.register("prompt_tokens", prompt, metrics.prompt_tokens.clone());
        let generated = "Tokens generated";
        registry.register("generated_tokens", generated, metrics.generated_tokens.clone());
        let steps = "Decode steps: forward passes that generate a token per sequence";
        registry.register("steps", steps, metrics.steps.clone());
        metrics
    }
}

impl Metrics {
    /// All metrics in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string cannot fail");
        text
    }
}
