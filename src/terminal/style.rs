//! Colour and weight, where the screen has them.

use std::fmt;

/// How a piece of text stands out; plain on a pipe or where colour is unwanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    enabled: bool,
}

impl Style {
    /// Styled or plain.
    pub(crate) fn new(enabled: bool) -> Self {
        Self { enabled }
    }

    /// A character's name.
    pub(crate) fn name<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint("1;36", text)
    }

    /// A person's name.
    pub(crate) fn person<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint("1;32", text)
    }

    /// What is said about the story, not in it.
    pub(crate) fn aside<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint("2", text)
    }

    /// Something to notice.
    pub(crate) fn warning<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint("33", text)
    }

    /// A heading.
    pub(crate) fn heading<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint("1", text)
    }

    fn paint<T>(self, code: &'static str, text: T) -> Painted<T> {
        Painted { code: self.enabled.then_some(code), text }
    }
}

/// Text with its style.
pub(crate) struct Painted<T> {
    code: Option<&'static str>,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "\x1b[{code}m{}\x1b[0m", self.text),
            None => self.text.fmt(f),
        }
    }
}
