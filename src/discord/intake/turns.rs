//! What messages do to the story.

use std::time::Duration;

use serenity::model::id::{ChannelId, GuildId, MessageId, UserId};
use tokio::time::sleep;

use super::{Shared, stopped};
use crate::chat::{Answer, ChatError, Message, story_text};
use crate::discord::api::{Mentions, Payload};
use crate::discord::bot::{Author, Place};
use crate::discord::call::sentence;
use crate::discord::consent;
use crate::discord::decisions::{HELD, NOT_TAKEN};
use crate::discord::marks::Spot;
use crate::discord::proxies::{By, Said, Step};
use crate::domain::Speaker;
use crate::store::{Accepted, JobKey, MessageOrigin, OutboxState, StoreError};

/// How long after a failure it is tried again at first, and at most.
const TRY_AGAIN: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(10)];

impl Shared {
    /// Does a step. A database that is away is waited for, unless everything stops:
    /// then it says that the step was left, and nothing later may be done.
    pub(super) async fn perform(&self, guild: GuildId, channel: ChannelId, step: Step) -> bool {
        let mut stop = self.stop.subscribe();
        let [mut wait, longest] = TRY_AGAIN;
        loop {
            let error = match self.attempt(guild, channel, &step).await {
                Ok(outcome) => {
                    self.count(outcome);
                    return true;
                }
                Err(error) => error,
            };
            if !error.is_transient() {
                self.give_up(guild, channel, &step, &error).await;
                return true;
            }
            tracing::warn!(error.kind = error.kind(), %error, "discord.message.waits");
            tokio::select! {
                // The cursor stands before it: the next start reads it again.
                () = stopped(&mut stop) => {
                    self.count("left");
                    return false;
                }
                () = sleep(wait) => wait = (wait * 2).min(longest),
            }
        }
    }

    async fn attempt(
        &self,
        guild: GuildId,
        channel: ChannelId,
        step: &Step,
    ) -> Result<&'static str, ChatError> {
        let Some(place) = self.bot.place(guild, channel).await? else { return Ok("no_scene") };
        match step {
            Step::Accept { said, instead_of } => {
                self.accept(place, channel, said, *instead_of).await
            }
            Step::Change { id, content } => self.change(place, *id, content).await,
            Step::Remove(id) => self.remove(place, *id).await,
        }
    }

    /// Tells the person, on the message itself and without a word to the channel.
    async fn give_up(&self, guild: GuildId, channel: ChannelId, step: &Step, error: &ChatError) {
        let is_held = matches!(error, ChatError::Held { .. });
        self.count(if is_held { "held" } else { "refused" });
        tracing::info!(
            error.kind = error.kind(),
            reason = error.notice(),
            "discord.message.refused"
        );
        let (Step::Accept { said: Said { id, .. }, .. } | Step::Change { id, .. }) = step else {
            return;
        };
        self.mark(channel, *id, if is_held { HELD } else { NOT_TAKEN }).await;
        if is_held {
            self.bot.case_bell.notify_one();
            self.tell(channel, HELD, error).await;
        } else if matches!(error, ChatError::Store(StoreError::Full(_))) {
            self.tell(channel, NOT_TAKEN, error).await;
        }
        if let (Step::Accept { said, .. }, Ok(Some(place))) =
            (step, self.bot.place(guild, channel).await)
        {
            self.pass(place, said.id).await;
        }
    }

    /// Marks a message that did not become part of the story.
    async fn mark(&self, channel: ChannelId, message: MessageId, mark: &str) {
        if let Err(error) = self.bot.api.add_reaction(channel, message, mark).await {
            tracing::debug!(error.kind = error.kind(), "discord.reaction.lost");
        }
    }

    /// Says in words what the mark means, not for each of many.
    async fn tell(&self, channel: ChannelId, mark: &'static str, error: &ChatError) {
        if !self.may_tell(channel, mark) {
            return;
        }
        let told = async {
            let words = format!("-# {mark} {}", sentence(&error.notice()));
            let payload = Payload::new(words, Mentions::NONE)?.without_embeds();
            self.bot.api.create_message(channel, &payload, None).await
        };
        if let Err(error) = told.await {
            tracing::debug!(error.kind = error.kind(), "discord.notice.lost");
        }
    }

    /// Notes that a message was looked at and needs nothing more.
    async fn pass(&self, place: Place, message: MessageId) {
        let Ok(message) = i64::try_from(message.get()) else { return };
        let store = self.bot.chat.store();
        if let Err(error) = store.raise_cursor(place.guild, place.scene, message).await {
            // It is looked at again after the next start, with the same outcome.
            tracing::debug!(error.kind = error.kind(), "discord.cursor.not_raised");
        }
    }

    async fn accept(
        &self,
        place: Place,
        channel: ChannelId,
        said: &Said,
        instead_of: Option<MessageId>,
    ) -> Result<&'static str, ChatError> {
        if said.by == By::Other {
            self.pass(place, said.id).await;
            return Ok("other");
        }
        let was_answered = match instead_of {
            Some(original) => self.take_out(place, original).await?,
            None => false,
        };
        let Some(text) = story_text(&said.content) else {
            self.pass(place, said.id).await;
            return Ok("aside");
        };
        self.look_around(place, channel).await?;
        let (who, account) = self.author(said).await;
        if self.waits_for_consent(place, channel, said.id, &who, account).await? {
            return Ok("must_agree");
        }
        let author = self.bot.participant(place.guild, place.scene, &who).await?;
        let message = Message {
            guild: place.guild,
            scene: place.scene,
            author: &author,
            external_id: said.id.to_string(),
            text: &text,
            answer: self.answer(place, said).await?,
        };
        let accepted = match was_answered {
            true => self.bot.chat.accept_unanswered(message).await?,
            false => self.bot.chat.accept_turn(message).await?,
        };
        let spot = Spot { channel, message: said.id };
        match accepted {
            Accepted::New { refused: Some(full), .. } => self.marks.refused(spot, full),
            Accepted::New { queued: Some(queued), .. } => {
                self.marks.waits(spot, JobKey { guild: place.guild, job: queued.job });
            }
            Accepted::New { .. } | Accepted::Duplicate { .. } => {}
        }
        Ok(match accepted {
            Accepted::New { refused: Some(_), .. } => "unanswered",
            Accepted::New { .. } if instead_of.is_some() => "reposted",
            Accepted::New { .. } => "accepted",
            Accepted::Duplicate { .. } => "duplicate",
        })
    }

    /// Whether words wait until whoever said them agrees. They are asked once, and told by a
    /// mark on each message after that.
    async fn waits_for_consent(
        &self,
        place: Place,
        channel: ChannelId,
        message: MessageId,
        who: &Author,
        account: Option<UserId>,
    ) -> Result<bool, ChatError> {
        let (bot, store) = (&self.bot, self.bot.chat.store());
        let person = bot.person(place.guild, who).await?;
        let owner = match account {
            Some(account) => Some((account, bot.owner(&person, account).await?)),
            None => None,
        };
        match bot.chat.heed_standing(place.guild, person.id).await {
            Ok(()) => return Ok(false),
            Err(ChatError::MustAgree) => {}
            Err(error) => return Err(error),
        }
        let mut is_asked = false;
        if let Some((account, owner)) = owner
            && store.set_consent_asked(place.guild, owner, true).await?
        {
            let asked = consent::ask(bot, place.guild, channel, account, owner, message).await;
            is_asked = asked.is_ok();
            if let Err(error) = asked {
                tracing::warn!(error.kind = error.kind(), "discord.consent.not_asked");
                store.set_consent_asked(place.guild, owner, false).await?;
            }
        }
        if !is_asked {
            self.mark(channel, message, NOT_TAKEN).await;
        }
        self.pass(place, message).await;
        Ok(true)
    }

    /// Notes where the scene stands. Where Discord does not say it now, what it said last
    /// holds; before it said anything, the stricter rules.
    async fn look_around(&self, place: Place, channel: ChannelId) -> Result<(), ChatError> {
        match self.bot.surroundings(channel, false).await {
            Ok(around) => {
                let store = self.bot.chat.store();
                store.set_surroundings(place.guild, place.scene, &around).await?;
            }
            Err(error) => tracing::warn!(error.kind = error.kind(), "discord.place.not_known"),
        }
        Ok(())
    }

    /// Takes out what a repost stands for; whether it was answered already.
    async fn take_out(&self, place: Place, original: MessageId) -> Result<bool, ChatError> {
        let chat = &self.bot.chat;
        let found = chat.store().get_turn_by_message(place.guild, &original.to_string()).await?;
        let Some((turn, MessageOrigin::Person)) = found else {
            chat.withdraw_held(place.guild, &original.to_string()).await?;
            return Ok(false);
        };
        if turn.scene_id != place.scene {
            return Ok(false);
        }
        // Turns are numbered as they are made.
        let reply = chat.latest_reply(place.guild, place.scene).await?;
        let was_answered = reply.is_some_and(|reply| reply.id > turn.id);
        if chat.remove_turn(place.guild, place.scene, turn.id).await? {
            chat.ask_show(place.guild, place.scene).await?;
        }
        Ok(was_answered)
    }

    /// Whoever is replied to answers; a name in the text is seen by the scene itself.
    async fn answer(&self, place: Place, said: &Said) -> Result<Option<Answer>, ChatError> {
        let Some(replied) = said.replies_to else { return Ok(None) };
        let store = self.bot.chat.store();
        let found = store.get_turn_by_message(place.guild, &replied.to_string()).await?;
        let Some((turn, MessageOrigin::Ours)) = found else { return Ok(None) };
        let Speaker::Character { id, .. } = turn.speaker else { return Ok(None) };
        let cast = store.list_cast(place.guild, place.scene).await?;
        let is_there = cast.iter().any(|member| member.character.id == id);
        Ok(is_there.then_some(Answer { character: Some(id), length: None }))
    }

    /// Who speaks, by a key that stays the same for whoever it is, and by which account, if
    /// that is known.
    async fn author(&self, said: &Said) -> (Author, Option<UserId>) {
        match &said.by {
            By::Person { id, name } => {
                let author = Author { external_id: id.to_string(), display_name: name.clone() };
                (author, Some(*id))
            }
            By::Proxy { name, owner } => {
                let known = match &self.pluralkit {
                    Some(pluralkit) => pluralkit.member(said.id).await,
                    None => None,
                };
                let sender = known.as_ref().and_then(|member| member.sender.parse().ok());
                let account = sender.filter(|id| *id != 0).map(UserId::new).or(*owner);
                let external_id = match (known, owner) {
                    (Some(member), _) => format!("proxy:{}:{}", member.sender, member.uuid),
                    (None, Some(owner)) => format!("proxy:{owner}:{name}"),
                    (None, None) => format!("proxy:{name}"),
                };
                (Author { external_id, display_name: name.clone() }, account)
            }
            By::Other => unreachable!("what others say is no turn"),
        }
    }

    async fn change(
        &self,
        place: Place,
        id: MessageId,
        content: &str,
    ) -> Result<&'static str, ChatError> {
        let chat = &self.bot.chat;
        let found = chat.store().get_turn_by_message(place.guild, &id.to_string()).await?;
        if found.is_none()
            && let Some(text) = story_text(content)
            && chat.edit_held(place.guild, &id.to_string(), &text).await?
        {
            self.bot.case_bell.notify_one();
            return Ok("held");
        }
        // What was no story before does not become part of it in hindsight, and our
        // own posts are changed by us alone.
        let Some((turn, MessageOrigin::Person)) = found else { return Ok("no_turn") };
        if turn.scene_id != place.scene {
            return Ok("no_turn");
        }
        match story_text(content) {
            Some(text) => {
                chat.edit_turn(place.guild, place.scene, turn.id, &text).await?;
                Ok("edited")
            }
            None => self.remove(place, id).await,
        }
    }

    /// Takes a turn out whose message is gone: a person's own, or one of ours that
    /// somebody else deleted. What we delete ourselves belongs to no turn any more.
    async fn remove(&self, place: Place, id: MessageId) -> Result<&'static str, ChatError> {
        let chat = &self.bot.chat;
        let found = chat.store().get_turn_by_message(place.guild, &id.to_string()).await?;
        if let Some(post) = chat.store().get_outbox_by_message(place.guild, &id.to_string()).await?
            && post.state != OutboxState::Deleted
        {
            // Nobody needs to ask for what is gone.
            chat.store().delete_outbox(place.guild, post.id).await?;
            if post.turn.is_none() {
                chat.call_off(place.guild, place.scene).await?;
                return Ok("called_off");
            }
        }
        let Some((turn, _)) = found.filter(|(turn, _)| turn.scene_id == place.scene) else {
            let waited = chat.withdraw_held(place.guild, &id.to_string()).await?;
            return Ok(if waited { "withdrawn" } else { "no_turn" });
        };
        if !chat.remove_turn(place.guild, place.scene, turn.id).await? {
            return Ok("no_turn");
        }
        chat.ask_show(place.guild, place.scene).await?;
        Ok("removed")
    }
}
