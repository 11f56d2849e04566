//! How long a place keeps what was said.

use serde::{Deserialize, Serialize};

use super::policy::least;

/// How long what was said is kept, in days; what is not named is kept until somebody
/// deletes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// A text, after it was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texts_days: Option<u32>,
    /// A scene with everything in it, after it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_scenes_days: Option<u32>,
    /// What a person said and who they are, after they left the guild; the guild's own word
    /// alone counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub departed_people_days: Option<u32>,
}

impl Retention {
    /// Whether everything is kept.
    pub fn is_endless(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn stricter(self, other: Self) -> Self {
        Self {
            texts_days: least(self.texts_days, other.texts_days),
            ended_scenes_days: least(self.ended_scenes_days, other.ended_scenes_days),
            departed_people_days: least(self.departed_people_days, other.departed_people_days),
        }
    }

    pub(super) fn days(self) -> impl Iterator<Item = u32> {
        [self.texts_days, self.ended_scenes_days, self.departed_people_days].into_iter().flatten()
    }
}
