//! Taking much out of a scene at once, by a moderator's hand.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::domain::{CharacterId, GuildId, PersonId, SceneId, Speaker, Turn, TurnId};
use crate::store::{Line, NewCase};

use super::{Chat, ChatError};

/// How far back in a scene is looked.
const MAX_LOOKED_AT: u32 = 4_000;

/// Whose turns are taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whom {
    /// Those of all characters.
    Characters,
    /// A character's.
    Character(CharacterId),
    /// A person's.
    Person(PersonId),
}

/// What is taken out of a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purge {
    /// Whose turns.
    pub whom: Whom,
    /// The most of them, the newest first.
    pub last: u32,
    /// None that was said before.
    pub since: Option<DateTime<Utc>>,
}

/// What was taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// The number of the case.
    pub case: i64,
    /// The turns, the newest first.
    pub turns: Vec<TurnId>,
}

impl Purge {
    fn is_of(&self, turn: &Turn) -> bool {
        let is_whose = match (self.whom, &turn.speaker) {
            (Whom::Characters, Speaker::Character { .. }) => true,
            (Whom::Character(wanted), Speaker::Character { id, .. }) => wanted == *id,
            (Whom::Person(wanted), Speaker::Person { id, .. }) => wanted == *id,
            _ => false,
        };
        is_whose && self.since.is_none_or(|since| turn.swipe.created_at >= since)
    }
}

impl Chat {
    /// The turns of a scene that a purge takes out, the newest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list_purged(
        &self,
        guild: GuildId,
        scene: SceneId,
        purge: &Purge,
    ) -> Result<Vec<TurnId>, ChatError> {
        let line = Line { limit: Some(MAX_LOOKED_AT), ..Line::default() };
        let line = self.store.list_line(guild, scene, line).await?;
        let found = line.iter().rev().filter(|turn| purge.is_of(turn)).map(|turn| turn.id);
        Ok(found.take(purge.last as usize).collect())
    }

    /// Takes turns out of a scene for good: no undo brings them back. What is shown is left
    /// to [`Chat::ask_show`].
    ///
    /// # Errors
    /// There is nothing to take out, or the database fails.
    pub async fn purge(
        &self,
        guild: GuildId,
        scene: SceneId,
        purge: &Purge,
        moderator: PersonId,
    ) -> Result<Purged, ChatError> {
        let turns = self.list_purged(guild, scene, purge).await?;
        if turns.is_empty() {
            return Err(ChatError::refused("there is nothing of that to take out"));
        }
        for turn in &turns {
            self.take_out(guild, scene, *turn).await?;
        }
        let person = match purge.whom {
            Whom::Person(person) => Some(person),
            Whom::Characters | Whom::Character(_) => None,
        };
        let evidence = Some(json!({ "turns": turns }));
        let case =
            NewCase { kind: "purge", person, scene: Some(scene), evidence, ..NewCase::default() };
        let case = self.open_case(guild, moderator, case, "").await?;
        Ok(Purged { case, turns })
    }
}
