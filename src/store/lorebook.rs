//! Lorebooks, and where they are used.
//!
//! A book is kept as its file spells it; what it says, the formats room reads. Its
//! revision goes up with every change, so that what was compiled of it can be kept.

use tracing::instrument;

use super::guard::GuildTx;
use super::seal::GuildSeal;
use super::text::{clean, name_key};
use super::{Noun, Store, StoreError};
use crate::domain::{CharacterId, GuildId, LorebookId, SceneId};

/// A collection of lore entries, as one guild keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lorebook {
    /// Its key.
    pub id: LorebookId,
    /// Its name.
    pub name: String,
    /// Settings and entries as the book's file spells them, as JSON text.
    pub body: String,
    /// Goes up with every change.
    pub revision: i64,
}

/// Where a lorebook is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoreScope {
    /// In every scene that the character plays in.
    Character(CharacterId),
    /// In one scene.
    Scene(SceneId),
    /// In every scene of the guild.
    Guild,
}

/// A lorebook that is used in a scene, without what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LoreUse {
    /// Why it is used.
    pub scope: LoreScope,
    /// Which.
    pub id: LorebookId,
    /// Its revision.
    pub revision: i64,
}

/// A lorebook as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedLorebook {
    /// Its key.
    pub id: LorebookId,
    /// Its name.
    pub name: String,
    /// Whether every scene of the guild uses it.
    pub everywhere: bool,
    /// The names of the characters that bring it along.
    pub characters: Vec<String>,
    /// How many scenes that are not over use it by themselves.
    pub num_scenes: i64,
}

macro_rules! select_lorebooks {
    ($tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            LorebookRow,
            r#"SELECT id, name, body::text AS "body!", revision FROM lorebook "# + $tail
            $(, $argument)*
        )
    };
}

struct LorebookRow {
    id: i64,
    name: String,
    body: String,
    revision: i64,
}

impl LorebookRow {
    fn open(self, seal: &GuildSeal) -> Result<Lorebook, StoreError> {
        let Self { id, name, body, revision } = self;
        Ok(Lorebook { id: LorebookId(id), name, body: seal.open_file(body)?, revision })
    }
}

impl Store {
    /// Keeps a new lorebook.
    ///
    /// # Errors
    /// `Taken` where the guild has one of that name, whatever its letter case.
    #[instrument(name = "db.lorebook.insert", skip(self, name, body), err(level = "debug"))]
    pub async fn insert_lorebook(
        &self,
        guild: GuildId,
        name: &str,
        body: &str,
    ) -> Result<Lorebook, StoreError> {
        let mut tx = self.begin(guild).await?;
        let kept = insert(&mut tx, guild, name, body).await?;
        tx.commit().await?;
        Ok(kept)
    }

    /// Puts other words into a lorebook, unless somebody changed it since `revision`.
    ///
    /// # Errors
    /// `NotFound` where there is no such lorebook at that revision.
    #[instrument(name = "db.lorebook.update", skip(self, body), err(level = "debug"))]
    pub async fn update_lorebook(
        &self,
        guild: GuildId,
        lorebook: LorebookId,
        revision: i64,
        body: &str,
    ) -> Result<Lorebook, StoreError> {
        let mut tx = self.begin(guild).await?;
        let kept = update(&mut tx, guild, lorebook, revision, body).await?;
        tx.commit().await?;
        Ok(kept)
    }

    /// A lorebook by its key.
    #[instrument(name = "db.lorebook.get", skip(self), err(level = "debug"))]
    pub async fn get_lorebook(
        &self,
        guild: GuildId,
        lorebook: LorebookId,
    ) -> Result<Option<Lorebook>, StoreError> {
        let mut conn = self.read(guild).await?;
        let row = select_lorebooks!("WHERE guild_id = $1 AND id = $2", guild.0, lorebook.0)
            .fetch_optional(&mut *conn)
            .await?;
        row.map(|row| row.open(&conn.seal)).transpose()
    }

    /// The lorebook of that name, whatever its letter case.
    #[instrument(name = "db.lorebook.get_by_name", skip(self, name), err(level = "debug"))]
    pub async fn get_lorebook_by_name(
        &self,
        guild: GuildId,
        name: &str,
    ) -> Result<Option<Lorebook>, StoreError> {
        let mut conn = self.read(guild).await?;
        let key = name_key(name);
        let row = select_lorebooks!("WHERE guild_id = $1 AND name_key = $2", guild.0, key)
            .fetch_optional(&mut *conn)
            .await?;
        row.map(|row| row.open(&conn.seal)).transpose()
    }

    /// A guild's lorebooks, by name.
    #[instrument(name = "db.lorebook.list", skip(self), err(level = "debug"))]
    pub async fn list_lorebooks(&self, guild: GuildId) -> Result<Vec<ListedLorebook>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = sqlx::query!(
            r#"SELECT id, name, everywhere,
                      ARRAY(SELECT character.name FROM character_lorebook AS used
                            JOIN character ON character.guild_id = used.guild_id
                                          AND character.id = used.character_id
                            WHERE used.guild_id = lorebook.guild_id
                              AND used.lorebook_id = lorebook.id AND used.active
                              AND character.archived_at IS NULL
                            ORDER BY character.name_key) AS "characters!",
                      (SELECT count(*) FROM scene_lorebook AS used
                       JOIN scene ON scene.guild_id = used.guild_id AND scene.id = used.scene_id
                       WHERE used.guild_id = lorebook.guild_id AND used.lorebook_id = lorebook.id
                         AND scene.state <> 'ended') AS "num_scenes!"
               FROM lorebook WHERE guild_id = $1 ORDER BY name_key"#,
            guild.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| ListedLorebook {
                id: LorebookId(row.id),
                name: row.name,
                everywhere: row.everywhere,
                characters: row.characters,
                num_scenes: row.num_scenes,
            })
            .collect())
    }

    /// Drops a lorebook, wherever it is used; says whether there was one.
    #[instrument(name = "db.lorebook.delete", skip(self), err(level = "debug"))]
    pub async fn delete_lorebook(
        &self,
        guild: GuildId,
        lorebook: LorebookId,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "DELETE FROM lorebook WHERE guild_id = $1 AND id = $2",
            guild.0,
            lorebook.0,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Lets a lorebook be used somewhere, or no longer.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene, character or lorebook.
    #[instrument(name = "db.lorebook.set_use", skip(self), err(level = "debug"))]
    pub async fn set_lorebook_use(
        &self,
        guild: GuildId,
        lorebook: LorebookId,
        scope: LoreScope,
        used: bool,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let (guild, book) = (guild.0, lorebook.0);
        let done = match (scope, used) {
            (LoreScope::Guild, used) => sqlx::query!(
                "UPDATE lorebook SET everywhere = $3 WHERE guild_id = $1 AND id = $2",
                guild,
                book,
                used,
            ),
            (LoreScope::Scene(scene), true) => sqlx::query!(
                "INSERT INTO scene_lorebook (guild_id, scene_id, lorebook_id) VALUES ($1, $2, $3)
                 ON CONFLICT ON CONSTRAINT scene_lorebook_pkey
                 DO UPDATE SET lorebook_id = excluded.lorebook_id",
                guild,
                scene.0,
                book,
            ),
            (LoreScope::Scene(scene), false) => sqlx::query!(
                "DELETE FROM scene_lorebook
                 WHERE guild_id = $1 AND scene_id = $2 AND lorebook_id = $3",
                guild,
                scene.0,
                book,
            ),
            (LoreScope::Character(character), true) => sqlx::query!(
                "INSERT INTO character_lorebook (guild_id, character_id, lorebook_id, embedded)
                 VALUES ($1, $2, $3, false)
                 ON CONFLICT ON CONSTRAINT character_lorebook_pkey DO UPDATE SET active = true",
                guild,
                character.0,
                book,
            ),
            (LoreScope::Character(character), false) => sqlx::query!(
                "UPDATE character_lorebook SET active = false
                 WHERE guild_id = $1 AND character_id = $2 AND lorebook_id = $3 AND active",
                guild,
                character.0,
                book,
            ),
        }
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound(Noun::Lorebook));
        }
        Ok(())
    }

    /// The lorebooks that a scene uses, in the order of joining. One that is used for
    /// several reasons is there for the widest alone; one of several characters, once for
    /// each of them.
    #[instrument(name = "db.lorebook.list_uses", skip(self), err(level = "debug"))]
    pub async fn list_lore_uses(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Vec<LoreUse>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = sqlx::query!(
            r#"SELECT used.lorebook_id AS "id!", used.rank AS "rank!", used.character_id,
                      lorebook.revision
               FROM (
                  SELECT id AS lorebook_id, 0 AS rank, NULL::bigint AS character_id,
                         created_at AS joined_at
                  FROM lorebook WHERE guild_id = $1 AND everywhere
                  UNION ALL
                  SELECT lorebook_id, 1, NULL, joined_at FROM scene_lorebook
                  WHERE guild_id = $1 AND scene_id = $2
                  UNION ALL
                  SELECT lore.lorebook_id, 2, lore.character_id, lore.joined_at
                  FROM cast_member
                  JOIN character_lorebook AS lore ON lore.guild_id = cast_member.guild_id
                                                 AND lore.character_id = cast_member.character_id
                  WHERE cast_member.guild_id = $1 AND cast_member.scene_id = $2 AND lore.active
               ) AS used
               JOIN lorebook ON lorebook.guild_id = $1 AND lorebook.id = used.lorebook_id
               ORDER BY used.rank, used.joined_at, used.lorebook_id"#,
            guild.0,
            scene.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        let mut uses: Vec<LoreUse> = Vec::new();
        for row in rows {
            let id = LorebookId(row.id);
            let scope = match (row.rank, row.character_id) {
                (2, Some(character)) => LoreScope::Character(CharacterId(character)),
                (1, _) => LoreScope::Scene(scene),
                _ => LoreScope::Guild,
            };
            let is_wider =
                |used: &LoreUse| used.id == id && !matches!(used.scope, LoreScope::Character(_));
            if !uses.iter().any(is_wider) {
                uses.push(LoreUse { scope, id, revision: row.revision });
            }
        }
        Ok(uses)
    }
}

/// Keeps a new lorebook.
pub(super) async fn insert(
    conn: &mut GuildTx,
    guild: GuildId,
    name: &str,
    body: &str,
) -> Result<Lorebook, StoreError> {
    let row = sqlx::query_as!(
        LorebookRow,
        r#"INSERT INTO lorebook (guild_id, name, name_key, body)
           VALUES ($1, $2, $3, $4::text::json)
           RETURNING id, name, body::text AS "body!", revision"#,
        guild.0,
        &clean(name),
        name_key(name),
        conn.seal.seal_file(body),
    )
    .fetch_one(&mut **conn)
    .await?;
    row.open(&conn.seal)
}

/// Puts other words into a lorebook, unless somebody changed it since.
pub(super) async fn update(
    conn: &mut GuildTx,
    guild: GuildId,
    lorebook: LorebookId,
    revision: i64,
    body: &str,
) -> Result<Lorebook, StoreError> {
    let row = sqlx::query_as!(
        LorebookRow,
        r#"UPDATE lorebook
           SET body = $4::text::json, revision = revision + 1, updated_at = now()
           WHERE guild_id = $1 AND id = $2 AND revision = $3
           RETURNING id, name, body::text AS "body!", revision"#,
        guild.0,
        lorebook.0,
        revision,
        conn.seal.seal_file(body),
    )
    .fetch_optional(&mut **conn)
    .await?;
    row.ok_or(StoreError::NotFound(Noun::Lorebook))?.open(&conn.seal)
}
