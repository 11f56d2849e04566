//! Whether scenes may become training data: people's consent, moderators' approval.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::super::ChatError;
use super::super::dataset::Story;
use super::Library;
use crate::domain::{GuildId, PersonId, SceneId};

/// What people are told before and when they agree.
pub const CONSENT_WORDS: &str = "What you wrote and write in scenes here may then be used to train \
    the model: your words, and what your persona says. Your names are replaced by others, mentions, \
    links, addresses and long numbers by neutral words; the words themselves stay as you wrote \
    them. Characters and scenarios that you wrote go with the scenes that they are in. Only scenes in which everybody agreed and which a moderator approved are used.";

/// How a scene stands, for whoever asks whether it may be trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingScene {
    /// Since when it is approved, if it is.
    pub approved_at: Option<DateTime<Utc>>,
    /// How many of its turns are approved as they stand.
    pub num_approved: usize,
    /// How many wait for approval.
    pub num_waiting: usize,
    /// How many people speak in it.
    pub num_speakers: usize,
    /// How many of them agreed.
    pub num_agreed: usize,
}

impl fmt::Display for TrainingScene {
    /// In sentences. Who did not agree is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { num_approved, num_waiting, num_speakers, num_agreed, .. } = self;
        let turns = |number: &usize| match number {
            1 => "1 turn".to_owned(),
            number => format!("{number} turns"),
        };
        match (self.approved_at, num_approved) {
            (None, _) => write!(f, "No moderator approved this scene.")?,
            (Some(_), 0) => write!(
                f,
                "This scene is another since it was approved, and waits for another approval."
            )?,
            (Some(_), _) => {
                write!(
                    f,
                    "{} of this scene approved, {num_waiting} waiting.",
                    turns(num_approved)
                )?;
            }
        }
        write!(f, " {num_agreed} of {num_speakers} who speak here agreed")?;
        let is_used = *num_approved > 0 && num_agreed == num_speakers;
        f.write_str(if is_used { "." } else { "; so nothing of it is used." })
    }
}

impl Library {
    /// Notes that a person agrees. Says whether that is new.
    ///
    /// # Errors
    /// The database fails.
    pub async fn agree_to_training(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<bool, ChatError> {
        let is_new = self.store.insert_training_consent(guild, person).await?;
        if is_new {
            self.note(guild, person, "training.agree", &json!({})).await?;
        }
        Ok(is_new)
    }

    /// Takes a person's consent back: no export from now on holds anything of theirs. Says
    /// whether they had agreed.
    ///
    /// # Errors
    /// The database fails.
    pub async fn withdraw_from_training(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<bool, ChatError> {
        let had = self.store.withdraw_training_consent(guild, person).await?;
        if had {
            self.note(guild, person, "training.withdraw", &json!({})).await?;
        }
        Ok(had)
    }

    /// Since when a person agrees; `None` if they do not.
    ///
    /// # Errors
    /// The database fails.
    pub async fn training_consent(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<Option<DateTime<Utc>>, ChatError> {
        let consents = self.store.list_training_consents(guild, &[person]).await?;
        let holding = consents.iter().find(|consent| consent.holds());
        Ok(holding.map(|consent| consent.agreed_at))
    }

    /// Approves a scene as it stands now. What is said, edited or re-rolled later waits
    /// for another approval.
    ///
    /// # Errors
    /// There is no such scene, nothing was said in it, or the database fails.
    pub async fn approve_training(
        &self,
        guild: GuildId,
        scene: SceneId,
        moderator: PersonId,
    ) -> Result<TrainingScene, ChatError> {
        let story = Story::load(&self.store, guild, scene).await?;
        let seen = story.standing();
        if seen.is_empty() {
            return Err(ChatError::refused("nothing has been said in this scene yet"));
        }
        let frame = story.frame(&seen);
        self.store.upsert_training_approval(guild, scene, moderator, &seen, &frame).await?;
        let detail =
            json!({ "scene": scene, "turns": seen.len(), "head": seen.last().map(|it| it.0) });
        self.note(guild, moderator, "training.approve", &detail).await?;
        self.training_scene(guild, scene).await
    }

    /// Takes a scene's approval back. Says whether it had one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn unapprove_training(
        &self,
        guild: GuildId,
        scene: SceneId,
        moderator: PersonId,
    ) -> Result<bool, ChatError> {
        let had = self.store.delete_training_approval(guild, scene).await?;
        if had {
            self.note(guild, moderator, "training.unapprove", &json!({ "scene": scene })).await?;
        }
        Ok(had)
    }

    /// How a scene stands.
    ///
    /// # Errors
    /// There is no such scene, or the database fails.
    pub async fn training_scene(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<TrainingScene, ChatError> {
        let story = Story::load(&self.store, guild, scene).await?;
        let approval = self.store.get_training_approval(guild, scene).await?;
        let standing = story.standing();
        let seen = approval.iter().flat_map(|approval| approval.seen.iter().copied()).collect();
        let num_usable = story.num_usable(&seen);
        let is_changed = approval.as_ref().is_some_and(|it| story.frame(&it.seen) != it.frame);
        let num_approved = match is_changed {
            true => 0,
            false => story.num_standing(num_usable),
        };
        let speakers = self.store.list_training_speakers(guild, scene).await?;
        let consents = self.store.list_training_consents(guild, &speakers).await?;
        Ok(TrainingScene {
            approved_at: approval.map(|approval| approval.at),
            num_approved,
            num_waiting: standing.len() - num_approved,
            num_speakers: speakers.len(),
            num_agreed: consents.iter().filter(|consent| consent.holds()).count(),
        })
    }
}
