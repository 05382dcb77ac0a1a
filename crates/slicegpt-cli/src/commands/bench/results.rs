//! [`Results`]: medians and spreads as a table, CSV and JSON.

use std::fmt::Write;

use serde_json::{Value, json};
use slicegpt_models::DecoderSpec;

use super::capacity::Capacity;
use super::plan::{Case, Phase};
use super::worker::{Hello, Measurement};
use crate::show::output::plain_table;
use crate::show::size::show_bytes;

/// The measurements of a model in one case.
pub struct Measured {
    model: String,
    case: Case,
    hello: Hello,
    /// Seconds, ascending.
    seconds: Vec<f64>,
    /// Largest peak memory, in bytes.
    memory: Option<u64>,
    /// Floating-point operations of matrix products, if the shapes of the model are known.
    operations: Option<f64>,
    /// Bytes of weights that a decode step reads.
    step_bytes: Option<f64>,
}

/// All measurements.
pub struct Results {
    pub measured: Vec<Measured>,
    pub capacity: Vec<Capacity>,
    pub repeat: usize,
}

impl Measured {
    /// The measurements of `model` in `case`. The first one is the warm-up and does not count.
    ///
    /// # Panics
    ///
    /// If there is no other measurement.
    pub fn new(
        model: &str,
        spec: Option<&DecoderSpec>,
        hello: &Hello,
        case: Case,
        measurements: &[Measurement],
    ) -> Self {
        let mut seconds: Vec<f64> = measurements.iter().skip(1).map(|it| it.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        assert!(!seconds.is_empty(), "it is measured at least once");
        let memory = measurements.iter().filter_map(|it| it.device_memory.or(it.peak_rss));
        Self {
            model: model.into(),
            case,
            hello: hello.clone(),
            seconds,
            memory: memory.max(),
            operations: spec
                .filter(|_| case.phase == Phase::Prefill)
                .map(|spec| spec.prefill_operations(case.tokens) * case.batch as f64),
            step_bytes: spec
                .filter(|_| case.phase == Phase::Decode)
                .map(|spec| (spec.decode_elements() * hello.weight_bytes) as f64),
        }
    }

    /// Whether a model was measured, and not another program.
    fn is_ours(&self) -> bool {
        self.operations.or(self.step_bytes).is_some()
    }

    fn median(&self) -> f64 {
        let middle = self.seconds.len() / 2;
        match self.seconds.len() % 2 {
            1 => self.seconds[middle],
            _ => (self.seconds[middle - 1] + self.seconds[middle]) / 2.0,
        }
    }

    /// Tokens per second of all sequences.
    fn throughput(&self) -> f64 {
        (self.case.tokens * self.case.batch) as f64 / self.median()
    }

    /// Milliseconds per decode step.
    fn latency(&self) -> f64 {
        1e3 * self.median() / self.case.tokens as f64
    }

    /// Half of the range from fastest to slowest, relative to the median.
    fn spread(&self) -> f64 {
        let (first, last) = (self.seconds[0], self.seconds[self.seconds.len() - 1]);
        (last - first) / 2.0 / self.median()
    }
}

impl Results {
    /// The name of a model in a table: the last part of its path, if that is unique; and its
    /// device, if there are several.
    fn short(&self, name: &str, device: &str) -> String {
        fn last(name: &str) -> &str {
            name.trim_end_matches('/').rsplit('/').next().unwrap_or(name)
        }
        let own = last(name);
        let same = |other: &&Capacity| last(&other.model) == own && other.model != name;
        let short = match self.capacity.iter().find(same) {
            None if !own.is_empty() => own,
            _ => name,
        };
        match self.devices().len() {
            0 | 1 => short.into(),
            _ => format!("{short} on {device}"),
        }
    }

    /// The types of weights on a device.
    fn types(&self, device: &str) -> Vec<&str> {
        let mut types: Vec<&str> = Vec::new();
        for row in self.measured.iter().filter(|row| row.is_ours() && row.hello.device == device) {
            if !types.contains(&row.hello.weights.as_str()) {
                types.push(&row.hello.weights);
            }
        }
        types
    }

    /// One measurement per device.
    fn devices(&self) -> Vec<&Hello> {
        let mut found: Vec<&Hello> = Vec::new();
        for row in &self.measured {
            let known = found.iter().any(|hello| hello.device == row.hello.device);
            if !known && row.is_ours() {
                found.push(&row.hello);
            }
        }
        found
    }

    /// The measurement of the first model in the same case on the same device.
    fn first(&self, row: &Measured) -> &Measured {
        let same =
            |other: &&Measured| other.case == row.case && other.hello.device == row.hello.device;
        let any = |other: &&Measured| other.case == row.case;
        let mut rows = self.measured.iter();
        let first = rows.find(same).or_else(|| self.measured.iter().find(any));
        first.expect("it is there itself")
    }

    /// Tables: speeds, then capacities.
    pub fn to_table(&self) -> String {
        let header = [
            "model",
            "",
            "tokens/s",
            "ms/token",
            "spread",
            "peak memory",
            "speed-up",
            "work",
            "rate",
        ];
        let rows = self.measured.iter().map(|row| self.speed(row));
        let mut text = plain_table(&header, rows.collect(), 2).to_string();
        let devices = self.devices().into_iter().map(|hello| {
            let types = self.types(&hello.device);
            format!("{} ({}), weights {}", hello.device, hello.device_model, types.join(" and "))
        });
        let devices: Vec<String> = devices.collect();
        let _ = write!(
            text,
            "\nmedians of {}, interleaved; {}\nspeed-up: against the first model on the same \
             device\nwork: operations of a prefill, bytes of weights of a decoding step, against \
             the first model\n\n",
            self.repeat,
            devices.join("; ")
        );
        let header = ["model", "weights", "cache", "largest batch", "devices"];
        let rows = self.capacity.iter().map(|fits| self.capacity(fits));
        let _ = writeln!(text, "{}", plain_table(&header, rows.collect(), 1));
        text
    }

    /// The cells of the table of speeds.
    fn speed(&self, row: &Measured) -> Vec<String> {
        let first = self.first(row);
        let other = !std::ptr::eq(first, row);
        let saved = row.operations.zip(first.operations).map(|(own, of)| 1.0 - own / of);
        let saved = saved.or(row.step_bytes.zip(first.step_bytes).map(|(own, of)| 1.0 - own / of));
        let rate = match (row.operations, row.step_bytes) {
            (Some(operations), _) => format!("{:.1} GFLOP/s", operations / row.median() / 1e9),
            (_, Some(bytes)) => {
                let steps = row.case.tokens as f64 / row.median();
                format!("{:.2} GB/s", bytes * steps / 1e9)
            }
            (None, None) => String::new(),
        };
        // Shown for each device if they differ.
        let weights = match self.types(&row.hello.device).len() {
            0 | 1 => String::new(),
            _ => format!(", {}", row.hello.weights),
        };
        vec![
            self.short(&row.model, &row.hello.device) + &weights,
            row.case.to_string(),
            format!("{:.1}", row.throughput()),
            format!("{:.2}", row.latency()),
            match row.seconds.len() {
                1 => String::new(),
                _ => format!("±{:.0} %", 100.0 * row.spread()),
            },
            row.memory.map_or_else(String::new, show_bytes),
            if other { format!("{:.2}x", first.median() / row.median()) } else { String::new() },
            match saved {
                Some(saved) if other => format!("{:+.1} %", -100.0 * saved),
                _ => String::new(),
            },
            rate,
        ]
    }

    /// The cells of the table of capacities.
    fn capacity(&self, fits: &Capacity) -> Vec<String> {
        let [batch, devices] = match (fits.memory.map(show_bytes), fits.batch) {
            (Some(memory), Some(batch)) => [
                format!("{batch} of these on {memory}"),
                match fits.devices {
                    Some(count) => format!("{count} of {memory}"),
                    None => format!("no layer fits on {memory}"),
                },
            ],
            _ => [(); 2].map(|()| "unknown; give --memory".into()),
        };
        vec![
            self.short(&fits.model, &fits.device),
            show_bytes(fits.weights),
            format!("{} for {} tokens", show_bytes(fits.sequence), fits.tokens),
            batch,
            devices,
        ]
    }

    /// CSV: one line for each model and case.
    ///
    /// # Errors
    ///
    /// None in practice: it is written to memory.
    pub fn to_csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut out = csv::Writer::from_writer(Vec::new());
        out.write_record([
            "model",
            "device",
            "weights",
            "phase",
            "context",
            "tokens",
            "batch",
            "seconds_median",
            "seconds_min",
            "seconds_max",
            "repeats",
            "tokens_per_second",
            "milliseconds_per_token",
            "peak_memory_bytes",
            "operations",
            "weight_bytes_per_step",
        ])?;
        for row in &self.measured {
            let Case { context, tokens, batch, phase } = row.case;
            let number = |value: Option<f64>| value.map_or_else(String::new, |x| format!("{x:.0}"));
            out.write_record([
                row.model.clone(),
                row.hello.device.clone(),
                row.hello.weights.clone(),
                phase_name(phase).into(),
                context.to_string(),
                tokens.to_string(),
                batch.to_string(),
                format!("{:.6}", row.median()),
                format!("{:.6}", row.seconds[0]),
                format!("{:.6}", row.seconds[row.seconds.len() - 1]),
                row.seconds.len().to_string(),
                format!("{:.3}", row.throughput()),
                format!("{:.4}", row.latency()),
                number(row.memory.map(|bytes| bytes as f64)),
                number(row.operations),
                number(row.step_bytes),
            ])?;
        }
        out.into_inner().map_err(|error| error.into_error().into())
    }

    /// All results as JSON.
    pub fn to_json(&self, machine: &Value) -> Value {
        let rows = self.measured.iter().map(|row| {
            let Case { context, tokens, batch, phase } = row.case;
            let first = self.first(row);
            json!({
                "model": row.model,
                "device": row.hello.device,
                "device_model": row.hello.device_model,
                "weights": row.hello.weights,
                "phase": phase_name(phase),
                "context": context,
                "tokens": tokens,
                "batch": batch,
                "seconds": row.seconds,
                "seconds_median": row.median(),
                "tokens_per_second": row.throughput(),
                "milliseconds_per_token": row.latency(),
                "spread": row.spread(),
                "peak_memory_bytes": row.memory,
                "operations": row.operations,
                "weight_bytes_per_step": row.step_bytes,
                "speed_up": first.median() / row.median(),
            })
        });
        json!({
            "benchmarks": rows.collect::<Vec<_>>(),
            "capacity": self.capacity.iter().map(Capacity::to_json).collect::<Vec<_>>(),
            "machine": machine,
        })
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Prefill => "prefill",
        Phase::Decode => "decode",
    }
}
