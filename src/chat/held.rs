//! What waits for a moderator: words, edits and replies that the rules hold.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::domain::{GuildId, Speaker, Turn};
use crate::store::{Accepted, Claim, Generated, Held, MessageOrigin, NewHeld, Target, Work};
use crate::telemetry::metrics;

use super::turn::Message;
use super::{Chat, ChatError};

/// What a message is held under, by the platform's id of it.
fn source_of(external_id: &str) -> String {
    format!("message:{external_id}")
}

impl Chat {
    /// Holds a message. One that is a turn already was held before, and approved.
    ///
    /// # Errors
    /// `Held`, or the database fails.
    pub(super) async fn hold_message(
        &self,
        message: &Message<'_>,
        channel: String,
        said: &str,
        text: String,
        work: Option<Work>,
        reason: String,
    ) -> Result<Accepted, ChatError> {
        let external_id = message.external_id.clone();
        let found = self.store.get_turn_by_message(message.guild, &external_id).await?;
        if let Some((turn, MessageOrigin::Person)) = found {
            return Ok(Accepted::Duplicate { turn: turn.id });
        }
        let name = message.author.name().to_owned();
        let new = NewHeld {
            source: Some(source_of(&external_id)),
            place: Some(channel),
            person: Some(message.author.person.id),
            scene: Some(message.scene),
            evidence: json!({ "speaker": name, "text": said }),
            held: Held::Message { external_id, name, text, work },
            reason,
        };
        Err(self.hold(message.guild, &new).await?)
    }

    /// Holds another text of a turn.
    pub(super) async fn hold_edit(
        &self,
        guild: GuildId,
        turn: &Turn,
        said: &str,
        text: String,
        reason: String,
    ) -> Result<ChatError, ChatError> {
        let digest = Sha256::digest(said);
        let scene = self.scene(guild, turn.scene_id).await?;
        let new = NewHeld {
            source: Some(format!("edit:{}:{digest:x}", turn.id)),
            place: Some(scene.channel),
            person: match &turn.speaker {
                Speaker::Person { id, .. } => Some(*id),
                Speaker::Character { .. } => None,
            },
            scene: Some(turn.scene_id),
            evidence: json!({
                "speaker": turn.speaker.name(), "text": said, "before": turn.swipe.text,
            }),
            held: Held::Edit { turn: turn.id, text },
            reason,
        };
        self.hold(guild, &new).await
    }

    /// Holds what the model wrote, before anybody has seen it.
    pub(super) async fn hold_reply(
        &self,
        claim: &Claim,
        name: &str,
        generated: Generated,
        reason: String,
    ) -> Result<ChatError, ChatError> {
        let (guild, scene) = (claim.guild_id, self.scene(claim.guild_id, claim.scene_id).await?);
        let Generated { target, text, origin, receipt, .. } = generated;
        let new = NewHeld {
            source: Some(format!("job:{}", claim.job.id)),
            place: Some(scene.channel),
            person: None,
            scene: Some(scene.id),
            evidence: json!({ "speaker": name, "text": text, "receipt": receipt }),
            held: Held::Reply {
                target,
                name: name.to_owned(),
                text,
                origin,
                receipt: Some(receipt),
            },
            reason,
        };
        self.hold(guild, &new).await
    }

    /// Holds what was written and stored when the rules let it stand, and is taken out
    /// again now.
    pub(super) async fn hold_written(
        &self,
        claim: &Claim,
        turn: &Turn,
        reason: String,
    ) -> Result<ChatError, ChatError> {
        let target = match turn.num_swipes {
            0 | 1 => Target::Turn(turn.speaker.clone()),
            _ => Target::Swipe(turn.id),
        };
        let generated = Generated {
            target,
            text: turn.swipe.text.clone(),
            origin: turn.swipe.origin,
            receipt: turn.swipe.receipt.clone().unwrap_or_default(),
            prompt_ids: Vec::new(),
        };
        self.hold_reply(claim, turn.speaker.name(), generated, reason).await
    }

    pub(super) async fn hold(&self, guild: GuildId, new: &NewHeld) -> Result<ChatError, ChatError> {
        let case = self.store.insert_held(guild, new).await?;
        self.note_held(guild, case, new.held.kind()).await?;
        Ok(ChatError::Held { case })
    }

    pub(super) async fn note_held(
        &self,
        guild: GuildId,
        case: i64,
        kind: &str,
    ) -> Result<(), ChatError> {
        self.metrics.count(metrics::MODERATION, "hold", 1);
        let detail = json!({ "case": case, "what": kind });
        Ok(self.store.insert_audit(guild, None, "case.hold", &detail).await?)
    }

    /// Lets a message that waits say what its person made of it. Says whether it waits.
    ///
    /// # Errors
    /// The words are empty or too many, or the database fails.
    pub async fn edit_held(
        &self,
        guild: GuildId,
        external_id: &str,
        text: &str,
    ) -> Result<bool, ChatError> {
        let (source, text) = (source_of(external_id), self.clean_turn(text)?);
        Ok(self.store.update_held_message(guild, &source, &text).await?)
    }

    /// Takes a message back that waits: its person deleted it. Says whether it waited.
    ///
    /// # Errors
    /// The database fails.
    pub async fn withdraw_held(
        &self,
        guild: GuildId,
        external_id: &str,
    ) -> Result<bool, ChatError> {
        Ok(self.store.withdraw_held(guild, &source_of(external_id)).await?)
    }
}
