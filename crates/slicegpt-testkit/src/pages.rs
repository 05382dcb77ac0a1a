//! Examples in the documents: commands, and their expected output.
//!
//! A fenced `sh` block is an example. With the comment `<!-- run -->` before it, it is run from a
//! folder that contains `fixtures/`. A `text` block directly after it is the output of its
//! commands, or of the last one. With `<!-- run: exit 2 -->`, the last command must end with that
//! exit code, and the block is its error message.

use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use crate::fixtures;

/// A fenced `sh` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The number of its first line of code, counted from one.
    pub line: usize,
    /// The expected exit code; `None` if the example is not run.
    pub run: Option<i32>,
    /// The commands.
    pub code: String,
    /// The expected output, if the page shows it.
    pub printed: Option<String>,
}

/// README.md and every page under `docs`: paths from the root of the repository, and texts.
///
/// # Panics
///
/// If they cannot be read.
pub fn pages() -> Vec<(String, String)> {
    let fixtures = fixtures();
    let root = fixtures.parent().expect("fixtures are in the repository");
    let mut paths = vec![root.join("README.md")];
    collect(&root.join("docs"), &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a page is text");
        let name = path.strip_prefix(root).expect("it is below the root");
        (name.to_string_lossy().replace('\\', "/"), text)
    };
    paths.into_iter().map(read).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().expect("docs is a folder") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
}

/// The examples of a page, in order.
///
/// # Panics
///
/// If there is no example after a `run` comment, or its exit code is not a number.
pub fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut run = None;
    let mut follows_example = false;
    let mut open: Option<(String, usize, String)> = None;
    for (event, range) in Parser::new(page).into_offset_iter() {
        match event {
            Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => {}
            Event::Html(html) => {
                if let Some(mark) = mark(&html) {
                    run = Some(mark);
                }
                follows_example = false;
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let info = match kind {
                    CodeBlockKind::Fenced(info) => info.to_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                let line = page[..range.start].lines().count() + 2;
                open = Some((info, line, String::new()));
            }
            Event::Text(text) if open.is_some() => {
                open.iter_mut().for_each(|(.., code)| code.push_str(&text));
            }
            Event::End(TagEnd::CodeBlock) => {
                let Some((info, line, code)) = open.take() else { continue };
                if follows_example && info == "text" {
                    examples.iter_mut().next_back().expect("one").printed = Some(code);
                    follows_example = false;
                } else if info == "sh" {
                    examples.push(Example { line, run: run.take(), code, printed: None });
                    follows_example = true;
                } else {
                    follows_example = false;
                }
            }
            _ => {
                assert!(run.is_none(), "no example after a `run` comment:\n{page}");
                follows_example = false;
            }
        }
    }
    assert!(run.is_none(), "no example after a `run` comment:\n{page}");
    examples
}

/// The exit code in a `run` comment.
fn mark(html: &str) -> Option<i32> {
    let words = html.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim();
    match words.strip_prefix("run")?.strip_prefix(": exit ") {
        Some(code) => Some(code.parse().expect("an exit code")),
        None if words == "run" => Some(0),
        None => panic!("`{words}`: say `run` or `run: exit N`"),
    }
}

/// The command lines of `program` in an example, each as a list of words, without comments, pipes
/// and redirections.
///
/// # Panics
///
/// If the quoting is invalid.
pub fn commands(code: &str, program: &str) -> Vec<Vec<String>> {
    let whole = code.replace("\\\n", " ");
    let mut commands = Vec::new();
    for line in whole.lines() {
        let words = shlex::split(line).unwrap_or_else(|| panic!("no shell understands {line}"));
        for part in words.split(|word| ["|", "&&", ";"].contains(&word.as_str())) {
            let end = part.iter().position(|word| word.starts_with(['>', '<']));
            let part = &part[..end.unwrap_or(part.len())];
            if part.first().is_some_and(|first| first == program) {
                commands.push(part.to_vec());
            }
        }
    }
    commands
}

/// Whether `output` matches the output on a page. White space does not matter. `...` stands for any
/// number of words, and at the end of a word for the rest of that word.
pub fn is_printed(printed: &str, output: &str) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    matches(&words(printed), &words(output))
}

fn matches(printed: &[String], output: &[String]) -> bool {
    match (printed, output) {
        ([], _) => output.is_empty(),
        ([first, rest @ ..], _) if first == "..." => {
            (0..=output.len()).any(|skipped| matches(rest, &output[skipped..]))
        }
        ([first, rest @ ..], [word, others @ ..]) => {
            let same = match first.strip_suffix("...") {
                Some(beginning) => word.starts_with(beginning),
                None => word == first,
            };
            same && matches(rest, others)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = concat!(
        "# Try\n\n<!-- run -->\n```sh\nslicegpt a b\n```\n\n```text\nthree words here\n```\n",
        "\n<!-- run: exit 2 -->\n```sh\nslicegpt c\n```\n\nText.\n\n```text\nno output\n```\n",
        "\n```sh\necho 'x | y' | slicegpt d - \\\n    --e 'f g' > h   # i\nother; slicegpt\n",
        "```\n",
    );

    #[test]
    fn a_page_has_examples() {
        let found = examples(PAGE);
        assert_eq!(found.len(), 3);
        let [first, second, third] = [&found[0], &found[1], &found[2]];
        assert_eq!((first.line, first.run), (5, Some(0)));
        assert_eq!(first.printed.as_deref(), Some("three words here\n"));
        assert_eq!((second.line, second.run, second.printed.as_deref()), (14, Some(2), None));
        assert_eq!((third.line, third.run), (24, None));
    }

    #[test]
    fn an_example_has_commands() {
        let code = &examples(PAGE)[2].code;
        assert_eq!(commands(code, "slicegpt")[0], ["slicegpt", "d", "-", "--e", "f g"]);
        assert_eq!(commands(code, "echo"), [["echo", "x | y"]]);
    }

    #[test]
    #[should_panic(expected = "no example after a `run` comment")]
    fn a_comment_is_about_an_example() {
        examples("<!-- run -->\n\nText.\n\n```sh\nslicegpt\n```\n");
    }

    #[test]
    fn what_varies_is_left_out() {
        for (printed, output, same) in [
            ("a  b\n c", "a b c", true),
            ("a b", "a b c", false),
            ("a b c", "a b", false),
            ("a ... d", "a b c d", true),
            ("a ... d", "a b c", false),
            ("a 34.6...", "a 34.69", true),
            ("a 34.6...", "a 34.59", false),
            ("...", "", true),
        ] {
            assert_eq!(is_printed(printed, output), same, "{printed}: {output}");
        }
    }
}
