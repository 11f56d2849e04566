//! Accepting a turn: a person's words become part of the story, exactly once.

use crate::domain::{GuildId, Participant, SceneId, SceneState};
use crate::store::{Accepted, NewMessage, Work};

use super::{Chat, ChatError};

/// Words of a person, on their way into a scene.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// The guild.
    pub guild: GuildId,
    /// The scene.
    pub scene: SceneId,
    /// Who wrote it, and whom they play here.
    pub author: &'a Participant,
    /// The platform's id of it; a second delivery changes nothing.
    pub external_id: String,
    /// What it says.
    pub text: &'a str,
}

impl Chat {
    /// Takes a person's words into the story and asks for an answer, as one
    /// transaction. Once this returns, no crash loses them.
    ///
    /// # Errors
    /// The words are empty or too many, the scene is over, or the database fails;
    /// in each case nothing was changed.
    pub async fn accept_turn(&self, message: Message<'_>) -> Result<Accepted, ChatError> {
        let text = self.clean_turn(message.text)?;
        let scene = self.scene(message.guild, message.scene).await?;
        let work = match scene.state {
            SceneState::Active => Some(Work::REPLY),
            SceneState::Paused => None,
            SceneState::Ended => {
                return Err(ChatError::refused("this scene is over; begin a new one"));
            }
        };
        let message = NewMessage {
            external_id: message.external_id,
            person: message.author.person.id,
            name: message.author.name().to_owned(),
            text,
            work,
        };
        Ok(self.store.accept_message(scene.guild_id, scene.id, &message).await?)
    }

    /// The text as it may stand in a story: line breaks and tabs stay, other
    /// control characters go, since no screen shows them and terminals obey them.
    pub(super) fn clean_turn(&self, text: &str) -> Result<String, ChatError> {
        let limit = self.settings.max_turn_bytes;
        if text.len() > limit {
            return Err(ChatError::refused(format!(
                "that is {} bytes of text, and a turn may have {limit}; nothing was changed: send \
                 it in parts",
                text.len()
            )));
        }
        let text: String = text
            .replace("\r\n", "\n")
            .chars()
            .filter(|c| matches!(c, '\n' | '\t') || !c.is_control())
            .collect();
        let text = text.trim();
        if text.is_empty() {
            return Err(ChatError::refused("there is nothing in that message to answer"));
        }
        Ok(text.to_owned())
    }
}
