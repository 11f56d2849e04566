//! Sealing anew: with another key, for the first time, or not any more.

use sqlx::{AssertSqlSafe, Row as _};
use tracing::instrument;

use super::seal::{JSON_MARK, MARK, unmarked};
use super::{Store, StoreError};
use crate::domain::GuildId;

/// What is sealed, by table. Prompts and pictures are apart: `reseal_prompts`, `reseal_assets`.
const COLUMNS: [(&str, &str, Form); 19] = [
    ("swipe", "text", Form::Text),
    ("boundary", "text", Form::Text),
    ("persona", "description", Form::Text),
    ("scene", "scenario", Form::Text),
    ("report", "reason", Form::Text),
    ("moderation_case", "reason", Form::Text),
    ("moderation_case", "appeal", Form::Text),
    ("moderation_case", "decision", Form::Text),
    ("scene", "note", Form::Json),
    ("moderation_case", "evidence", Form::Json),
    ("held", "body", Form::Json),
    ("character", "sheet", Form::Json),
    ("character", "card", Form::File),
    ("lorebook", "body", Form::File),
    ("swipe", "receipt", Form::Json),
    ("scene", "lore_effects", Form::Json),
    ("scene", "source", Form::File),
    ("turn", "source", Form::Json),
    ("preset", "source", Form::File),
];

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    /// JSON, which is a text where it is sealed.
    Json,
    /// The same, of a whole file.
    File,
}

impl Form {
    /// How many rows are written in one transaction.
    fn page(self) -> i64 {
        match self {
            Self::Text | Self::Json => PAGE,
            Self::File => PAGE_OF_FILES,
        }
    }
}

const PAGE: i64 = 200;
/// Files may be long.
const PAGE_OF_FILES: i64 = 8;

/// How texts are to be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealing {
    /// With the first key.
    First,
    /// So that they can be read.
    Open,
}

impl Store {
    /// Writes every text of a guild that is not sealed as wished, and says how many there
    /// were. Others may work in the guild meanwhile; what they write with other keys is
    /// found by a second call.
    ///
    /// # Errors
    /// `Sealed` where a text's key is not there.
    #[instrument(name = "db.guild.reseal", skip(self), err(level = "debug"))]
    pub async fn reseal_guild(
        &self,
        guild: GuildId,
        as_wished: Sealing,
    ) -> Result<u64, StoreError> {
        let mut num_texts = 0;
        for (table, column, form) in COLUMNS {
            num_texts += self.reseal(guild, as_wished, table, column, form).await?;
        }
        num_texts += self.reseal_assets(guild, as_wished).await?;
        Ok(num_texts + self.reseal_prompts(guild, as_wished).await?)
    }

    /// Forgets which keys were used before: to be called once every guild is sealed as
    /// wished and nobody writes with another key.
    ///
    /// # Errors
    /// The database fails.
    #[instrument(name = "db.seal.forget_keys", skip(self), err(level = "debug"))]
    pub async fn forget_seal_keys(&self, as_wished: Sealing) -> Result<(), StoreError> {
        let kept = self.key_of(as_wished);
        sqlx::query!("DELETE FROM seal_key WHERE name IS DISTINCT FROM $1", kept)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn reseal(
        &self,
        guild: GuildId,
        as_wished: Sealing,
        table: &str,
        column: &str,
        form: Form,
    ) -> Result<u64, StoreError> {
        let is_json = form != Form::Text;
        // JSON is found, and changed, as the text that it is spelled with.
        let (text, value) = if is_json { ("::text", "$2::text::json") } else { ("", "$2") };
        let mark = self.mark_of(as_wished);
        let mark = if is_json { mark.replace(MARK, JSON_MARK) } else { mark };
        let select = format!(
            "SELECT ctid::text, {column}{text} FROM {table}
             WHERE guild_id = $1 AND {column}{text} <> ''
               AND starts_with({column}{text}, $2) <> $3
             LIMIT $4 FOR UPDATE"
        );
        let update =
            format!("UPDATE {table} SET {column} = {value} WHERE guild_id = $3 AND ctid = $1::tid");
        let mut num_texts = 0;
        loop {
            let mut tx = self.begin(guild).await?;
            let rows = sqlx::query(AssertSqlSafe(select.clone()))
                .bind(guild.0)
                .bind(&mark)
                .bind(as_wished == Sealing::First)
                .bind(form.page())
                .fetch_all(&mut *tx)
                .await?;
            for row in &rows {
                let (place, text): (String, String) = (row.try_get(0)?, row.try_get(1)?);
                let text = match is_json {
                    true => tx.seal.open_file(text)?,
                    false => tx.seal.open(text)?,
                };
                let text = match (as_wished, is_json) {
                    (Sealing::First, true) => tx.seal.seal_file(&text),
                    (Sealing::First, false) => tx.seal.seal(&text),
                    (Sealing::Open, true) => text,
                    (Sealing::Open, false) => unmarked(&text),
                };
                sqlx::query(AssertSqlSafe(update.clone()))
                    .bind(place)
                    .bind(text)
                    .bind(guild.0)
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
            num_texts += rows.len() as u64;
            if (rows.len() as i64) < form.page() {
                return Ok(num_texts);
            }
        }
    }

    async fn reseal_assets(&self, guild: GuildId, as_wished: Sealing) -> Result<u64, StoreError> {
        let mut num_assets = 0;
        loop {
            let mut tx = self.begin(guild).await?;
            let rows = sqlx::query!(
                "SELECT sha256, bytes, sealed_with FROM asset
                 WHERE guild_id = $1 AND sealed_with IS DISTINCT FROM $2 LIMIT $3 FOR UPDATE",
                guild.0,
                self.key_of(as_wished),
                PAGE_OF_FILES,
            )
            .fetch_all(&mut *tx)
            .await?;
            let num_rows = rows.len();
            for row in rows {
                let bytes = tx.seal.open_bytes(row.bytes, row.sealed_with)?;
                let (bytes, sealed_with) = match as_wished {
                    Sealing::First => tx.seal.seal_bytes(&bytes),
                    Sealing::Open => (bytes, None),
                };
                sqlx::query!(
                    "UPDATE asset SET bytes = $3, sealed_with = $4
                     WHERE guild_id = $1 AND sha256 = $2",
                    guild.0,
                    row.sha256,
                    bytes,
                    sealed_with,
                )
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await?;
            num_assets += num_rows as u64;
            if (num_rows as i64) < PAGE_OF_FILES {
                return Ok(num_assets);
            }
        }
    }

    /// Prompts that are not sealed stand as numbers in a column of their own.
    async fn reseal_prompts(&self, guild: GuildId, as_wished: Sealing) -> Result<u64, StoreError> {
        let mut num_prompts = 0;
        loop {
            let mut tx = self.begin(guild).await?;
            let rows = sqlx::query!(
                "SELECT turn_id, swipe_id, token_ids, sealed FROM reply_prompt
                 WHERE guild_id = $1 AND CASE WHEN $3 THEN sealed IS NULL OR NOT starts_with(sealed, $2)
                                              ELSE sealed IS NOT NULL END
                 LIMIT $4 FOR UPDATE",
                guild.0,
                self.mark_of(as_wished),
                as_wished == Sealing::First,
                PAGE,
            )
            .fetch_all(&mut *tx)
            .await?;
            let num_rows = rows.len();
            for row in rows {
                let ids = super::reply_prompt::open(&tx.seal, row.token_ids, row.sealed)?;
                let (open, sealed) = match as_wished {
                    Sealing::First => super::reply_prompt::columns(&tx.seal, &ids),
                    Sealing::Open => (ids.iter().map(|id| id.cast_signed()).collect(), None),
                };
                sqlx::query!(
                    "UPDATE reply_prompt SET token_ids = $4, sealed = $5
                     WHERE guild_id = $1 AND turn_id = $2 AND swipe_id = $3",
                    guild.0,
                    row.turn_id,
                    row.swipe_id,
                    &open,
                    sealed,
                )
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await?;
            num_prompts += num_rows as u64;
            if (num_rows as i64) < PAGE {
                return Ok(num_prompts);
            }
        }
    }

    /// What is sealed as wished is sealed with this key.
    fn key_of(&self, as_wished: Sealing) -> Option<&str> {
        self.keyring.names().next().filter(|_| as_wished == Sealing::First)
    }

    /// What texts begin with that are sealed as wished; where none is to be, what those
    /// begin with that are.
    fn mark_of(&self, as_wished: Sealing) -> String {
        match self.key_of(as_wished) {
            Some(name) => format!("{MARK}{name}:"),
            None => MARK.to_string(),
        }
    }
}
