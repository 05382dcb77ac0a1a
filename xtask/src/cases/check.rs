//! [`Case`]: what the output of a script must be; [`problems`]: what is wrong with one.

use std::fmt::{self, Display};

/// A row of the table.
pub struct Case {
    /// The folder of the script.
    pub name: &'static str,
    /// What the script needs, besides bash, Python and the usual programs.
    pub needs: &'static [Need],
    pub checks: &'static [Check],
}

/// What a case needs of the machine.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// A program.
    Program(&'static str),
    /// A module of Python.
    Module(&'static str),
    /// To be run by root.
    Root,
}

/// What must be true of an output.
pub enum Check {
    /// The output contains a text.
    Has(&'static str),
    /// It does not.
    Lacks(&'static str),
    /// It contains one of these.
    AnyOf(&'static [&'static str]),
    /// Its last line does not contain a text.
    LastLacks(&'static str),
    /// Its last line is this.
    Last(&'static str),
    /// It contains a text this many times.
    Times(&'static str, usize),
    /// The number after each occurrence of a text is at most this; there is at least one.
    AtMost(&'static str, f64),
    /// The word after each occurrence of a text is the same; there are at least two.
    Same(&'static str),
    /// Every measured run ends with one of these exit codes, within these seconds and megabytes;
    /// there is at least one. A run with exit code 2 wrote one line that begins with `error: `.
    Runs { exits: &'static [i32], seconds: f64, peak_mb: u64 },
    /// Every line that begins with `error: ` contains a text; there is at least one.
    Errors(&'static str),
}

/// What no output may contain: aborts, panics, hangs.
const NEVER: &[&str] = &[
    "exit 134",
    "rc 134",
    "rc 101",
    "exit 101",
    "panicked",
    "(SIG",
    "HANG",
    "internal error",
    "memory allocation of",
    "overflowed its stack",
];

/// The largest number of characters of an error message.
const MESSAGE: usize = 1000;

/// What is wrong with the output of a case.
pub fn problems(case: &Case, output: &str) -> Vec<String> {
    let mut problems: Vec<_> = NEVER.iter().filter_map(|text| absent(output, text)).collect();
    for check in case.checks {
        problems.extend(check.problems(output));
    }
    problems
}

/// The largest memory that a run was measured with, or that a server told of.
pub fn peak_mb(output: &str) -> Option<u64> {
    let runs = runs(output).map(|run| run.peak_mb);
    let told = output.lines().filter_map(|line| line.strip_suffix(" MB")?.rsplit(' ').next());
    runs.chain(told.filter_map(|number| number.parse().ok())).max()
}

impl Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(program) => write!(f, "needs the program {program}"),
            Self::Module(module) => write!(f, "needs the Python module {module} (--python)"),
            Self::Root => write!(f, "needs to be run by root"),
        }
    }
}

impl Check {
    fn problems(&self, output: &str) -> Vec<String> {
        let last = output.lines().next_back().unwrap_or_default().trim();
        let found = match self {
            Self::Has(text) => present(output, text),
            Self::Lacks(text) => absent(output, text),
            Self::AnyOf(texts) => (!texts.iter().any(|text| output.contains(text)))
                .then(|| format!("it contains none of {texts:?}")),
            Self::LastLacks(text) => {
                last.contains(text).then(|| format!("its last line contains {text:?}"))
            }
            Self::Last(text) => {
                (last != *text).then(|| format!("its last line is {last:?}, not {text:?}"))
            }
            Self::Times(text, count) => {
                let found = output.matches(text).count();
                (found != *count)
                    .then(|| format!("it contains {text:?} {found} times, not {count}"))
            }
            Self::AtMost(text, max) => return at_most(output, text, *max),
            Self::Same(text) => {
                let mut words = words_after(output, text);
                let first = words.next();
                let mut rest = words.peekable();
                let same = rest.peek().is_some() && rest.all(|word| Some(word) == first);
                (!same).then(|| format!("what follows {text:?} is not always the same"))
            }
            Self::Runs { exits, seconds, peak_mb } => {
                return run_problems(output, exits, *seconds, *peak_mb);
            }
            Self::Errors(text) => {
                let mut errors = output.lines().filter(|line| line.starts_with("error: "));
                let mut errors = errors.by_ref().peekable();
                let all = errors.peek().is_some() && errors.all(|line| line.contains(text));
                (!all).then(|| format!("not every error contains {text:?}, or there is none"))
            }
        };
        found.into_iter().collect()
    }
}

fn present(output: &str, text: &str) -> Option<String> {
    (!output.contains(text)).then(|| format!("it does not contain {text:?}"))
}

fn absent(output: &str, text: &str) -> Option<String> {
    output.contains(text).then(|| format!("it contains {text:?}"))
}

/// The words after each occurrence of `text`.
fn words_after<'a>(output: &'a str, text: &str) -> impl Iterator<Item = &'a str> {
    let parts = output.split(text).skip(1);
    parts.map(|rest| rest.split_whitespace().next().unwrap_or_default())
}

fn at_most(output: &str, text: &str, max: f64) -> Vec<String> {
    let number = |word: &str| word.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<f64>();
    let mut problems = Vec::new();
    let mut words = words_after(output, text).peekable();
    if words.peek().is_none() {
        problems.push(format!("it does not contain {text:?}"));
    }
    for word in words {
        match number(word) {
            Ok(number) if number <= max => {}
            Ok(number) => problems.push(format!("{number} after {text:?} is more than {max}")),
            Err(_) => problems.push(format!("no number follows {text:?}, but {word:?}")),
        }
    }
    problems
}

/// A run that `measure.py` measured.
struct Run<'a> {
    exit: i32,
    seconds: f64,
    peak_mb: u64,
    /// What it wrote on stderr.
    stderr: Vec<&'a str>,
}

/// The runs that end with a line such as `exit 2, 0.3 s, peak 150 MB (...)`.
fn runs(output: &str) -> impl Iterator<Item = Run<'_>> {
    let mut stderr = Vec::new();
    output.lines().filter_map(move |line| {
        if line.starts_with("--- ") {
            stderr.clear();
            return None;
        }
        let parsed = parse_run(line);
        if parsed.is_none() {
            stderr.push(line);
        }
        let (exit, seconds, peak_mb) = parsed?;
        Some(Run { exit, seconds, peak_mb, stderr: std::mem::take(&mut stderr) })
    })
}

fn parse_run(line: &str) -> Option<(i32, f64, u64)> {
    let (exit, rest) = line.strip_prefix("exit ")?.split_once(", ")?;
    let (seconds, rest) = rest.split_once(" s, peak ")?;
    let (peak, _) = rest.split_once(" MB")?;
    Some((exit.parse().ok()?, seconds.parse().ok()?, peak.parse().ok()?))
}

fn run_problems(output: &str, exits: &[i32], seconds: f64, peak_mb: u64) -> Vec<String> {
    let mut problems = Vec::new();
    let mut count = 0;
    for run in runs(output) {
        count += 1;
        let said = run.stderr.last().copied().unwrap_or_default();
        let mut problem = |text: String| problems.push(format!("run {count}: {text}"));
        if !exits.contains(&run.exit) {
            problem(format!("exit code {}, not {exits:?}", run.exit));
        }
        if run.seconds > seconds {
            problem(format!("{} s, more than {seconds}", run.seconds));
        }
        if run.peak_mb > peak_mb {
            problem(format!("{} MB, more than {peak_mb}", run.peak_mb));
        }
        let errors = run.stderr.iter().filter(|line| line.starts_with("error: ")).count();
        if run.exit == 2 && errors != 1 {
            problem(format!("{errors} lines begin with `error: `, not one: {said:?}"));
        }
        if length(said) > MESSAGE {
            problem(format!("its message has {} characters", length(said)));
        }
    }
    if count == 0 {
        problems.push("no run was measured".to_owned());
    }
    problems
}

/// The length of a message, of which `measure.py` shows the beginning: `... (1234 characters)`.
fn length(line: &str) -> usize {
    let told = line.strip_suffix(" characters)").and_then(|line| line.rsplit('(').next());
    told.and_then(|number| number.parse().ok()).unwrap_or(line.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: Check = Check::Runs { exits: &[2], seconds: 5.0, peak_mb: 200 };

    fn case(checks: &'static [Check]) -> Case {
        Case { name: "a", needs: &[], checks }
    }

    #[test]
    fn a_run_is_measured() {
        let good = "7 bytes\nerror: f: too large\nexit 2, 0.3 s, peak 150 MB (address space)\n";
        let case = case(&[RUNS, Check::Errors("f: ")]);
        assert_eq!(problems(&case, good), Vec::<String>::new());
        assert_eq!(peak_mb(good), Some(150));
        for (bad, word) in [
            ("", "no run was measured"),
            ("exit 2, 0.3 s, peak 150 MB\n", "0 lines begin"),
            ("error: f: \nerror: f: \nexit 2, 0.3 s, peak 150 MB\n", "2 lines begin"),
            ("error: f: \nexit 0, 0.3 s, peak 150 MB\n", "exit code 0"),
            ("error: f: \nexit 2, 6.3 s, peak 150 MB\n", "6.3 s"),
            ("error: f: \nexit 2, 0.3 s, peak 201 MB\n", "201 MB"),
            ("error: f: a... (1001 characters)\nexit 2, 0.3 s, peak 1 MB\n", "1001 characters"),
            ("error: g\nexit 2, 0.3 s, peak 150 MB\n", "not every error"),
            ("error: f: \nsignal 6 (SIGABRT), 0.3 s, peak 150 MB\n", "(SIG"),
            ("HANG: killed after 4 s, 4.0 s, peak 16 MB\n", "HANG"),
        ] {
            let found = problems(&case, bad).join("; ");
            assert!(found.contains(word), "{bad}: {found}");
        }
    }

    #[test]
    fn words_are_compared() {
        let output = "rc 0\nrc 0\n/health 200 after 3.1 s\n['400 after 0.5 s', '400 after 2 s']";
        let good: &[Check] = &[
            Check::Has("rc 0"),
            Check::Lacks("rc 2"),
            Check::AnyOf(&["rc 2", "rc 0"]),
            Check::Times("rc 0", 2),
            Check::Same("rc "),
            Check::AtMost(" after ", 3.2),
            Check::LastLacks("rc"),
            Check::Last("['400 after 0.5 s', '400 after 2 s']"),
        ];
        for check in good {
            assert_eq!(check.problems(output), Vec::<String>::new());
        }
        let bad: &[Check] = &[
            Check::Has("rc 2"),
            Check::Lacks("rc 0"),
            Check::AnyOf(&["rc 2", "rc 1"]),
            Check::Times("rc 0", 1),
            Check::Same("0 after "),
            Check::Same("/health "),
            Check::AtMost(" after ", 3.0),
            Check::AtMost("/health", 1.0),
            Check::AtMost("MB ", 3.0),
            Check::LastLacks("400"),
            Check::Last("rc 0"),
        ];
        for (index, check) in bad.iter().enumerate() {
            assert!(!check.problems(output).is_empty(), "{index}");
        }
    }
}
