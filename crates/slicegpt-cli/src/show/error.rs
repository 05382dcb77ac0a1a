//! How an error is shown.

use super::advise::advice;

/// Characters of an error that are shown. A file may hold a name or a shape of any length.
const LONGEST: usize = 3000;

/// Characters of the end of a longer one that are shown: it says what to do.
const END: usize = 500;

/// An error, its causes and advice, in one line. A cause that the message contains already is not
/// repeated, control characters in names from files are escaped, and a long message is cut.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = cause;
        } else if !says(&message, &cause) {
            message = format!("{message}: {cause}");
        }
    }
    if let Some(advice) = advice(error) {
        message = format!("{message}; {advice}");
    }
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    shortened(message.chars().map(escape).collect())
}

/// Whether a message contains a cause. The name of a file has no space, and may be part of a word.
fn says(message: &str, cause: &str) -> bool {
    if cause.contains(' ') {
        message.contains(cause)
    } else {
        message.split(": ").any(|part| part == cause)
    }
}

/// A message without its middle, if it is long.
fn shortened(message: String) -> String {
    let count = message.chars().count();
    if count <= LONGEST {
        return message;
    }
    let start: String = message.chars().take(LONGEST - END).collect();
    let end: String = message.chars().skip(count - END).collect();
    format!("{start} [...] {end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_once() {
        let line = |causes: [&'static str; 3]| {
            let [outer, middle, inner] = causes;
            one_line(&anyhow::anyhow!(inner).context(middle).context(outer))
        };
        assert_eq!(line(["--text", "-", "no such file"]), "--text: -: no such file");
        assert_eq!(line(["--text", "a: no such file", "no such file"]), "--text: a: no such file");
        assert_eq!(line(["--text a", "a", "no file"]), "--text a: a: no file");
        assert_eq!(line(["--text: a", "a", "no file"]), "--text: a: no file");
    }

    #[test]
    fn long_messages_are_cut_in_the_middle() {
        let name = "\u{e9}\n".repeat(100_000);
        let line = one_line(&anyhow::anyhow!("file: tensor `{name}` is missing; download it"));
        assert!(line.starts_with("file: tensor `\u{e9}\\n\u{e9}\\n"), "{line}");
        assert!(line.ends_with("\\n` is missing; download it"), "{line}");
        assert_eq!(line.chars().count(), LONGEST + " [...] ".len());
        assert_eq!(one_line(&anyhow::anyhow!("short")), "short");
    }
}
