//! Moving the line of a scene: back, aside, and without a turn. Everything here can
//! be undone, and nothing is lost.

use crate::domain::{GuildId, Scene, SceneId, Turn, TurnId};
use crate::store::{Line, NewBranch};

use super::opening::clean_title;
use super::{Chat, ChatError, ReplyReceipt};

/// How far back a character's latest turn is looked for.
const RECENT_TURNS: u32 = 200;

impl Chat {
    /// Goes back to a turn, or with `None` to before the first: what is said next
    /// follows it. A reply in the making is called off.
    ///
    /// # Errors
    /// The scene has no such turn, or the database fails.
    pub async fn rewind(
        &self,
        guild: GuildId,
        scene: SceneId,
        to: Option<TurnId>,
    ) -> Result<(), ChatError> {
        if let Some(turn) = to {
            self.turn_of(guild, scene, turn).await?;
        }
        self.call_off(guild, scene).await?;
        Ok(self.store.rewind(guild, scene, to).await?)
    }

    /// Leaves a turn out of the story. What would answer it is called off, a reply
    /// that is being written to it at once; where something else is left to answer,
    /// that reply is begun anew. Says whether the turn was there.
    ///
    /// # Errors
    /// There is no such scene, or the database fails.
    pub async fn remove_turn(
        &self,
        guild: GuildId,
        scene: SceneId,
        turn: TurnId,
    ) -> Result<bool, ChatError> {
        let writing = self.stopper(scene);
        let removed = self.store.remove_turn(guild, scene, turn).await?;
        if let Some(stop) = writing
            && removed.is_some_and(|removed| removed.interrupted)
        {
            stop.send_replace(true);
        }
        Ok(removed.is_some())
    }

    /// The same for good: no undo brings it back.
    ///
    /// # Errors
    /// There is no such scene, or the database fails.
    pub(super) async fn take_out(
        &self,
        guild: GuildId,
        scene: SceneId,
        turn: TurnId,
    ) -> Result<bool, ChatError> {
        let removed = self.remove_turn(guild, scene, turn).await?;
        self.store.bar_undo(guild, scene, turn).await?;
        Ok(removed)
    }

    /// Begins a scene in another place with a copy of this one up to a turn.
    ///
    /// # Errors
    /// The scene has no such turn, one is being played in that place, whoever began the
    /// scene has as many open as they may, the title is empty, or the database fails.
    pub async fn branch_scene(
        &self,
        guild: GuildId,
        scene: SceneId,
        at: TurnId,
        channel: &str,
        title: &str,
    ) -> Result<Scene, ChatError> {
        // A branch begins with the people of its scene: it is another of the same person.
        if let Some(first) = self.store.list_participants(guild, scene).await?.first() {
            let policy = self.library.rules(guild, Some(scene)).await?.policy;
            self.heed_scenes_begun(guild, &policy, first.person.id).await?;
        }
        let branch = NewBranch { channel: channel.to_owned(), title: clean_title(title)? };
        Ok(self.store.branch_scene(guild, scene, at, &branch).await?)
    }

    /// The latest turn of a character in the line, if it is not long ago.
    ///
    /// # Errors
    /// The database fails.
    pub async fn latest_reply(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Option<Turn>, ChatError> {
        // Nearly always it is one of the last few.
        for limit in [4, RECENT_TURNS] {
            let line = Line { limit: Some(limit), ..Line::default() };
            let mut line = self.store.list_line(guild, scene, line).await?;
            line.retain(|turn| turn.speaker.is_character());
            if let Some(turn) = line.pop() {
                return Ok(Some(turn));
            }
        }
        Ok(None)
    }

    /// How the standing text of a turn was made; `None` where no model made it.
    ///
    /// # Errors
    /// There is no such turn, or the database fails.
    pub async fn receipt(
        &self,
        guild: GuildId,
        turn: TurnId,
    ) -> Result<Option<ReplyReceipt>, ChatError> {
        let receipt = self.turn(guild, turn).await?.swipe.receipt;
        Ok(receipt.and_then(|receipt| serde_json::from_value(receipt).ok()))
    }
}
