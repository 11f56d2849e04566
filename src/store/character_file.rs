//! What came with a character's file: its card, its pictures and other assets, its lore.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tracing::instrument;

use super::character::sheet_column;
use super::guard::GuildTx;
use super::text::{clean, name_key};
use super::{Noun, Store, StoreError};
use crate::domain::{Character, CharacterId, CharacterSheet, GuildId, LorebookId};

/// Everything that one file makes known of a character.
#[derive(Debug, Clone)]
pub struct CharacterFile {
    /// What reaches prompts and the stage.
    pub sheet: CharacterSheet,
    /// The card, whole, as JSON text.
    pub card: String,
    /// Its files, the picture it was written into among them.
    pub assets: Vec<CharacterAsset>,
    /// Its own lore, if any.
    pub book: Option<NewBook>,
}

/// Lore that comes in a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewBook {
    /// What it is called where that name is free; else a number is put behind it.
    pub name: String,
    /// The book as its file spells it, as JSON text.
    pub body: String,
}

/// A file that belongs to a character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CharacterAsset {
    /// What it is: `icon`, `emotion`, `background`, …; `card picture` is the image that
    /// the card was written into.
    pub kind: String,
    /// Its name: `main` for the usual icon, the emotion for an emotion.
    pub name: String,
    /// Its extension, lower case, without a dot.
    pub ext: String,
    /// Where the card says it is; empty where the card does not speak of it.
    pub uri: String,
    /// The SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// What is in it.
    pub bytes: Arc<[u8]>,
}

impl Store {
    /// Keeps a character with everything its file holds, or nothing of it; in place of
    /// an earlier one where `replaces` names it.
    ///
    /// # Errors
    /// `Taken` where another one has the name; `NotFound` where there is none to replace.
    #[instrument(name = "db.character.import", skip(self, file), err(level = "debug"))]
    pub async fn import_character(
        &self,
        guild: GuildId,
        file: &CharacterFile,
        replaces: Option<CharacterId>,
    ) -> Result<Character, StoreError> {
        let mut tx = self.begin(guild).await?;
        let place = replaces.map_or(Place::Offered, Place::Of);
        let id = put(&mut tx, guild, file, place).await?;
        tx.commit().await?;
        let kept = self.get_character(guild, id).await?;
        kept.ok_or(StoreError::NotFound(Noun::Character))
    }

    /// The card that a character came from, as JSON text; `None` where it came from
    /// none.
    #[instrument(name = "db.character.get_card", skip(self), err(level = "debug"))]
    pub async fn get_card(
        &self,
        guild: GuildId,
        character: CharacterId,
    ) -> Result<Option<String>, StoreError> {
        let mut conn = self.read(guild).await?;
        let card = sqlx::query_scalar!(
            "SELECT card::text FROM character WHERE guild_id = $1 AND id = $2",
            guild.0,
            character.0,
        )
        .fetch_optional(&mut *conn)
        .await?;
        card.flatten().map(|card| conn.seal.open_file(card)).transpose()
    }

    /// The files of a character, in order.
    #[instrument(name = "db.character.list_assets", skip(self), err(level = "debug"))]
    pub async fn list_character_assets(
        &self,
        guild: GuildId,
        character: CharacterId,
    ) -> Result<Vec<CharacterAsset>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = sqlx::query!(
            "SELECT kind, name, ext, uri, sha256 FROM character_asset
             WHERE guild_id = $1 AND character_id = $2 ORDER BY ordinal",
            guild.0,
            character.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        drop(conn);
        // Each file once, however often the card names it.
        let mut files: HashMap<[u8; 32], Arc<[u8]>> = HashMap::new();
        let mut assets = Vec::with_capacity(rows.len());
        for row in rows {
            let sha256 = row.sha256.try_into().expect("a check holds the length");
            let bytes = match files.get(&sha256) {
                Some(bytes) => bytes.clone(),
                None => {
                    let bytes = self.get_asset(guild, sha256).await?.unwrap_or_default();
                    files.entry(sha256).or_insert_with(|| bytes.into()).clone()
                }
            };
            let (kind, name, ext, uri) = (row.kind, row.name, row.ext, row.uri);
            assets.push(CharacterAsset { kind, name, ext, uri, sha256, bytes });
        }
        Ok(assets)
    }

    /// The sum of the picture by which a character is seen: the one that was chosen,
    /// else its main icon, else the image that its card was written into. `None` where
    /// it has none of these.
    #[instrument(name = "db.character.get_picture_sum", skip(self), err(level = "debug"))]
    pub async fn get_picture_sum(
        &self,
        guild: GuildId,
        character: CharacterId,
    ) -> Result<Option<[u8; 32]>, StoreError> {
        let mut conn = self.read(guild).await?;
        let sum = sqlx::query_scalar!(
            "SELECT used.sha256 FROM character_asset AS used
             JOIN character ON character.guild_id = used.guild_id
                           AND character.id = used.character_id
             WHERE used.guild_id = $1 AND used.character_id = $2
               AND (used.kind IN ('icon', 'card picture')
                    OR used.kind = 'emotion' AND used.name = character.picture)
             ORDER BY used.name IS NOT DISTINCT FROM character.picture DESC,
                      used.kind = 'icon' AND used.name = 'main' DESC, used.kind = 'icon' DESC,
                      used.ordinal
             LIMIT 1",
            guild.0,
            character.0,
        )
        .fetch_optional(&mut *conn)
        .await?;
        Ok(sum.map(|sum| sum.try_into().expect("a check holds the length")))
    }

    /// The names of the pictures that a character can be seen by.
    #[instrument(name = "db.character.list_picture_names", skip(self), err(level = "debug"))]
    pub async fn list_picture_names(
        &self,
        guild: GuildId,
        character: CharacterId,
    ) -> Result<Vec<String>, StoreError> {
        let mut conn = self.read(guild).await?;
        Ok(sqlx::query_scalar!(
            "SELECT name FROM character_asset
             WHERE guild_id = $1 AND character_id = $2 AND kind IN ('icon', 'emotion', 'card picture')
             GROUP BY name ORDER BY min(ordinal)",
            guild.0,
            character.0,
        )
        .fetch_all(&mut *conn)
        .await?)
    }

    /// Lets a character be seen by the picture of that name; `None` by its usual one.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such character.
    #[instrument(name = "db.character.set_picture", skip(self), err(level = "debug"))]
    pub async fn set_character_picture(
        &self,
        guild: GuildId,
        character: CharacterId,
        name: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "UPDATE character SET picture = $3 WHERE guild_id = $1 AND id = $2",
            guild.0,
            character.0,
            name.map(|name| clean(name).into_owned()),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        match done.rows_affected() {
            0 => Err(StoreError::NotFound(Noun::Character)),
            _ => Ok(()),
        }
    }

    /// The bytes of an asset.
    #[instrument(name = "db.asset.get", skip(self, sha256), err(level = "debug"))]
    pub async fn get_asset(
        &self,
        guild: GuildId,
        sha256: [u8; 32],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut conn = self.read(guild).await?;
        let row = sqlx::query!(
            "SELECT bytes, sealed_with FROM asset WHERE guild_id = $1 AND sha256 = $2",
            guild.0,
            &sha256[..],
        )
        .fetch_optional(&mut *conn)
        .await?;
        row.map(|row| conn.seal.open_bytes(row.bytes, row.sealed_with)).transpose()
    }

    /// The lorebook that came in a character's card, if it is still there.
    #[instrument(name = "db.character.get_book", skip(self), err(level = "debug"))]
    pub async fn get_embedded_lorebook(
        &self,
        guild: GuildId,
        character: CharacterId,
    ) -> Result<Option<LorebookId>, StoreError> {
        let mut conn = self.read(guild).await?;
        let id = sqlx::query_scalar!(
            "SELECT lorebook_id FROM character_lorebook
             WHERE guild_id = $1 AND character_id = $2 AND embedded",
            guild.0,
            character.0,
        )
        .fetch_optional(&mut *conn)
        .await?;
        Ok(id.map(LorebookId))
    }
}

/// Where what a file holds is put.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// On the lists, as a new character.
    Offered,
    /// Beside them: nobody is offered it.
    Archived,
    /// In the place of a character.
    Of(CharacterId),
}

/// Keeps everything that a file holds.
pub(super) async fn put(
    conn: &mut GuildTx,
    guild: GuildId,
    file: &CharacterFile,
    place: Place,
) -> Result<CharacterId, StoreError> {
    let id = put_sheet(conn, guild, file, place).await?;
    put_assets(conn, guild, id, &file.assets).await?;
    put_book(conn, guild, id, file.book.as_ref()).await?;
    Ok(id)
}

async fn put_sheet(
    conn: &mut GuildTx,
    guild: GuildId,
    file: &CharacterFile,
    place: Place,
) -> Result<CharacterId, StoreError> {
    let (name, key) = (clean(&file.sheet.name), name_key(&file.sheet.name));
    let sheet = sheet_column(&file.sheet, &conn.seal);
    let card = conn.seal.seal_file(&file.card);
    let id = match place {
        Place::Offered | Place::Archived => Some(
            sqlx::query_scalar!(
                "INSERT INTO character (guild_id, name, name_key, sheet, card, archived_at)
                 VALUES ($1, $2, $3, $4, $5::text::json, CASE WHEN $6 THEN now() END)
                 RETURNING id",
                guild.0,
                &name,
                key,
                sheet,
                card,
                matches!(place, Place::Archived),
            )
            .fetch_one(&mut **conn)
            .await?,
        ),
        Place::Of(old) => {
            sqlx::query_scalar!(
                "UPDATE character
                 SET name = $3, name_key = $4, sheet = $5, card = $6::text::json,
                     updated_at = now()
                 WHERE guild_id = $1 AND id = $2 RETURNING id",
                guild.0,
                old.0,
                &name,
                key,
                sheet,
                card,
            )
            .fetch_optional(&mut **conn)
            .await?
        }
    };
    id.map(CharacterId).ok_or(StoreError::NotFound(Noun::Character))
}

/// Puts these files in the places of all that there were.
async fn put_assets(
    conn: &mut GuildTx,
    guild: GuildId,
    character: CharacterId,
    assets: &[CharacterAsset],
) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM character_asset WHERE guild_id = $1 AND character_id = $2",
        guild.0,
        character.0,
    )
    .execute(&mut **conn)
    .await?;
    let mut sent: HashSet<[u8; 32]> = HashSet::new();
    for (ordinal, asset) in assets.iter().enumerate() {
        if sent.insert(asset.sha256) {
            let (bytes, sealed_with) = conn.seal.seal_bytes(&asset.bytes);
            sqlx::query!(
                "INSERT INTO asset (guild_id, sha256, bytes, sealed_with) VALUES ($1, $2, $3, $4)
                 ON CONFLICT DO NOTHING",
                guild.0,
                &asset.sha256[..],
                bytes,
                sealed_with,
            )
            .execute(&mut **conn)
            .await?;
        }
        sqlx::query!(
            "INSERT INTO character_asset (guild_id, character_id, ordinal, kind, name, ext, uri,
                                          sha256)
             VALUES ($1, $2, $3, $5, $6, $7, $8, $4)",
            guild.0,
            character.0,
            i32::try_from(ordinal).unwrap_or(i32::MAX),
            &asset.sha256[..],
            &clean(&asset.kind),
            &clean(&asset.name),
            &clean(&asset.ext),
            &clean(&asset.uri),
        )
        .execute(&mut **conn)
        .await?;
    }
    sqlx::query!(
        "DELETE FROM asset
         WHERE guild_id = $1 AND NOT EXISTS (
            SELECT FROM character_asset AS used
            WHERE used.guild_id = asset.guild_id AND used.sha256 = asset.sha256)",
        guild.0,
    )
    .execute(&mut **conn)
    .await?;
    Ok(())
}

/// Puts this lore in the place of what came with an earlier card.
pub(super) async fn put_book(
    conn: &mut GuildTx,
    guild: GuildId,
    character: CharacterId,
    book: Option<&NewBook>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM lorebook USING character_lorebook AS used
         WHERE lorebook.guild_id = $1 AND used.guild_id = $1 AND used.character_id = $2
           AND used.lorebook_id = lorebook.id AND used.embedded",
        guild.0,
        character.0,
    )
    .execute(&mut **conn)
    .await?;
    let Some(book) = book else { return Ok(()) };
    let name = free_name(conn, guild, &book.name).await?;
    sqlx::query!(
        "WITH book AS (
            INSERT INTO lorebook (guild_id, name, name_key, body)
            VALUES ($1, $3, $4, $5::text::json) RETURNING id
         )
         INSERT INTO character_lorebook (guild_id, character_id, lorebook_id, embedded)
         SELECT $1, $2, id, true FROM book",
        guild.0,
        character.0,
        &clean(&name),
        name_key(&name),
        conn.seal.seal_file(&book.body),
    )
    .execute(&mut **conn)
    .await?;
    Ok(())
}

/// The name, or where a lorebook has it, the first number behind it that is free.
async fn free_name(
    conn: &mut PgConnection,
    guild: GuildId,
    name: &str,
) -> Result<String, StoreError> {
    let taken: Vec<String> = sqlx::query_scalar!(
        "SELECT name_key FROM lorebook WHERE guild_id = $1 AND starts_with(name_key, $2)",
        guild.0,
        name_key(name),
    )
    .fetch_all(conn)
    .await?;
    let names = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name} {n}")));
    let is_free = |name: &String| !taken.contains(&name_key(name));
    Ok({ names }.find(is_free).expect("numbers do not end"))
}
