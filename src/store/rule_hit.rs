//! How often the rules of a guild are met: numbers by day, and nobody's words.

use chrono::NaiveDate;
use tracing::instrument;

use super::text::clean;
use super::{Store, StoreError};
use crate::domain::GuildId;

/// In how many texts a rule was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleHits {
    /// The rule, by the name that reports use.
    pub rule: String,
    /// What it asked for, in the words of the moderation room.
    pub verdict: String,
    /// Whether nothing followed, because the rule only counts.
    pub dry_run: bool,
    /// How many texts.
    pub texts: u64,
}

impl Store {
    /// Adds to what was counted in a guild on a day.
    ///
    /// # Errors
    /// `NotFound` where there is no such guild.
    #[instrument(name = "db.rule_hit.add", skip(self, hits), err(level = "debug"))]
    pub async fn add_rule_hits(
        &self,
        guild: GuildId,
        day: NaiveDate,
        hits: &[RuleHits],
    ) -> Result<(), StoreError> {
        let rules: Vec<String> = hits.iter().map(|hit| clean(&hit.rule).into_owned()).collect();
        let verdicts: Vec<String> = hits.iter().map(|hit| hit.verdict.clone()).collect();
        let dry_runs: Vec<bool> = hits.iter().map(|hit| hit.dry_run).collect();
        let texts: Vec<i64> = hits.iter().map(|hit| hit.texts.cast_signed()).collect();
        let mut tx = self.begin(guild).await?;
        // In one order, so that two processes do not wait for each other.
        sqlx::query!(
            "INSERT INTO rule_hit (guild_id, day, rule, verdict, dry_run, texts)
             SELECT $1, $2, rule, verdict, dry_run, sum(texts)::bigint
             FROM unnest($3::text[], $4::text[], $5::boolean[], $6::bigint[])
                  AS met (rule, verdict, dry_run, texts)
             GROUP BY rule, verdict, dry_run ORDER BY rule, verdict, dry_run
             ON CONFLICT (guild_id, day, rule, verdict, dry_run)
             DO UPDATE SET texts = rule_hit.texts + excluded.texts",
            guild.0,
            day,
            &rules,
            &verdicts,
            &dry_runs,
            &texts,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// What was counted in a guild since a day, that day included; the rules that were met
    /// most often first.
    #[instrument(name = "db.rule_hit.list", skip(self), err(level = "debug"))]
    pub async fn list_rule_hits(
        &self,
        guild: GuildId,
        since: NaiveDate,
    ) -> Result<Vec<RuleHits>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = sqlx::query!(
            r#"SELECT rule, verdict, dry_run, sum(texts)::bigint AS "texts!"
               FROM rule_hit WHERE guild_id = $1 AND day >= $2
               GROUP BY rule, verdict, dry_run
               ORDER BY sum(sum(texts)) OVER (PARTITION BY rule) DESC, rule,
                        sum(texts) DESC, verdict, dry_run"#,
            guild.0,
            since,
        )
        .fetch_all(&mut *conn)
        .await?;
        let hits = rows.into_iter().map(|row| RuleHits {
            rule: row.rule,
            verdict: row.verdict,
            dry_run: row.dry_run,
            texts: row.texts.cast_unsigned(),
        });
        Ok(hits.collect())
    }

    /// Lets go of what was counted in a guild before a day; says how many numbers went.
    #[instrument(name = "db.rule_hit.delete", skip(self), err(level = "debug"))]
    pub async fn delete_rule_hits_before(
        &self,
        guild: GuildId,
        day: NaiveDate,
    ) -> Result<u64, StoreError> {
        let mut tx = self.begin(guild).await?;
        let deleted =
            sqlx::query!("DELETE FROM rule_hit WHERE guild_id = $1 AND day < $2", guild.0, day)
                .execute(&mut *tx)
                .await?;
        tx.commit().await?;
        Ok(deleted.rows_affected())
    }
}
