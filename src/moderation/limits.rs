//! How much one person, and a server as a whole, may have in a place.

use serde::{Deserialize, Serialize};

use super::policy::least;

/// How much may be said, asked for and begun; what is not named has no limit here.
///
/// Counted is what was had in the whole server, whatever place a limit is written down for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How many things one person may say within an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns_per_person_per_hour: Option<u32>,
    /// How many replies one person may ask for within an hour; what is said beyond that is
    /// kept, and not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replies_per_person_per_hour: Option<u32>,
    /// How many all of the server may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replies_per_guild_per_hour: Option<u32>,
    /// How many scenes that one person began may be open at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenes_per_person: Option<u32>,
    /// How many replies may follow one another until a person says something again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replies_in_a_row: Option<u32>,
}

impl Limits {
    pub(super) fn is_endless(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn stricter(self, other: Self) -> Self {
        Self {
            turns_per_person_per_hour: least(
                self.turns_per_person_per_hour,
                other.turns_per_person_per_hour,
            ),
            replies_per_person_per_hour: least(
                self.replies_per_person_per_hour,
                other.replies_per_person_per_hour,
            ),
            replies_per_guild_per_hour: least(
                self.replies_per_guild_per_hour,
                other.replies_per_guild_per_hour,
            ),
            scenes_per_person: least(self.scenes_per_person, other.scenes_per_person),
            replies_in_a_row: least(self.replies_in_a_row, other.replies_in_a_row),
        }
    }

    /// The name of one that lets nothing through.
    pub(super) fn impossible(self) -> Option<&'static str> {
        let named = [
            ("turns_per_person_per_hour", self.turns_per_person_per_hour),
            ("replies_per_person_per_hour", self.replies_per_person_per_hour),
            ("replies_per_guild_per_hour", self.replies_per_guild_per_hour),
            ("scenes_per_person", self.scenes_per_person),
            ("replies_in_a_row", self.replies_in_a_row),
        ];
        named.into_iter().find(|(_, most)| *most == Some(0)).map(|(name, _)| name)
    }
}
