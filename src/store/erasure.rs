//! Forgetting a person: their words and names go, the story of others stays.

use sqlx::PgConnection;
use tracing::instrument;

use super::guard::GuildTx;
use super::live::mark_stale;
use super::{Noun, Store, StoreError, forgotten, job};
use crate::domain::{GuildId, PersonId, SceneId};

/// What went with a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    /// Where they spoke or took part: what is cached of these is to be forgotten.
    pub scenes: Vec<SceneId>,
    /// How many turns were emptied.
    pub num_turns: u64,
    /// The platform's ids of their messages, each after that of its place.
    pub messages: Vec<(String, String)>,
}

impl Store {
    /// Empties everything a person said and forgets who they are, as one transaction.
    /// Their turns keep their places in the tree, out of every line; the person's row
    /// stays under a token, since the audit refers to it. A block by moderators stays, as a
    /// digest. Replies that were in the making
    /// in their scenes are called off, because they have read what goes.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such person.
    #[instrument(name = "db.person.erase", skip(self), err(level = "debug"))]
    pub async fn erase_person(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<Erased, StoreError> {
        let mut tx = self.begin(guild).await?;
        let scenes = lock_scenes(&mut tx, guild, person).await?;
        // After the lanes, as whoever takes a message does; nothing of theirs comes in now.
        sqlx::query!(
            "SELECT id FROM person WHERE guild_id = $1 AND id = $2 FOR UPDATE",
            guild.0,
            person.0,
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::NotFound(Noun::Person))?;
        let ids: Vec<i64> = scenes.iter().map(|scene| scene.0).collect();
        let rows = sqlx::query!(
            "SELECT scene.channel, inbound.external_id
             FROM turn
             JOIN inbound ON inbound.guild_id = turn.guild_id AND inbound.turn_id = turn.id
             JOIN scene ON scene.guild_id = turn.guild_id AND scene.id = turn.scene_id
             WHERE turn.guild_id = $1 AND turn.person_id = $2 ORDER BY turn.id",
            guild.0,
            person.0,
        )
        .fetch_all(&mut *tx)
        .await?;
        let messages = rows.into_iter().map(|row| (row.channel, row.external_id)).collect();
        for &scene in &scenes {
            let jobs = job::unwritten(&mut tx, guild, scene).await?;
            job::cancel(&mut tx, guild, scene, &jobs).await?;
            mark_stale(&mut tx, guild, scene).await?;
        }
        let turns = sqlx::query_scalar!(
            "SELECT id FROM turn WHERE guild_id = $1 AND person_id = $2",
            guild.0,
            person.0,
        )
        .fetch_all(&mut *tx)
        .await?;
        let num_turns = empty_turns(&mut tx, guild, &turns).await?;
        forget_prompts(&mut tx, guild, &ids).await?;
        forget_who(&mut tx, guild, person).await?;
        forgotten::note(&mut tx, &ids).await?;
        tx.commit().await?;
        Ok(Erased { scenes, num_turns, messages })
    }
}

/// Locks the lanes of their scenes, in order, so that no two meet head-on.
async fn lock_scenes(
    conn: &mut PgConnection,
    guild: GuildId,
    person: PersonId,
) -> Result<Vec<SceneId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT scene_id FROM lane
         WHERE guild_id = $1 AND scene_id IN (
            SELECT scene_id FROM turn WHERE guild_id = $1 AND person_id = $2
            UNION SELECT scene_id FROM participant WHERE guild_id = $1 AND person_id = $2)
         ORDER BY scene_id FOR UPDATE",
        guild.0,
        person.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(SceneId).collect())
}

/// Takes the texts of turns and the names of people who said them, for good: no undo
/// brings them back.
pub(super) async fn empty_turns(
    conn: &mut PgConnection,
    guild: GuildId,
    turns: &[i64],
) -> Result<u64, StoreError> {
    sqlx::query!(
        "WITH for_good AS (
            UPDATE scene_move SET abandoned = true, undone = true
            WHERE guild_id = $1 AND kind = 'remove' AND to_turn_id = ANY ($2)
         )
         UPDATE swipe SET text = '', receipt = NULL
         WHERE guild_id = $1 AND turn_id = ANY ($2)",
        guild.0,
        turns,
    )
    .execute(&mut *conn)
    .await?;
    let done = sqlx::query!(
        "UPDATE turn SET speaker_name = CASE WHEN person_id IS NULL THEN speaker_name
                                             ELSE 'somebody' END,
                         source = NULL, removed_at = coalesce(removed_at, now())
         WHERE guild_id = $1 AND id = ANY ($2)",
        guild.0,
        turns,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Prompts hold their words and persona; receipts name them in stops, labels and causes.
async fn forget_prompts(
    conn: &mut GuildTx,
    guild: GuildId,
    scenes: &[i64],
) -> Result<(), StoreError> {
    forget_held_receipts(conn, guild, scenes).await?;
    sqlx::query!(
        "WITH prompt AS (
            DELETE FROM reply_prompt USING turn
            WHERE reply_prompt.guild_id = $1 AND turn.guild_id = $1
              AND turn.id = reply_prompt.turn_id AND turn.scene_id = ANY ($2)
         ), approval AS (
            DELETE FROM training_approval WHERE guild_id = $1 AND scene_id = ANY ($2)
         ), head AS (
            UPDATE scene SET source = NULL WHERE guild_id = $1 AND id = ANY ($2)
         )
         UPDATE swipe SET receipt = NULL FROM turn
         WHERE swipe.guild_id = $1 AND turn.guild_id = $1 AND turn.id = swipe.turn_id
           AND turn.scene_id = ANY ($2) AND swipe.receipt IS NOT NULL",
        guild.0,
        scenes,
    )
    .execute(&mut **conn)
    .await?;
    Ok(())
}

/// Those of replies that moderators hold.
async fn forget_held_receipts(
    conn: &mut GuildTx,
    guild: GuildId,
    scenes: &[i64],
) -> Result<(), StoreError> {
    let rows = sqlx::query!(
        "SELECT held.case_number, held.body
         FROM held JOIN moderation_case AS waits
           ON waits.guild_id = held.guild_id AND waits.number = held.case_number
         WHERE held.guild_id = $1 AND waits.scene_id = ANY ($2) FOR UPDATE OF held",
        guild.0,
        scenes,
    )
    .fetch_all(&mut **conn)
    .await?;
    for row in rows {
        let mut body = conn.seal.open_json(row.body)?;
        let Some(receipt) = body.get_mut("receipt") else { continue };
        receipt.take();
        let body = conn.seal.seal_json(&body);
        sqlx::query!(
            "UPDATE held SET body = $3 WHERE guild_id = $1 AND case_number = $2",
            guild.0,
            row.case_number,
            body,
        )
        .execute(&mut **conn)
        .await?;
    }
    Ok(())
}

async fn forget_who(
    conn: &mut PgConnection,
    guild: GuildId,
    person: PersonId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO erased_block (guild_id, digest)
         SELECT guild_id, sha256(convert_to(guild_id || ':' || external_id, 'UTF8'))
         FROM person WHERE guild_id = $1 AND id = $2 AND blocked_at IS NOT NULL
         ON CONFLICT DO NOTHING",
        guild.0,
        person.0,
    )
    .execute(&mut *conn)
    .await?;
    let done = sqlx::query!(
        "UPDATE person SET external_id = 'erased:' || gen_random_uuid(),
                           display_name = 'somebody', persona_id = NULL,
                           agreed_at = NULL, agreed_words = NULL, consent_asked_at = NULL,
                           owner_id = NULL
         WHERE guild_id = $1 AND id = $2",
        guild.0,
        person.0,
    )
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::NotFound(Noun::Person));
    }
    sqlx::query!(
        "WITH said AS (
            UPDATE report SET reason = '' WHERE guild_id = $1 AND person_id = $2
         ), agreed AS (
            DELETE FROM training_consent WHERE guild_id = $1 AND person_id = $2
         ), bounds AS (
            DELETE FROM boundary WHERE guild_id = $1 AND person_id = $2
         ), cases AS (
            UPDATE moderation_case
            SET reason = '', appeal = NULL, evidence = NULL, revision = revision + 1
            WHERE guild_id = $1 AND (person_id = $2 OR opened_by = $2)
         ), waits AS (
            DELETE FROM held USING moderation_case AS theirs
            WHERE held.guild_id = $1 AND theirs.guild_id = $1
              AND theirs.number = held.case_number AND theirs.person_id = $2
         )
         DELETE FROM participant WHERE guild_id = $1 AND person_id = $2",
        guild.0,
        person.0,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM persona WHERE guild_id = $1 AND person_id = $2", guild.0, person.0)
        .execute(conn)
        .await?;
    Ok(())
}
