//! Changing what was said: the earlier text stays among the swipes.

use crate::domain::{GuildId, SceneId, SwipeOrigin, Turn, TurnId};
use crate::moderation::Door;
use crate::store::NewSwipe;

use super::library::Judged;
use super::{Chat, ChatError};

impl Chat {
    /// Gives a turn another text, by a person's hand. The text that stands already
    /// changes nothing.
    ///
    /// # Errors
    /// The text is empty or too long, or the scene has no such turn.
    pub async fn edit_turn(
        &self,
        guild: GuildId,
        scene: SceneId,
        turn: TurnId,
        text: &str,
    ) -> Result<Turn, ChatError> {
        self.heed_freeze(guild, scene).await?;
        let found = self.turn_of(guild, scene, turn).await?;
        let said = self.clean_turn(text)?;
        let text = match self.open_rules(guild, scene).await?.judge(Door::Message, &said).await? {
            Judged::Stands(text) => text,
            Judged::Waits { text, why } => {
                return Err(self.hold_edit(guild, &found, &said, text, why).await?);
            }
        };
        if found.swipe.text == text {
            return Ok(found);
        }
        let new = NewSwipe { text, origin: SwipeOrigin::Edited, receipt: None };
        Ok(self.store.insert_swipe(guild, scene, turn, &new).await?)
    }
}
