//! Why a scene is in no export.

use serde::Serialize;

/// Why a scene was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// No moderator approved it.
    NotApproved,
    /// What stands before the turns is another since.
    ChangedSinceApproval,
    /// Somebody who spoke in it, or in a scene that it was branched off, never agreed.
    NoConsent,
    /// Somebody who spoke there took their consent back.
    ConsentWithdrawn,
    /// Somebody is called by a word that stands in every text, or like a character.
    NameIsWord,
    /// A name would still be there after all were replaced.
    NameRemains,
    /// A text spells a control token of the tokenizer.
    ControlToken,
    /// It has too few replies to learn from.
    TooShort,
    /// Its personas and scenario leave no room for turns.
    TooLarge,
}

impl LeftOut {
    /// In words, after "because".
    pub fn words(self) -> &'static str {
        match self {
            Self::NotApproved => "no moderator approved it",
            Self::ChangedSinceApproval => {
                "its scenario, a character or a persona was changed since it was approved"
            }
            Self::NoConsent => "somebody who spoke in it did not agree",
            Self::ConsentWithdrawn => "somebody who spoke in it took their consent back",
            Self::NameIsWord => {
                "somebody's name cannot be told from ordinary words, or from a character's"
            }
            Self::NameRemains => "a name would have remained in it",
            Self::ControlToken => "a text in it spells a control token of the model",
            Self::TooShort => "it has fewer than two replies of a model that are approved",
            Self::TooLarge => "its personas, scenario and turns do not fit the limit of tokens",
        }
    }
}
