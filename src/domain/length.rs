//! The ten length tags that LimaRP was trained on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How long a reply should be, as the model was taught to name it.
///
/// Absence (`Option::None`) means that the model chooses. The order is the
/// model card's, shortest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the variants are the card's own words")]
pub enum Length {
    Micro,
    Tiny,
    Short,
    Medium,
    Long,
    Massive,
    Huge,
    Enormous,
    Humongous,
    Unlimited,
}

impl Length {
    /// All tags, shortest first.
    pub const ALL: [Self; 10] = [
        Self::Micro,
        Self::Tiny,
        Self::Short,
        Self::Medium,
        Self::Long,
        Self::Massive,
        Self::Huge,
        Self::Enormous,
        Self::Humongous,
        Self::Unlimited,
    ];

    /// The tag as it stands in the response header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Micro => "micro",
            Self::Tiny => "tiny",
            Self::Short => "short",
            Self::Medium => "medium",
            Self::Long => "long",
            Self::Massive => "massive",
            Self::Huge => "huge",
            Self::Enormous => "enormous",
            Self::Humongous => "humongous",
            Self::Unlimited => "unlimited",
        }
    }

    /// The next shorter tag, if there is one.
    pub fn shorter(self) -> Option<Self> {
        (self as usize).checked_sub(1).map(|i| Self::ALL[i])
    }

    /// The next longer tag, if there is one.
    pub fn longer(self) -> Option<Self> {
        Self::ALL.get(self as usize + 1).copied()
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The word was none of the ten tags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "“{0}” is not a length; choose one of micro, tiny, short, medium, long, massive, huge, \
     enormous, humongous, unlimited"
)]
pub struct ParseLengthError(pub String);

impl FromStr for Length {
    type Err = ParseLengthError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let word = word.trim();
        Self::ALL
            .into_iter()
            .find(|length| length.as_str().eq_ignore_ascii_case(word))
            .ok_or_else(|| ParseLengthError(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_reads_back_and_has_its_neighbours() {
        for (i, length) in Length::ALL.into_iter().enumerate() {
            assert_eq!(length.as_str().parse(), Ok(length));
            assert_eq!(length.longer(), Length::ALL.get(i + 1).copied());
            assert_eq!(length.longer().and_then(Length::shorter).unwrap_or(length), length);
        }
        assert_eq!(Length::Micro.shorter(), None);
        assert_eq!(" MEDIUM ".parse(), Ok(Length::Medium));
        assert!("extreme".parse::<Length>().is_err());
    }
}
