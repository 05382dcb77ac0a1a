//! Pages about results: one about a run, one for each device, and the table of all devices. Results
//! may be incomplete: the pages say what is missing.

mod agreement;
mod figures;
mod head;
mod publish;
mod rates;
mod work;

pub use publish::publish;

use crate::{Results, STAGES, Status};

/// The page about a run, as Markdown: `results.md`.
pub fn markdown(results: &Results) -> String {
    let title = format!("# {}, as the GPU kit found it", head::model(results));
    let parts = [
        title,
        head::about(results),
        verdict(results),
        stages(results),
        agreement::checks(results),
        agreement::faults(results),
        rates::rates(results),
        work::compressions(results),
        work::speeds(results),
        head::driver(results),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n") + "\n"
}

/// The summary at the top.
fn verdict(results: &Results) -> String {
    let mut text = agreement::summary(results);
    if head::is_software(results) {
        text.push_str(
            "\n\n**This device is a software rasteriser, no GPU.** It shows that the kit works \
             and that results agree; it says nothing about the speed of a GPU.",
        );
    }
    text
}

/// The outcome of each stage.
fn stages(results: &Results) -> String {
    let mut text = String::from("## Stages\n\n| stage | | seconds | |\n|---|---|---:|---|\n");
    for stage in STAGES {
        let found = results.stages.iter().find(|found| found.name == stage.name);
        let (status, seconds, reason) = match found {
            None => ("not reached", None, None),
            Some(found) => (status(found.status), found.seconds, found.reason.as_deref()),
        };
        let seconds = seconds.map_or_else(|| "-".into(), |seconds| format!("{seconds:.0}"));
        let reason = figures::cell(reason.unwrap_or_default());
        text.push_str(&format!("| {} | {status} | {seconds} | {reason} |\n", stage.title));
    }
    text.trim_end().to_owned()
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Done => "done",
        Status::Failed => "failed",
        Status::TimedOut => "stopped at its limit",
        Status::CutOff => "cut off",
        Status::Skipped => "skipped",
    }
}
