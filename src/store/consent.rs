//! Who agreed that their words are taken, and where that is asked.

use chrono::{DateTime, Utc};
use tracing::instrument;

use super::{Noun, Store, StoreError};
use crate::domain::{GuildId, PersonId};

/// How a guild comes by people's consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Each person is asked before their first words are taken.
    Asked,
    /// The community sees to it by other means.
    Assumed,
}

impl Consent {
    /// The word that settings use for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Assumed => "assumed",
        }
    }

    /// What a word means.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Asked, Self::Assumed].into_iter().find(|consent| consent.as_str() == word)
    }
}

/// That a person agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// Since when.
    pub at: DateTime<Utc>,
    /// To which version of the words.
    pub words: i32,
}

impl Store {
    /// Chooses how a guild comes by people's consent; it holds from the next word on.
    ///
    /// # Errors
    /// `NotFound` where there is no such guild.
    #[instrument(name = "db.guild.set_consent", skip(self), err(level = "debug"))]
    pub async fn set_guild_consent(
        &self,
        guild: GuildId,
        consent: Consent,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let done =
            sqlx::query!("UPDATE guild SET consent = $2 WHERE id = $1", guild.0, consent.as_str(),)
                .execute(&mut *tx)
                .await?;
        tx.commit().await?;
        match done.rows_affected() {
            0 => Err(StoreError::NotFound(Noun::Guild)),
            _ => Ok(()),
        }
    }

    /// How a guild comes by people's consent.
    ///
    /// # Errors
    /// `NotFound` where there is no such guild.
    #[instrument(name = "db.guild.consent", skip(self), err(level = "debug"))]
    pub async fn get_guild_consent(&self, guild: GuildId) -> Result<Consent, StoreError> {
        let mut conn = self.read(guild).await?;
        let word = sqlx::query_scalar!("SELECT consent FROM guild WHERE id = $1", guild.0)
            .fetch_optional(&mut *conn)
            .await?
            .ok_or(StoreError::NotFound(Noun::Guild))?;
        Consent::of(&word).ok_or_else(|| StoreError::Unreadable {
            noun: Noun::Guild,
            reason: format!("there is no consent called {word}"),
        })
    }

    /// Notes that a person agrees to that version of the words, and wants to be heard. Says
    /// whether they had not before.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such person.
    #[instrument(name = "db.person.agree", skip(self), err(level = "debug"))]
    pub async fn set_person_agreed(
        &self,
        guild: GuildId,
        person: PersonId,
        words: i32,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let had_agreed = sqlx::query_scalar!(
            r#"UPDATE person SET agreed_at = now(), agreed_words = $3, opted_out_at = NULL
               FROM (SELECT agreed_at FROM person
                     WHERE guild_id = $1 AND id = $2 FOR UPDATE) AS was
               WHERE guild_id = $1 AND id = $2
               RETURNING was.agreed_at IS NOT NULL AS "agreed!""#,
            guild.0,
            person.0,
            words,
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::NotFound(Noun::Person))?;
        tx.commit().await?;
        Ok(!had_agreed)
    }

    /// What a person agreed to, while it holds.
    #[instrument(name = "db.person.agreement", skip(self), err(level = "debug"))]
    pub async fn get_agreement(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<Option<Agreement>, StoreError> {
        let mut conn = self.read(guild).await?;
        let agreement = sqlx::query_as!(
            Agreement,
            r#"SELECT agreed_at AS "at!", agreed_words AS "words!" FROM person
               WHERE guild_id = $1 AND id = $2 AND agreed_at IS NOT NULL"#,
            guild.0,
            person.0,
        )
        .fetch_optional(&mut *conn)
        .await?;
        Ok(agreement)
    }

    /// Notes that a person was asked in a channel, or was not after all. Says whether that
    /// is new.
    #[instrument(name = "db.person.asked", skip(self), err(level = "debug"))]
    pub async fn set_consent_asked(
        &self,
        guild: GuildId,
        person: PersonId,
        asked: bool,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "UPDATE person SET consent_asked_at = CASE WHEN $3 THEN now() END
             WHERE guild_id = $1 AND id = $2 AND (consent_asked_at IS NULL) = $3",
            guild.0,
            person.0,
            asked,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Notes who somebody is that speaks through a proxy.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such owner.
    #[instrument(name = "db.person.owner", skip(self), err(level = "debug"))]
    pub async fn set_proxy_owner(
        &self,
        guild: GuildId,
        proxy: PersonId,
        owner: PersonId,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        sqlx::query!(
            "UPDATE person SET owner_id = $3
             WHERE guild_id = $1 AND id = $2 AND id <> $3 AND owner_id IS DISTINCT FROM $3",
            guild.0,
            proxy.0,
            owner.0,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}
