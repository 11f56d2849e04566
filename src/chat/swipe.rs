//! Other texts for a turn: choosing among those there are, asking for one more,
//! going on where one stopped, and speaking without being spoken to.

use crate::domain::{
    CharacterId, GuildId, Length, PersonId, SceneId, Swipe, SwipeOrigin, Turn, TurnId,
};
use crate::moderation::{Door, Verdict};
use crate::store::{Noun, Queued, StoreError, Work};

use super::{Chat, ChatError};

/// Which of a turn's texts is to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwipeTo {
    /// The one before.
    Previous,
    /// The one after.
    Next,
    /// By number, from 1.
    Number(u32),
}

impl Chat {
    /// Lets another of a turn's texts stand; `None` where `Next` is past the last.
    ///
    /// # Errors
    /// The scene has no such turn or the turn no such text, or the database fails.
    pub async fn choose_swipe(
        &self,
        guild: GuildId,
        scene: SceneId,
        turn: TurnId,
        to: SwipeTo,
    ) -> Result<Option<Turn>, ChatError> {
        let turn = self.turn_of(guild, scene, turn).await?;
        let swipes = self.store.list_swipes(guild, turn.id).await?;
        let standing = swipes
            .iter()
            .position(|swipe| swipe.id == turn.swipe.id)
            .ok_or(StoreError::NotFound(Noun::Swipe))?;
        // What rules took out, or would by now, is stepped over.
        let rules = self.library.rules(guild, Some(scene)).await?;
        let door = if turn.speaker.is_character() { Door::Reply } else { Door::Message };
        let may_stand = |swipe: &&Swipe| rules.check(door, &swipe.text).verdict <= Verdict::Redact;
        let chosen = match to {
            SwipeTo::Previous => swipes[..standing]
                .iter()
                .rfind(may_stand)
                .ok_or_else(|| ChatError::refused("this is the first text of that turn"))?,
            SwipeTo::Next => match swipes[standing + 1..].iter().find(may_stand) {
                Some(next) => next,
                None => return Ok(None),
            },
            SwipeTo::Number(number) => {
                let chosen = swipes.get((number as usize).wrapping_sub(1)).ok_or_else(|| {
                    ChatError::refused(format!("that turn has {} texts, from 1", swipes.len()))
                })?;
                rules.pass(door, &chosen.text).await?;
                chosen
            }
        };
        Ok(Some(self.store.select_swipe(guild, scene, turn.id, chosen.id).await?))
    }

    /// Asks for one more text of a character's turn.
    ///
    /// # Errors
    /// The turn is a person's, a greeting or another scene's, too many replies wait, or
    /// the database fails.
    pub async fn ask_swipe(
        &self,
        guild: GuildId,
        scene: SceneId,
        person: PersonId,
        turn: TurnId,
        length: Option<Length>,
    ) -> Result<Queued, ChatError> {
        let found = self.turn_of(guild, scene, turn).await?;
        if !found.speaker.is_character() {
            return Err(ChatError::refused("only a character's turn can be told in another way"));
        }
        if found.parent.is_none() && found.swipe.origin == SwipeOrigin::Greeting {
            return Err(ChatError::refused("there are no more greetings; say something first"));
        }
        let work = Work::Swipe { turn, length };
        self.ask(guild, scene, person, &work).await
    }

    /// Asks a character to go on where its turn stopped.
    ///
    /// # Errors
    /// The turn is a person's or another scene's, too many replies wait, or the database
    /// fails.
    pub async fn ask_continue(
        &self,
        guild: GuildId,
        scene: SceneId,
        person: PersonId,
        turn: TurnId,
    ) -> Result<Queued, ChatError> {
        if !self.turn_of(guild, scene, turn).await?.speaker.is_character() {
            return Err(ChatError::refused("only a character's turn can be continued"));
        }
        let work = Work::Continue { turn };
        self.ask(guild, scene, person, &work).await
    }

    /// Asks for a turn without saying anything: a character's, or whose it is.
    ///
    /// # Errors
    /// Too many replies wait or follow one another, or the database fails.
    pub async fn ask_reply(
        &self,
        guild: GuildId,
        scene: SceneId,
        person: PersonId,
        character: Option<CharacterId>,
        length: Option<Length>,
    ) -> Result<Queued, ChatError> {
        self.heed_replies_in_a_row(guild, scene).await?;
        let work = Work::Reply { character, length };
        self.ask(guild, scene, person, &work).await
    }

    /// Within the limits of the queue and of the policy.
    async fn ask(
        &self,
        guild: GuildId,
        scene: SceneId,
        person: PersonId,
        work: &Work,
    ) -> Result<Queued, ChatError> {
        let limits = self.limits(&self.library.rules(guild, Some(scene)).await?.policy);
        let asked = self.store.insert_job_within(guild, scene, person, work, &limits).await;
        if let Err(StoreError::Full(full)) = &asked {
            self.count_refusal(full);
        }
        Ok(asked?)
    }

    /// A turn, if it is that scene's: jobs name it, and the lane of one scene keeps
    /// nobody from another's turns.
    pub(super) async fn turn_of(
        &self,
        guild: GuildId,
        scene: SceneId,
        turn: TurnId,
    ) -> Result<Turn, ChatError> {
        let found = self.turn(guild, turn).await?;
        if found.scene_id != scene {
            return Err(StoreError::NotFound(Noun::Turn).into());
        }
        Ok(found)
    }

    pub(super) async fn turn(&self, guild: GuildId, turn: TurnId) -> Result<Turn, ChatError> {
        let found = self.store.get_turn(guild, turn).await?;
        Ok(found.ok_or(StoreError::NotFound(Noun::Turn))?)
    }
}
