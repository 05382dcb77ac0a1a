//! `cargo xtask study`: compares the compression methods at equal real size.

mod aggregate;
mod chart;
mod csv;
mod json;
mod options;
mod plan;
mod results;
mod run;
mod setting;
mod table;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::machine::Machine;
use crate::versions::Versions;
use crate::whole;
use crate::workspace::Workspace;
pub use options::Args;
use setting::Setting;

pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let plan = args.plan()?;
    let folder = args.out.clone().unwrap_or_else(|| workspace.root.join("docs/study"));
    // An error now, not after hours of work.
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make --out {}", folder.display()))?;
    let binary = workspace.build("slicegpt")?;
    let setting = Setting {
        machine: Machine::here(&workspace.root),
        versions: Versions::of(&workspace.root)?,
    };

    let scratch = tempfile::Builder::new()
        .prefix("slicegpt-study-")
        .tempdir_in(&workspace.target_dir)
        .with_context(|| format!("cannot write in {}", workspace.target_dir.display()))?;
    let slicegpt = run::program(&binary);
    let study = run::study(&plan, &scratch.path().join("out"), &slicegpt, &|line| {
        eprintln!("{line}");
    });

    let failed = study.runs.iter().filter_map(|run| run.found.as_ref().err());
    if let (count, Some(error)) = (failed.clone().count(), failed.clone().next())
        && count == study.runs.len()
    {
        bail!("nothing to write, since every run failed, the first with: {error}");
    }
    let mut files = vec![
        ("study.csv".to_owned(), csv::text(&study)?),
        ("study.json".to_owned(), format!("{:#}\n", json::value(&setting, &plan, &study)?)),
        ("study.md".to_owned(), table::markdown(&setting, &plan, &study)),
    ];
    for model in &plan.models {
        files.push((chart::file_name(&model.name), chart::svg(&plan, &study, &model.name)?));
    }
    for path in whole::write(&folder, &files)? {
        println!("wrote {}", path.display());
    }
    if let count @ 1.. = failed.count() {
        eprintln!("{count} of {} runs failed; study.md says why", study.runs.len());
    }
    Ok(ExitCode::SUCCESS)
}
