//! The log: which cases moderators are told of in a place of their own, and what it tells.

use std::time::Duration;

use tracing::instrument;

use super::lane::interval;
use super::text::{clean, clean_option};
use super::{Store, StoreError, case};
use crate::domain::GuildId;

/// For how long a case is left to whoever writes it to the log.
const LEFT_FOR: Duration = Duration::from_secs(60);

/// A case that is to be written to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlogged {
    /// The guild.
    pub guild: GuildId,
    /// The case.
    pub number: i64,
    /// What it is that is to be told, see [`Store::set_logged`].
    pub revision: i64,
    /// The platform's id of the place where the guild wants its log.
    pub channel: String,
    /// The place and the message that tell of it already.
    pub told: Option<(String, String)>,
}

impl Store {
    /// Reports and holds of which the log does not tell what there is now, the longest
    /// waiting first; they are left to the caller for a minute. Those that were decided
    /// before the log told of them are none of its business.
    #[instrument(name = "db.case.claim_unlogged", skip(self), err(level = "debug"))]
    pub async fn claim_unlogged(
        &self,
        platform: &str,
        limit: u32,
    ) -> Result<Vec<Unlogged>, StoreError> {
        let rows = sqlx::query!(
            r#"WITH due AS (
                SELECT waits.guild_id, waits.number, settings.reports_channel
                FROM moderation_case AS waits
                JOIN guild_settings AS settings ON settings.guild_id = waits.guild_id
                JOIN guild ON guild.id = waits.guild_id
                WHERE waits.logged_revision < waits.revision AND waits.kind = ANY ($1)
                  AND (waits.log_until IS NULL OR waits.log_until < now())
                  AND (waits.decision IS NULL OR waits.log_message IS NOT NULL)
                  AND settings.reports_channel IS NOT NULL AND guild.platform = $4
                ORDER BY waits.created_at LIMIT $2
                FOR UPDATE OF waits SKIP LOCKED
             )
             UPDATE moderation_case SET log_until = now() + $3 FROM due
             WHERE moderation_case.guild_id = due.guild_id AND moderation_case.number = due.number
             RETURNING moderation_case.guild_id, moderation_case.number, revision, log_channel,
                       log_message, due.reports_channel AS "channel!""#,
            &case::waiting(),
            i64::from(limit),
            interval(LEFT_FOR),
            &clean(platform),
        )
        .fetch_all(&self.pool)
        .await?;
        let unlogged = rows.into_iter().map(|row| Unlogged {
            guild: GuildId(row.guild_id),
            number: row.number,
            revision: row.revision,
            channel: row.channel,
            told: row.log_channel.zip(row.log_message),
        });
        Ok(unlogged.collect())
    }

    /// Notes what the log tells of a case, and where; `None` where its message is gone.
    #[instrument(name = "db.case.set_logged", skip(self), err(level = "debug"))]
    pub async fn set_logged(
        &self,
        guild: GuildId,
        number: i64,
        revision: i64,
        told: Option<&(String, String)>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        sqlx::query!(
            "UPDATE moderation_case
             SET logged_revision = $3, log_until = NULL, log_channel = $4, log_message = $5
             WHERE guild_id = $1 AND number = $2",
            guild.0,
            number,
            revision,
            clean_option(told.map(|(channel, _)| channel)),
            clean_option(told.map(|(_, message)| message)),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}
