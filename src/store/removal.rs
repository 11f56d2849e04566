//! Taking a turn out of the line, with whatever was about to answer it.

use tracing::instrument;

use super::job::{self, Unwritten};
use super::live::mark_stale;
use super::moves::{record, set_removed};
use super::unanswered::{self, Unanswered};
use super::{JobState, Move, Store, StoreError, Work, lane};
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
        let end = unanswered::list(&mut tx, guild, scene).await?;
        let (mut called_off, mut anew) = (Vec::new(), Vec::new());
        for job in job::unwritten(&mut tx, guild, scene).await? {
            match what_becomes_of(&job, turn, &end) {
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

enum Fate {
    Unchanged,
    CalledOff,
    BegunAnew,
}

fn what_becomes_of(job: &Unwritten, removed: TurnId, end: &[Unanswered]) -> Fate {
    let had_it = end.iter().any(|said| said.turn == removed);
    let has_others = end.iter().any(|said| !said.is_removed && !said.is_absent);
    match job.work {
        Work::Swipe { turn, .. } | Work::Continue { turn } if turn == removed => Fate::CalledOff,
        Work::Reply { .. } if had_it && !has_others => Fate::CalledOff,
        Work::Reply { .. } if had_it && job.state == JobState::Claimed => Fate::BegunAnew,
        _ => Fate::Unchanged,
    }
}
