//! Tests that the argument parser accepts every command in the documents.

use clap::CommandFactory;
use slicegpt_testkit::{commands, examples, pages};

use crate::Cli;
use crate::show::help::arranged;

#[test]
fn commands_in_the_documents_are_understood() {
    let mut count = 0;
    for (page, text) in pages() {
        for example in examples(&text) {
            for words in commands(&example.code, "slicegpt") {
                count += 1;
                let line = words.join(" ");
                if let Err(error) = arranged(Cli::command()).try_get_matches_from(words)
                    && error.use_stderr()
                    && example.run != Some(error.exit_code())
                {
                    panic!("{page}:{}: {line}: {error}", example.line);
                }
            }
        }
    }
    assert!(count > 50, "{count} commands: are the documents where they were?");
}
