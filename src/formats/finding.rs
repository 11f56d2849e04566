//! What a check of a file has to say to the person who made it.

use std::fmt;

use super::fields::printable;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing is lost.
    Note,
    /// It works, but not as it was likely meant.
    Warning,
    /// Something is not read at all, or other software refuses the file.
    Error,
}

impl Severity {
    /// Its name in English, lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A check that has found this much looks no further: nobody reads more.
pub(crate) const MAX_FINDINGS: usize = 500;

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The JSON path, chunk or zip entry.
    pub path: String,
    /// What is there.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

impl Finding {
    /// A finding of that severity.
    pub fn new(
        severity: Severity,
        path: impl Into<String>,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        // Some of it is what the file says.
        let path = printable(&path.into(), 200);
        Self { severity, path, what: printable(&what.into(), 400), advice: advice.into() }
    }

    pub(crate) fn error(
        path: impl Into<String>,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Error, path, what, advice)
    }

    pub(crate) fn warning(
        path: impl Into<String>,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Warning, path, what, advice)
    }

    pub(crate) fn note(
        path: impl Into<String>,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Note, path, what, advice)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = self.severity.as_str();
        write!(f, "{severity}: {}: {}; {}", self.path, self.what, self.advice)
    }
}
