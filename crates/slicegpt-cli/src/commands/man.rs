//! `slicegpt man`: manual pages, from the same texts as `--help`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Command;
use clap_mangen::Man;

use crate::show::output;
use crate::show::progress::note;

/// Arguments of `slicegpt man`.
#[derive(clap::Args)]
pub struct Args {
    /// Command whose page is printed, such as `compress` or `eval ppl` [default: slicegpt itself]
    #[arg(conflicts_with = "out")]
    command: Vec<String>,
    /// Write the pages of all commands into this directory, as `slicegpt-compress.1`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs it, for `root`.
pub fn run(args: Args, root: Command) -> Result<ExitCode> {
    let mut root = root.disable_help_subcommand(true);
    root.build();
    match args.out {
        None => output::write(&page(find(&root, &args.command)?)?)?,
        Some(directory) => {
            let made = make(&directory).with_context(|| directory.display().to_string())?;
            let written = write_all(&root, &directory);
            if written.is_err() {
                // Those that other programs wrote to meanwhile stay.
                made.iter().rev().take_while(|path| std::fs::remove_dir(path).is_ok()).count();
            }
            note(format!("{} pages in {}", written?, directory.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a directory, and returns which directories it made, outermost first.
fn make(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let absolute = std::path::absolute(directory)?;
    let missing = absolute.ancestors().take_while(|path| !path.exists());
    let mut made: Vec<PathBuf> = missing.map(Path::to_path_buf).collect();
    made.reverse();
    for (number, path) in made.iter().enumerate() {
        if let Err(error) = std::fs::create_dir(path) {
            made[..number].iter().rev().take_while(|it| std::fs::remove_dir(it).is_ok()).count();
            return Err(error);
        }
    }
    Ok(made)
}

/// Writes the pages of all commands into `directory`, all of them or none, and returns how many.
fn write_all(root: &Command, directory: &Path) -> Result<usize> {
    let at = || directory.display().to_string();
    // Written next to the pages, so that they appear by rename when all of them are written.
    let fresh = tempfile::tempdir_in(directory).with_context(at)?;
    let mut commands = vec![root];
    let mut names = Vec::new();
    while let Some(command) = commands.pop() {
        let name = Man::new(command.clone()).get_filename();
        let mut file = File::create(fresh.path().join(&name)).with_context(at)?;
        file.write_all(&page(command)?).and_then(|()| file.sync_all()).with_context(at)?;
        commands.extend(command.get_subcommands());
        names.push(name);
    }
    for name in &names {
        let to = directory.join(name);
        std::fs::rename(fresh.path().join(name), &to).with_context(|| to.display().to_string())?;
    }
    Ok(names.len())
}

/// The command with these names.
fn find<'a>(root: &'a Command, names: &[String]) -> Result<&'a Command> {
    let mut command = root;
    for name in names {
        command = match command.find_subcommand(name) {
            Some(found) => found,
            None => bail!("`{}` has no command `{name}`; see --help", command.get_name()),
        };
    }
    Ok(command)
}

fn page(command: &Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    // The text after the help consists of examples, which the renderer does not know.
    let page = String::from_utf8(page)?;
    Ok(page.replacen(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n.nf\n", 1).into_bytes())
}
