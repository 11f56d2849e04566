//! Characters.

use serde_json::Value;
use sqlx::PgConnection;
use tracing::instrument;

use super::guard::GuildTx;
use super::seal::GuildSeal;
use super::text::{clean, name_key};
use super::{Noun, Store, StoreError};
use crate::domain::{Character, CharacterId, CharacterSheet, GuildId};

struct CharacterRow {
    guild_id: i64,
    id: i64,
    sheet: Value,
}

impl CharacterRow {
    fn open(self, seal: &GuildSeal) -> Result<Character, StoreError> {
        character(seal, GuildId(self.guild_id), CharacterId(self.id), self.sheet)
    }
}

/// A character from the columns that hold it.
pub(super) fn character(
    seal: &GuildSeal,
    guild_id: GuildId,
    id: CharacterId,
    sheet: Value,
) -> Result<Character, StoreError> {
    let sheet: CharacterSheet =
        serde_json::from_value(seal.open_json(sheet)?).map_err(|error| StoreError::Unreadable {
            noun: Noun::Character,
            reason: error.to_string(),
        })?;
    Ok(Character { id, guild_id, sheet })
}

/// The sheet as its column holds it.
pub(super) fn sheet_column(sheet: &CharacterSheet, seal: &GuildSeal) -> Value {
    // JSON has no NaN: it would come back as null, which is no number.
    let talkativeness = if sheet.talkativeness.is_finite() { sheet.talkativeness } else { 0.5 };
    let sheet = CharacterSheet { talkativeness, ..sheet.clone() };
    seal.seal_json(&serde_json::to_value(sheet).expect("a sheet is plain data"))
}

/// Writes down a character and gives its key.
pub(super) async fn insert(
    conn: &mut GuildTx,
    guild: GuildId,
    sheet: &CharacterSheet,
) -> Result<CharacterId, StoreError> {
    let id = sqlx::query_scalar!(
        "INSERT INTO character (guild_id, name, name_key, sheet) VALUES ($1, $2, $3, $4)
         RETURNING id",
        guild.0,
        &clean(&sheet.name),
        name_key(&sheet.name),
        sheet_column(sheet, &conn.seal),
    )
    .fetch_one(&mut **conn)
    .await?;
    Ok(CharacterId(id))
}

/// Replaces what is known of a character.
pub(super) async fn update(
    conn: &mut GuildTx,
    guild: GuildId,
    character: CharacterId,
    sheet: &CharacterSheet,
) -> Result<Character, StoreError> {
    let row = sqlx::query_as!(
        CharacterRow,
        "UPDATE character
         SET name = $3, name_key = $4, sheet = $5, updated_at = now()
         WHERE guild_id = $1 AND id = $2
         RETURNING guild_id, id, sheet",
        guild.0,
        character.0,
        &clean(&sheet.name),
        name_key(&sheet.name),
        sheet_column(sheet, &conn.seal),
    )
    .fetch_optional(&mut **conn)
    .await?;
    row.ok_or(StoreError::NotFound(Noun::Character))?.open(&conn.seal)
}

/// Puts an archived character on the lists.
pub(super) async fn offer(
    conn: &mut PgConnection,
    guild: GuildId,
    character: CharacterId,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "UPDATE character SET archived_at = NULL WHERE guild_id = $1 AND id = $2",
        guild.0,
        character.0,
    )
    .execute(conn)
    .await?;
    match done.rows_affected() {
        0 => Err(StoreError::NotFound(Noun::Character)),
        _ => Ok(()),
    }
}

impl Store {
    /// Keeps a new character.
    ///
    /// # Errors
    /// `Taken` where the guild has one of that name, whatever its letter case.
    #[instrument(name = "db.character.insert", skip(self, sheet), err(level = "debug"))]
    pub async fn insert_character(
        &self,
        guild: GuildId,
        sheet: &CharacterSheet,
    ) -> Result<Character, StoreError> {
        let mut tx = self.begin(guild).await?;
        let id = insert(&mut tx, guild, sheet).await?;
        tx.commit().await?;
        let kept = self.get_character(guild, id).await?;
        kept.ok_or(StoreError::NotFound(Noun::Character))
    }

    /// Replaces what is known of a character.
    ///
    /// # Errors
    /// `NotFound`; `Taken` where another one has the new name.
    #[instrument(name = "db.character.update", skip(self, sheet), err(level = "debug"))]
    pub async fn update_character(
        &self,
        guild: GuildId,
        character: CharacterId,
        sheet: &CharacterSheet,
    ) -> Result<Character, StoreError> {
        let mut tx = self.begin(guild).await?;
        let character = update(&mut tx, guild, character, sheet).await?;
        tx.commit().await?;
        Ok(character)
    }

    /// A character by its key, archived ones too.
    #[instrument(name = "db.character.get", skip(self), err(level = "debug"))]
    pub async fn get_character(
        &self,
        guild: GuildId,
        character: CharacterId,
    ) -> Result<Option<Character>, StoreError> {
        let mut conn = self.read(guild).await?;
        sqlx::query_as!(
            CharacterRow,
            "SELECT guild_id, id, sheet FROM character WHERE guild_id = $1 AND id = $2",
            guild.0,
            character.0,
        )
        .fetch_optional(&mut *conn)
        .await?
        .map(|row| row.open(&conn.seal))
        .transpose()
    }

    /// The character of that name, whatever its letter case, unless archived.
    #[instrument(name = "db.character.get_by_name", skip(self, name), err(level = "debug"))]
    pub async fn get_character_by_name(
        &self,
        guild: GuildId,
        name: &str,
    ) -> Result<Option<Character>, StoreError> {
        let mut conn = self.read(guild).await?;
        sqlx::query_as!(
            CharacterRow,
            "SELECT guild_id, id, sheet FROM character
             WHERE guild_id = $1 AND name_key = $2 AND archived_at IS NULL",
            guild.0,
            name_key(name),
        )
        .fetch_optional(&mut *conn)
        .await?
        .map(|row| row.open(&conn.seal))
        .transpose()
    }

    /// All characters that are not archived, by name.
    #[instrument(name = "db.character.list", skip(self), err(level = "debug"))]
    pub async fn list_characters(&self, guild: GuildId) -> Result<Vec<Character>, StoreError> {
        let mut conn = self.read(guild).await?;
        sqlx::query_as!(
            CharacterRow,
            "SELECT guild_id, id, sheet FROM character
             WHERE guild_id = $1 AND archived_at IS NULL ORDER BY name_key",
            guild.0,
        )
        .fetch_all(&mut *conn)
        .await?
        .into_iter()
        .map(|row| row.open(&conn.seal))
        .collect()
    }

    /// Names that begin so, for completion, at most `limit`.
    #[instrument(name = "db.character.list_names", skip(self, prefix), err(level = "debug"))]
    pub async fn list_character_names(
        &self,
        guild: GuildId,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<(CharacterId, String)>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = sqlx::query!(
            "SELECT id, name FROM character
             WHERE guild_id = $1 AND archived_at IS NULL AND starts_with(name_key, $2)
             ORDER BY name_key LIMIT $3",
            guild.0,
            name_key(prefix),
            i64::from(limit),
        )
        .fetch_all(&mut *conn)
        .await?;
        Ok(rows.into_iter().map(|row| (CharacterId(row.id), row.name)).collect())
    }

    /// Takes a character out of the lists and frees its name. Scenes that it
    /// plays in keep it. Says whether there was one to archive.
    #[instrument(name = "db.character.archive", skip(self), err(level = "debug"))]
    pub async fn archive_character(
        &self,
        guild: GuildId,
        character: CharacterId,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "UPDATE character SET archived_at = now()
             WHERE guild_id = $1 AND id = $2 AND archived_at IS NULL",
            guild.0,
            character.0,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }
}
