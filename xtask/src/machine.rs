//! Where and when a measurement was made: machine, date, commit and compiler.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_gib: Option<f64>,
    pub system: String,
    pub date: String,
    pub commit: String,
    pub rustc: String,
}

#[cfg(test)]
impl Machine {
    /// An example for the tests of reports.
    pub fn example() -> Self {
        Self {
            cpu: "CPU".to_owned(),
            cores: 2,
            memory_gib: Some(16.0),
            system: "Linux".to_owned(),
            date: "2026-01-01".to_owned(),
            commit: "abc".to_owned(),
            rustc: "rustc 1".to_owned(),
        }
    }
}

const UNKNOWN: &str = "unknown";

impl Machine {
    pub fn here(root: &Path) -> Self {
        Self {
            cpu: cpu().unwrap_or_else(|| UNKNOWN.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory_bytes().map(|bytes| bytes / f64::from(1 << 30)),
            system: output(root, "uname", &["-srm"])
                .unwrap_or_else(|| format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
            date: date(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())),
            commit: commit(root).unwrap_or_else(|| UNKNOWN.to_owned()),
            rustc: output(root, "rustc", &["--version"]).unwrap_or_else(|| UNKNOWN.to_owned()),
        }
    }

    /// A description on one line.
    pub fn summary(&self) -> String {
        let memory = self.memory_gib.map_or(String::new(), |gib| format!(", {gib:.0} GiB"));
        format!("{}, {} cores{memory}, {}", self.cpu, self.cores, self.system)
    }

    pub fn to_json(&self) -> Value {
        json!({
            "cpu": self.cpu,
            "cores": self.cores,
            "memory_gib": self.memory_gib.map(f64::round),
            "system": self.system,
            "date": self.date,
            "commit": self.commit,
            "rustc": self.rustc,
        })
    }
}

fn cpu() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok();
    info.and_then(|info| field(&info, "model name"))
        .or_else(|| output(Path::new("/"), "sysctl", &["-n", "machdep.cpu.brand_string"]))
        .or_else(|| std::env::var("PROCESSOR_IDENTIFIER").ok())
}

fn memory_bytes() -> Option<f64> {
    if let Ok(info) = std::fs::read_to_string("/proc/meminfo") {
        let kib = field(&info, "MemTotal")?;
        return Some(kib.strip_suffix(" kB")?.parse::<f64>().ok()? * 1024.0);
    }
    output(Path::new("/"), "sysctl", &["-n", "hw.memsize"])?.parse().ok()
}

/// The value of the first `key : value` line.
fn field(text: &str, key: &str) -> Option<String> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim().to_owned())
}

/// The commit, with a mark if the working tree differs from it.
fn commit(root: &Path) -> Option<String> {
    let commit = output(root, "git", &["rev-parse", "--short=12", "HEAD"])?;
    // Reports do not count: this run will change them, or an earlier one has.
    let status = ["status", "--porcelain", "--", ".", ":!docs/bench", ":!docs/study"];
    let is_clean = output(root, "git", &status).is_none();
    Some(if is_clean { commit } else { format!("{commit} with changes") })
}

/// The trimmed output of a program; `None` if it fails or prints nothing.
fn output(folder: &Path, program: &str, args: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(args).current_dir(folder).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// The UTC day of a Unix time, as year-month-day.
fn date(seconds: u64) -> String {
    // Years begin in March here, so that leap days come last; 400 such years are one cycle.
    let days = seconds / 86_400 + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", cycle * 400 + year + carry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_over_leap_years() {
        let rows = [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_767_225_599, "2025-12-31"),
            (1_767_225_600, "2026-01-01"),
        ];
        for (seconds, expected) in rows {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn a_field_is_read_by_name() {
        let info = "processor\t: 0\nmodel name\t: Fast CPU @ 3: GHz\n";
        assert_eq!(field(info, "model name").as_deref(), Some("Fast CPU @ 3: GHz"));
        assert_eq!(field(info, "flags"), None);
    }
}
