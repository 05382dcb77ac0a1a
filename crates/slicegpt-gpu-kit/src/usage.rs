//! The resources that a process uses, sampled from outside: CPU time, disk and memory from `/proc`,
//! the device from its driver. It does not know what the process does.
//!
//! The driver counts the device as busy while any kernel runs, however small. Its utilisation shows
//! when a device waits, not how well it is used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Usage;

/// The source of a device's utilisation.
#[derive(Clone, Debug)]
pub enum Counters {
    /// `nvidia-smi`, for the device with this name.
    Nvidia(String),
    /// The folder of an AMD device in sysfs.
    Amd(PathBuf),
}

/// One sample of a device.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    busy: f64,
    bytes: Option<u64>,
}

/// Time between two samples of a device.
const PERIOD: Duration = Duration::from_millis(250);

/// Samples one process.
pub struct Sampler {
    process: u32,
    next: Instant,
    usage: Usage,
    samples: Option<Receiver<Sample>>,
    busy: f64,
    nvidia: Option<std::process::Child>,
    amd: Option<PathBuf>,
}

impl Counters {
    /// The counters of the device whose driver reports the name `model`, if it has any.
    pub fn of(model: &str) -> Option<Self> {
        if model.contains("NVIDIA") {
            let query = ["--query-gpu=name", "--format=csv,noheader"];
            let output = Command::new("nvidia-smi").args(query).output().ok()?;
            let names = String::from_utf8_lossy(&output.stdout).into_owned();
            let here = names.lines().any(|name| name.trim() == model);
            return here.then(|| Self::Nvidia(model.into()));
        }
        let cards = fs::read_dir("/sys/class/drm").ok()?;
        let mut folders = cards.filter_map(|card| Some(card.ok()?.path().join("device")));
        folders.find(|folder| folder.join("gpu_busy_percent").is_file()).map(Self::Amd)
    }
}

impl Sampler {
    /// Starts to sample `process` and, with `counters`, a device.
    pub fn new(process: u32, counters: Option<&Counters>) -> Self {
        let (nvidia, samples) = match counters {
            Some(Counters::Nvidia(name)) => nvidia(name).unzip(),
            _ => (None, None),
        };
        let amd = match counters {
            Some(Counters::Amd(folder)) => Some(folder.clone()),
            _ => None,
        };
        let usage = Usage::default();
        Self { process, next: Instant::now(), usage, samples, busy: 0.0, nvidia, amd }
    }

    /// Takes a sample if it is due. The last values before the process ends are the result.
    pub fn look(&mut self) {
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + PERIOD / 5;
        let folder = PathBuf::from(format!("/proc/{}", self.process));
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        if let Some((cpu, wait)) = read("stat").and_then(|text| times(&text)) {
            self.usage.cpu_seconds = Some(cpu);
            self.usage.disk_wait_seconds = Some(wait);
        }
        if let Some(text) = read("io") {
            self.usage.disk_read_bytes = field(&text, "read_bytes:");
            self.usage.disk_write_bytes = field(&text, "write_bytes:");
        }
        if let Some(kib) = read("status").and_then(|text| field(&text, "VmHWM:")) {
            self.usage.peak_rss_bytes = Some(kib * 1024);
        }
        let amd = self.amd.as_deref().and_then(amd);
        let nvidia: Vec<Sample> = self.samples.iter().flat_map(Receiver::try_iter).collect();
        amd.into_iter().chain(nvidia).for_each(|sample| self.add(sample));
    }

    fn add(&mut self, sample: Sample) {
        self.usage.device_samples += 1;
        self.busy += sample.busy;
        self.usage.device_memory_bytes = self.usage.device_memory_bytes.max(sample.bytes);
    }

    /// Ends the sampling and returns the usage.
    pub fn finish(mut self) -> Usage {
        if let Some(mut child) = self.nvidia.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if self.usage.device_samples > 0 {
            self.usage.device_busy = Some(self.busy / self.usage.device_samples as f64);
        }
        self.usage
    }
}

/// CPU seconds, and seconds waited for block devices, in `/proc/PID/stat`.
fn times(stat: &str) -> Option<(f64, f64)> {
    // The name of the program, in parentheses, may contain spaces, so fields are counted after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let of_a_second = 100.0;
    let cpu = ticks(14)? + ticks(15)?;
    Some((cpu / of_a_second, ticks(42)? / of_a_second))
}

/// The number after `name`, which begins a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What the driver of an AMD GPU reports in `folder`.
fn amd(folder: &Path) -> Option<Sample> {
    let number = |name: &str| -> Option<u64> {
        fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok()
    };
    let busy = number("gpu_busy_percent")? as f64 / 100.0;
    Some(Sample { busy, bytes: number("mem_info_vram_used") })
}

/// Starts `nvidia-smi`, which prints a line per period until it is killed.
fn nvidia(model: &str) -> Option<(std::process::Child, Receiver<Sample>)> {
    use std::io::{BufRead, BufReader};
    let period = PERIOD.as_millis().to_string();
    let mut command = Command::new("nvidia-smi");
    command.args(["--query-gpu=name,utilization.gpu,memory.used", "--format=csv,noheader,nounits"]);
    command.args(["-lms", &period]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().ok()?;
    let lines = BufReader::new(child.stdout.take()?).lines();
    let (sender, receiver) = channel();
    let model = model.to_owned();
    thread::spawn(move || {
        for sample in lines.map_while(Result::ok).filter_map(|line| nvidia_sample(&line, &model)) {
            if sender.send(sample).is_err() {
                break;
            }
        }
    });
    Some((child, receiver))
}

fn nvidia_sample(line: &str, model: &str) -> Option<Sample> {
    let mut fields = line.split(',').map(str::trim);
    let name = fields.next()?;
    let busy: f64 = fields.next()?.parse().ok()?;
    let mib: Option<u64> = fields.next()?.parse().ok();
    let bytes = mib.map(|mib| mib << 20);
    (name == model).then_some(Sample { busy: busy / 100.0, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        let mut fields = vec!["0"; 50];
        fields[0] = "S";
        (fields[14 - 3], fields[15 - 3], fields[42 - 3]) = ("250", "50", "7");
        let stat = format!("12 (a b) c) {}", fields.join(" "));
        assert_eq!(times(&stat), Some((3.0, 0.07)));
        assert_eq!(times("12 (a) S 1"), None);
        let status = "Name:\tx\nVmHWM:\t   1234 kB\n";
        assert_eq!(field(status, "VmHWM:"), Some(1234));
        let sample = nvidia_sample("NVIDIA H200, 87, 1024", "NVIDIA H200");
        assert_eq!(sample, Some(Sample { busy: 0.87, bytes: Some(1 << 30) }));
        assert_eq!(nvidia_sample("NVIDIA H100 PCIe, 87, 1024", "NVIDIA H200"), None);
    }
}
