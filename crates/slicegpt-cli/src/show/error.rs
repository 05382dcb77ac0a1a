//! How an error is shown.

use super::advise::advice;

/// An error, its causes and advice, in one line. A cause that the message contains already is not
/// repeated, and control characters in names from files are escaped.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    if let Some(advice) = advice(error) {
        message = format!("{message}; {advice}");
    }
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    message.chars().map(escape).collect()
}
