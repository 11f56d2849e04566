//! Taking a turn out of the line, with whatever was about to answer it.

use sqlx::PgConnection;
use tracing::instrument;

use super::job::{self, Unwritten};
use super::live::mark_stale;
use super::moves::{record, set_removed};
use super::{JobState, Move, Noun, Store, StoreError, Work, lane};
use crate::domain::{GuildId, SceneId, TurnId};

/// What went with a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// How many jobs were called off.
    pub called_off: usize,
    /// Whether a reply was in the making that may not go on: it is called off, or
    /// to be begun anew because it had read the turn.
    pub interrupted: bool,
}

impl Store {
    /// Leaves a turn out of every line, its children where they are. Jobs that would
    /// answer it are called off, unless something else is left to answer: then a
    /// reply that is being written is begun anew. Jobs for other texts of the turn
    /// are called off too. `None` where there was no such turn, or no more.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene.
    #[instrument(name = "db.turn.remove", skip(self), err(level = "debug"))]
    pub async fn remove_turn(
        &self,
        guild: GuildId,
        scene: SceneId,
        turn: TurnId,
    ) -> Result<Option<Removed>, StoreError> {
        let mut tx = self.begin(guild).await?;
        lane::lock(&mut tx, guild, scene).await?;
        if !set_removed(&mut tx, guild, scene, turn, true).await? {
            return Ok(None);
        }
        record(&mut tx, guild, scene, Move::Remove { turn }).await?;
        mark_stale(&mut tx, guild, scene).await?;
        let end = unanswered(&mut tx, guild, scene, turn).await?;
        let (mut called_off, mut anew) = (Vec::new(), Vec::new());
        for job in job::unwritten(&mut tx, guild, scene).await? {
            match what_becomes_of(&job, turn, end) {
                Fate::CalledOff => called_off.push(job),
                Fate::BegunAnew => anew.push(job),
                Fate::Unchanged => {}
            }
        }
        job::cancel(&mut tx, guild, scene, &called_off).await?;
        job::requeue(&mut tx, guild, scene, &anew).await?;
        tx.commit().await?;
        if !anew.is_empty() {
            self.bell.ring();
        }
        Ok(Some(Removed {
            called_off: called_off.len(),
            interrupted: job::any_begun(&called_off) || job::any_begun(&anew),
        }))
    }

    /// Puts what was done to a turn out of undo's and redo's reach: nobody who plays brings
    /// back what rules or moderators took out.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene.
    #[instrument(name = "db.turn.bar_undo", skip(self), err(level = "debug"))]
    pub async fn bar_undo(
        &self,
        guild: GuildId,
        scene: SceneId,
        turn: TurnId,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        lane::lock(&mut tx, guild, scene).await?;
        sqlx::query!(
            "UPDATE scene_move SET abandoned = true
             WHERE guild_id = $1 AND scene_id = $2 AND kind IN ('remove', 'select')
               AND to_turn_id = $3",
            guild.0,
            scene.0,
            turn.0,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

/// What is left to answer in a scene.
#[derive(Debug, Clone, Copy)]
struct Unanswered {
    /// Whether the turn that was removed was not answered yet.
    had_it: bool,
    /// Whether another turn of a person is not.
    has_others: bool,
}

enum Fate {
    Unchanged,
    CalledOff,
    BegunAnew,
}

fn what_becomes_of(job: &Unwritten, removed: TurnId, end: Unanswered) -> Fate {
    match job.work {
        Work::Swipe { turn, .. } | Work::Continue { turn } if turn == removed => Fate::CalledOff,
        Work::Reply { .. } if end.had_it && !end.has_others => Fate::CalledOff,
        Work::Reply { .. } if end.had_it && job.state == JobState::Claimed => Fate::BegunAnew,
        _ => Fate::Unchanged,
    }
}

/// Looks back from the head to the last turn of a character. `removed` is left out
/// of the line already.
async fn unanswered(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
    removed: TurnId,
) -> Result<Unanswered, StoreError> {
    let row = sqlx::query!(
        r#"WITH RECURSIVE line AS (
            SELECT turn.id, turn.parent_id, turn.person_id, turn.removed_at
            FROM turn JOIN scene ON scene.guild_id = turn.guild_id AND scene.id = turn.scene_id
            WHERE turn.guild_id = $1 AND turn.scene_id = $2 AND turn.id = scene.head_turn_id
            UNION ALL
            SELECT turn.id, turn.parent_id, turn.person_id, turn.removed_at
            FROM line JOIN turn ON turn.guild_id = $1 AND turn.id = line.parent_id
            WHERE line.person_id IS NOT NULL OR line.removed_at IS NOT NULL
         )
         SELECT coalesce(bool_or(id = $3 AND person_id IS NOT NULL), false) AS "had_it!",
                coalesce(bool_or(person_id IS NOT NULL AND removed_at IS NULL), false)
                    AS "has_others!"
         FROM line"#,
        guild.0,
        scene.0,
        removed.0,
    )
    .fetch_optional(conn)
    .await?
    .ok_or(StoreError::NotFound(Noun::Scene))?;
    Ok(Unanswered { had_it: row.had_it, has_others: row.has_others })
}
