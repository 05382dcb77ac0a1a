//! `slicegpt man`: manual pages, from the same texts as `--help`.

use std::path::PathBuf;
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
            let at = || directory.display().to_string();
            std::fs::create_dir_all(&directory).with_context(at)?;
            // Written next to the pages, so that each appears by rename.
            let fresh = tempfile::tempdir_in(&directory).with_context(at)?;
            let mut commands = vec![&root];
            let mut count = 0;
            while let Some(command) = commands.pop() {
                let name = Man::new(command.clone()).get_filename();
                let (made, to) = (fresh.path().join(&name), directory.join(&name));
                std::fs::write(&made, page(command)?).with_context(at)?;
                std::fs::rename(&made, &to).with_context(|| to.display().to_string())?;
                commands.extend(command.get_subcommands());
                count += 1;
            }
            note(format!("{count} pages in {}", at()));
        }
    }
    Ok(ExitCode::SUCCESS)
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
