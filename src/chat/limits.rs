//! What the policy of a place says of how much one may have there.

use crate::domain::{GuildId, PersonId, SceneId, SwipeOrigin, Turn};
use crate::moderation::{Limits, Policy};
use crate::store::{HourlyLimits, Line, QueueLimits};

use super::{Chat, ChatError};

impl Chat {
    /// The limits of the house and of a policy.
    pub(super) fn limits(&self, policy: &Policy) -> QueueLimits {
        let Limits {
            turns_per_person_per_hour: turns_per_person,
            replies_per_person_per_hour: replies_per_person,
            replies_per_guild_per_hour: replies_per_guild,
            scenes_per_person: _,
            replies_in_a_row: _,
        } = policy.limits;
        let hourly = HourlyLimits { turns_per_person, replies_per_person, replies_per_guild };
        QueueLimits { hourly, ..self.settings.limits }
    }

    /// Whether a person may begin one scene more where that policy holds.
    ///
    /// # Errors
    /// As many that they began are open as may be, or the database fails.
    pub async fn heed_scenes_begun(
        &self,
        guild: GuildId,
        policy: &Policy,
        person: PersonId,
    ) -> Result<(), ChatError> {
        let Some(most) = policy.limits.scenes_per_person else { return Ok(()) };
        if self.store.count_scenes_begun(guild, person).await? < most {
            return Ok(());
        }
        let scenes = if most == 1 { "scene" } else { "scenes" };
        Err(ChatError::refused(format!(
            "{most} open {scenes} may be begun by one person here; once one of them is over \
             (/scene end) there is room for another"
        )))
    }

    /// Whether one reply more may follow without a word of a person.
    ///
    /// # Errors
    /// It may not, there is no such scene, or the database fails.
    pub(super) async fn heed_replies_in_a_row(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<(), ChatError> {
        let policy = self.library.rules(guild, Some(scene)).await?.policy;
        let line = Line { limit: Some(self.settings.max_replies_in_a_row), ..Line::default() };
        let line = self.store.list_line(guild, scene, line).await?;
        self.room_in_row(&policy, &line).map(drop)
    }

    /// How many replies may follow a line until a person speaks again, at least one.
    ///
    /// # Errors
    /// None may.
    pub(super) fn room_in_row(&self, policy: &Policy, line: &[Turn]) -> Result<usize, ChatError> {
        let most = self.settings.max_replies_in_a_row;
        let most = policy.limits.replies_in_a_row.map_or(most, |other| other.min(most));
        let in_a_row = line.iter().rev().take_while(|turn| is_reply(turn)).count();
        match (most as usize).saturating_sub(in_a_row) {
            0 => Err(ChatError::refused(match most {
                1 => "nobody but a person may speak after a reply here; say something, and the \
                      story goes on"
                    .to_owned(),
                most => format!(
                    "{most} replies may follow one another here; say something, and the story \
                     goes on"
                ),
            })),
            room => Ok(room),
        }
    }
}

/// Whether a turn counts among the replies that follow one another. Greetings and what came
/// with a file were not asked for here.
pub(super) fn is_reply(turn: &Turn) -> bool {
    turn.speaker.is_character()
        && matches!(turn.swipe.origin, SwipeOrigin::Generated | SwipeOrigin::Continued)
}
