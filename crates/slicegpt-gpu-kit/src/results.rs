//! [`Results`]: all results of a run, as one versioned JSON file made from the files of its stages.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Line, STAGES};

/// The version of the layout of the file. It increases with every incompatible change.
pub const SCHEMA: u64 = 1;

/// All results of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: u64,
    /// The contents of `kit.json` in the archive: version, commit, features.
    #[serde(default)]
    pub kit: Value,
    /// The device that was tested, as the options name it.
    #[serde(default)]
    pub device: String,
    /// When the run began, in UTC.
    #[serde(default)]
    pub started: String,
    /// The time limit of the run, in minutes.
    #[serde(default)]
    pub minutes: f64,
    /// The stages, in the order of [`STAGES`]; some may be missing.
    #[serde(default)]
    pub stages: Vec<StageResult>,
}

/// The results of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageResult {
    /// Its name.
    pub name: String,
    /// Its outcome.
    pub status: Status,
    /// Seconds it took, if it ended.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// Why it was skipped, or failed.
    #[serde(default)]
    pub reason: Option<String>,
    /// Its results.
    #[serde(default)]
    pub lines: Vec<Line>,
}

/// The outcome of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It ended by itself.
    Done,
    /// It ended with an error.
    Failed,
    /// It was stopped at its time limit.
    TimedOut,
    /// The whole run ended before the stage did.
    CutOff,
    /// It was not started.
    Skipped,
}

impl Results {
    /// Reads a file that [`Results::write`] wrote.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or has another version.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        let value: Value =
            serde_json::from_str(&text).with_context(|| format!("{shown} is not JSON"))?;
        match value["schema"].as_u64() {
            Some(SCHEMA) => {}
            Some(other) => bail!(
                "{shown}: results of schema {other}; this version reads schema {SCHEMA}: use the \
                 version that made the kit"
            ),
            None => bail!("{shown}: no field `schema`: these are not results of the GPU kit"),
        }
        serde_json::from_value(value).with_context(|| format!("{shown}: damaged results"))
    }

    /// Reads the results of the stages from their files in `folder`.
    ///
    /// A stage's lines are in `NAME.jsonl`, or in `NAME.part` while it runs; how it ended is in
    /// `NAME.end`, as `STATUS SECONDS REASON`.
    ///
    /// # Errors
    ///
    /// If a file is there and cannot be read.
    pub fn collect(&mut self, folder: &Path) -> Result<()> {
        self.stages.clear();
        for stage in STAGES {
            let text = |suffix: &str| read(&folder.join(format!("{}.{suffix}", stage.name)));
            let (end, whole, part) = (text("end")?, text("jsonl")?, text("part")?);
            if end.is_none() && whole.is_none() && part.is_none() {
                continue;
            }
            let (status, seconds, reason) =
                end.as_deref().map_or((Status::CutOff, None, None), ended);
            // The last line may have been cut in the middle.
            let lines = whole.or(part).unwrap_or_default();
            let lines = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            let name = stage.name.to_owned();
            self.stages.push(StageResult { name, status, seconds, reason, lines });
        }
        Ok(())
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_whole(path, &(serde_json::to_string_pretty(self)? + "\n"))
    }

    /// The problems, one line each: stages that failed or were stopped, checks that did not pass,
    /// faults that were not handled as expected. Skipped work is not a problem.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for StageResult { name, status, reason, .. } in &self.stages {
            if matches!(status, Status::Failed | Status::TimedOut | Status::CutOff) {
                problems.push(format!("{name}: {}", reason.as_deref().unwrap_or("cut off")));
            }
        }
        for line in self.lines() {
            problems.extend(match line {
                Line::Check(check) if !check.passed => Some(format!(
                    "{}, {}: {:?}, and {:e} is allowed",
                    check.group, check.name, check.difference, check.tolerance
                )),
                Line::Fault(fault) if !fault.passed => {
                    Some(format!("{}: status {:?}, {}", fault.name, fault.status, fault.said))
                }
                Line::Failed { name, reason } => Some(format!("{name}: {reason}")),
                _ => None,
            });
        }
        problems
    }

    /// All lines of all stages.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.stages.iter().flat_map(|stage| &stage.lines)
    }

    /// The value of the fact `name`.
    pub fn fact(&self, name: &str) -> Option<&Value> {
        self.lines().find_map(|line| match line {
            Line::Fact { name: found, value } if found == name => Some(value),
            _ => None,
        })
    }
}

/// Writes a temporary file next to `path`, flushes it to disk, and renames it to `path`.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_whole(path: &Path, text: &str) -> Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(new, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn read(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn ended(text: &str) -> (Status, Option<f64>, Option<String>) {
    let mut words = text.trim().splitn(3, ' ');
    let status = match words.next() {
        Some("done") => Status::Done,
        Some("failed") => Status::Failed,
        Some("timed-out") => Status::TimedOut,
        Some("skipped") => Status::Skipped,
        _ => Status::CutOff,
    };
    let seconds = words.next().and_then(|word| word.parse().ok());
    (status, seconds, words.next().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Results {
        Results {
            schema: SCHEMA,
            kit: Value::Null,
            device: "wgpu:0".into(),
            started: "2026-01-01T00:00:00Z".into(),
            minutes: 6.0,
            stages: Vec::new(),
        }
    }

    #[test]
    fn stages_are_collected_as_far_as_they_came() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let fact = "{\"kind\":\"fact\",\"name\":\"driver\",\"value\":\"1.2\"}\n";
        put("devices.jsonl", fact);
        put("devices.end", "done 2\n");
        put("precision.part", &format!("{fact}{{\"kind\":\"fact\",\"na"));
        put("families.end", "skipped 0 3 s are left\n");
        put("methods.jsonl", "{\"kind\":\"of-tomorrow\",\"x\":1}\n");
        put("methods.end", "timed-out 90\n");
        let mut results = empty();
        results.collect(folder.path()).unwrap();
        let found: Vec<_> =
            results.stages.iter().map(|it| (it.name.as_str(), it.status, it.lines.len())).collect();
        assert_eq!(
            found,
            [
                ("devices", Status::Done, 1),
                ("precision", Status::CutOff, 1),
                ("families", Status::Skipped, 0),
                ("methods", Status::TimedOut, 1),
            ]
        );
        assert_eq!(results.stages[2].reason.as_deref(), Some("3 s are left"));
        assert_eq!(results.stages[3].lines, [Line::Unknown]);
        assert_eq!(results.fact("driver"), Some(&Value::from("1.2")));
        assert_eq!(results.problems().len(), 2, "{:?}", results.problems());
        let path = folder.path().join("results.json");
        results.write(&path).unwrap();
        assert_eq!(Results::read(&path).unwrap(), results);
    }

    #[test]
    fn other_versions_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        for (text, words) in [
            ("{\"schema\": 2}", "schema 2; this version reads schema 1"),
            ("{}", "no field `schema`"),
            ("[", "is not JSON"),
            ("{\"schema\": 1, \"stages\": 3}", "damaged"),
        ] {
            fs::write(&path, text).unwrap();
            let error = format!("{:#}", Results::read(&path).unwrap_err());
            assert!(error.contains(words), "{error}");
        }
        fs::write(&path, "{\"schema\": 1}").unwrap();
        assert!(Results::read(&path).unwrap().stages.is_empty());
    }
}
