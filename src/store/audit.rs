//! Who changed what. Ids and settings only, never what was said. Rows are only ever
//! added, by the database's own hand each to the chain of its guild (`audit_chain`).

use chrono::{DateTime, Utc};
use serde_json::Value;
use tracing::instrument;

use super::audit_chain::hash;
use super::text::{clean, clean_json};
use super::{Store, StoreError};
use crate::domain::{GuildId, PersonId};

/// One thing that somebody did.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its key.
    pub id: i64,
    /// Who did it; `None` for the service itself.
    pub person: Option<PersonId>,
    /// What, as `noun.verb`.
    pub action: String,
    /// To what, and how.
    pub detail: Value,
    /// When.
    pub at: DateTime<Utc>,
    /// Its number in the guild's chain, from 1.
    pub ordinal: i64,
    /// Its digest.
    pub hash: [u8; 32],
}

impl Store {
    /// Notes what somebody did.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such person.
    #[instrument(name = "db.audit.insert", skip(self, detail), err(level = "debug"))]
    pub async fn insert_audit(
        &self,
        guild: GuildId,
        person: Option<PersonId>,
        action: &str,
        detail: &Value,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        sqlx::query!(
            "INSERT INTO audit (guild_id, person_id, action, detail) VALUES ($1, $2, $3, $4)",
            guild.0,
            person.map(|id| id.0),
            &clean(action),
            clean_json(detail),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Who last did one of those things to what the detail says; `None` too where that
    /// was the service itself.
    #[instrument(name = "db.audit.get_person", skip(self, detail), err(level = "debug"))]
    pub async fn get_audit_person(
        &self,
        guild: GuildId,
        actions: &[&str],
        detail: &Value,
    ) -> Result<Option<PersonId>, StoreError> {
        let mut conn = self.read(guild).await?;
        let actions: Vec<String> = actions.iter().map(|&action| action.to_owned()).collect();
        let person = sqlx::query_scalar!(
            "SELECT person_id FROM audit
             WHERE guild_id = $1 AND action = ANY($2) AND detail @> $3
             ORDER BY ordinal DESC LIMIT 1",
            guild.0,
            &actions,
            clean_json(detail),
        )
        .fetch_optional(&mut *conn)
        .await?;
        Ok(person.flatten().map(PersonId))
    }

    /// The newest entries of a guild, or those before a number in its chain, newest first.
    #[instrument(name = "db.audit.list", skip(self), err(level = "debug"))]
    pub async fn list_audit(
        &self,
        guild: GuildId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = sqlx::query!(
            "SELECT id, person_id, action, detail, at, ordinal, hash FROM audit
             WHERE guild_id = $1 AND ($2::bigint IS NULL OR ordinal < $2)
             ORDER BY ordinal DESC LIMIT $3",
            guild.0,
            before,
            i64::from(limit),
        )
        .fetch_all(&mut *conn)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(AuditEntry {
                    id: row.id,
                    person: row.person_id.map(PersonId),
                    action: row.action,
                    detail: row.detail,
                    at: row.at,
                    ordinal: row.ordinal,
                    hash: hash(row.hash)?,
                })
            })
            .collect()
    }
}
