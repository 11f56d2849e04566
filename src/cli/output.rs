//! How commands speak: results on standard output, the rest on standard error.

use std::fmt::Display;
use std::io::Write as _;

/// One line of a result. A reader that went away (`| head`) is no error.
pub(super) fn line(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Strangers' text as a terminal can show it: without what terminals obey.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

/// One line beside the result.
pub(super) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The one message of a command that failed.
pub(super) fn error(error: &anyhow::Error) {
    note(format_args!("error: {}", message(error)));
}

/// The error with its causes, each once: many messages already tell theirs.
fn message(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| {
        let cause = cause.to_string();
        match (text.is_empty(), text.contains(&cause)) {
            (true, _) => cause,
            (_, true) => text,
            _ => format!("{text}: {cause}"),
        }
    })
}

/// A number of bytes for people, such as `98.4 MB`.
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let cause = || std::io::Error::other("no disk");
        let error = Err::<(), _>(cause()).context("cannot write").unwrap_err();
        assert_eq!(message(&error), "cannot write: no disk");
        let error = Err::<(), _>(cause()).context("cannot write: no disk; buy one").unwrap_err();
        assert_eq!(message(&error), "cannot write: no disk; buy one");
    }

    #[test]
    fn bytes_are_rounded_for_people() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(98_362_432), "98.4 MB");
        assert_eq!(bytes(4_400_000_000), "4.4 GB");
    }
}
