//! Taking back, and taking the taking back back.
//!
//! The store records every move one by one; people think in exchanges: their own
//! turn together with the answers to it.

use crate::domain::{GuildId, SceneId, TurnId};
use crate::store::Move;

use super::{Chat, ChatError};

/// What was taken back or done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// Turns, so many.
    Turns(usize),
    /// The choice of a text for a turn.
    Choice(TurnId),
}

impl Chat {
    /// Takes back the latest change: a choice of text by itself, a turn of a
    /// person together with all that came after. A reply in the making is
    /// stopped first. `None` where there is nothing to take back.
    ///
    /// # Errors
    /// The database fails.
    pub async fn undo(&self, guild: GuildId, scene: SceneId) -> Result<Option<Undone>, ChatError> {
        self.store.cancel_jobs(guild, scene).await?;
        self.stop_reply(scene);
        let mut num_turns = 0;
        while let Some(taken_back) = self.store.undo(guild, scene).await? {
            match taken_back {
                Move::Select { turn, .. } if num_turns == 0 => {
                    return Ok(Some(Undone::Choice(turn)));
                }
                // A choice inside an exchange goes with the exchange.
                Move::Select { .. } => {}
                Move::Append { turn, .. } => {
                    num_turns += 1;
                    if !self.is_character_turn(guild, turn).await? {
                        break;
                    }
                }
                Move::Rewind { .. } | Move::Remove { .. } => {
                    num_turns += 1;
                    break;
                }
            }
        }
        Ok((num_turns > 0).then_some(Undone::Turns(num_turns)))
    }

    /// Does again what was taken back last: a person's turn together with the
    /// answers that it had. `None` where there is nothing.
    ///
    /// # Errors
    /// The database fails.
    pub async fn redo(&self, guild: GuildId, scene: SceneId) -> Result<Option<Undone>, ChatError> {
        let Some(first) = self.store.redo(guild, scene).await? else { return Ok(None) };
        if let Move::Select { turn, .. } = first {
            return Ok(Some(Undone::Choice(turn)));
        }
        let mut num_turns = 1;
        while let Some(next) = self.store.redo(guild, scene).await? {
            let answers = match next {
                Move::Append { turn, .. } => self.is_character_turn(guild, turn).await?,
                Move::Select { .. } | Move::Rewind { .. } | Move::Remove { .. } => false,
            };
            if !answers {
                self.store.undo(guild, scene).await?;
                break;
            }
            num_turns += 1;
        }
        Ok(Some(Undone::Turns(num_turns)))
    }

    async fn is_character_turn(&self, guild: GuildId, turn: TurnId) -> Result<bool, ChatError> {
        let turn = self.store.get_turn(guild, turn).await?;
        Ok(turn.is_some_and(|turn| turn.speaker.is_character()))
    }
}
