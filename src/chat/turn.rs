//! Accepting a turn: a person's words become part of the story, exactly once.

use crate::domain::{CharacterId, GuildId, Length, Participant, SceneId, SceneState};
use crate::moderation::Door;
use crate::store::{Accepted, Full, NewMessage, Noun, StoreError, Work};
use crate::telemetry::metrics;

use super::library::{Judged, Rules};
use super::moderation::{FROZEN, heard};
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
    /// What it says, without what was said out of character.
    pub text: &'a str,
    /// How it is to be answered; `None` leaves that to the scene.
    pub answer: Option<Answer>,
}

/// How a message is to be answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answer {
    /// By whom; `None` leaves it to the scene's natural order.
    pub character: Option<CharacterId>,
    /// At which length, for this once.
    pub length: Option<Length>,
}

/// What a person is told whose words were taken and are not answered.
pub fn unanswered(full: Full) -> String {
    format!("what you said is kept, but nobody answers it now: {full}. /reply asks again later")
}

impl Chat {
    /// Takes a person's words into the story and asks for an answer, as one
    /// transaction. Once this returns, no crash loses them. Where too many replies wait, or
    /// were asked for within the hour, they are taken and not answered, which the person is to be told:
    /// [`unanswered`].
    ///
    /// # Errors
    /// The words are empty or too many, the person said as much within the hour as they may,
    /// the scene is over, or the database fails; in each case nothing was changed.
    pub async fn accept_turn(&self, message: Message<'_>) -> Result<Accepted, ChatError> {
        let Answer { character, length } = message.answer.unwrap_or_default();
        let text = self.clean_turn(message.text)?;
        let taken = self.take_in(&message, text, Some(Work::Reply { character, length })).await;
        match &taken {
            Ok(Accepted::New { refused: Some(full), .. })
            | Err(ChatError::Store(StoreError::Full(full))) => self.count_refusal(full),
            _ => {}
        }
        taken
    }

    /// Takes words into the story that nobody is to answer: an answer was given already.
    ///
    /// # Errors
    /// As [`Chat::accept_turn`].
    pub async fn accept_unanswered(&self, message: Message<'_>) -> Result<Accepted, ChatError> {
        let text = self.clean_turn(message.text)?;
        self.take_in(&message, text, None).await
    }

    /// The one door through which people's words become turns: whoever is not heard, and
    /// what the rules forbid, does not pass.
    pub(super) async fn take_in(
        &self,
        message: &Message<'_>,
        text: String,
        work: Option<Work>,
    ) -> Result<Accepted, ChatError> {
        let (guild, person) = (message.guild, message.author.person.id);
        let door = self.store.get_scene_door(guild, message.scene, person).await?;
        let (standing, ground) = door.ok_or(StoreError::NotFound(Noun::Scene))?;
        heard(standing)?;
        let work = match ground.state {
            SceneState::Active => work,
            SceneState::Paused => None,
            SceneState::Frozen => return Err(ChatError::refused(FROZEN)),
            SceneState::Ended => {
                return Err(ChatError::refused("this scene is over; begin a new one"));
            }
        };
        let rules = self.open(self.library.rules_on(guild, &ground)?)?;
        let text = match rules.judge(Door::Message, &text).await? {
            Judged::Stands(text) => text,
            Judged::Waits { text: covered, why } => {
                let channel = ground.channel;
                return self.hold_message(message, channel, &text, covered, work, why).await;
            }
        };
        let scene = message.scene;
        let message = NewMessage {
            external_id: message.external_id.clone(),
            person,
            name: message.author.name().to_owned(),
            text,
            work,
            limits: self.limits(&rules.policy),
        };
        Ok(self.store.accept_message(guild, scene, &message).await?)
    }

    pub(super) fn count_refusal(&self, full: &Full) {
        self.metrics.count(metrics::QUEUE_REFUSALS, full.as_str(), 1);
    }

    /// The rules of a scene, while people may say something in it.
    pub(super) async fn open_rules(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Rules, ChatError> {
        self.open(self.library.rules(guild, Some(scene)).await?)
    }

    fn open(&self, rules: Rules) -> Result<Rules, ChatError> {
        if rules.policy.is_quiet(self.clock.now()) {
            return Err(ChatError::refused("these are quiet hours here; nothing is taken now"));
        }
        Ok(rules)
    }

    /// The text of a turn as it may stand in a story.
    pub(super) fn clean_turn(&self, text: &str) -> Result<String, ChatError> {
        let text = self.clean_text(text)?;
        if text.is_empty() {
            return Err(ChatError::refused("there is nothing in that message to answer"));
        }
        Ok(text)
    }

    /// Any text of people, as it may be kept.
    pub(super) fn clean_text(&self, text: &str) -> Result<String, ChatError> {
        self.library.clean_text(text)
    }
}
