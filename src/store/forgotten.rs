//! Scenes of which something was deleted: every process forgets what it cached of them.
//!
//! They are written down in the transaction that deletes, since a process may be away when
//! it does and come back with its files.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tokio::time::timeout;
use tracing::instrument;

use super::{Store, StoreError, bell};
use crate::domain::SceneId;

/// Up to where somebody has heard of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForgottenMark(i64);

impl Store {
    /// The scenes of all guilds of which something was deleted since that mark, and the next
    /// mark. Some may come twice.
    #[instrument(name = "db.scene.list_forgotten", skip(self), err(level = "debug"))]
    pub async fn list_forgotten_scenes(
        &self,
        since: ForgottenMark,
    ) -> Result<(Vec<SceneId>, ForgottenMark), StoreError> {
        // What is not committed yet has a number at or above the next mark. Numbers of a
        // database that was restored elsewhere may be ahead of all: they are heeded once.
        let found = sqlx::query!(
            r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "mark!",
                      ARRAY(SELECT DISTINCT scene_id FROM forgotten_scene
                            WHERE transaction >= $1::bigint::text::xid8
                              AND ($1 = 0
                                   OR transaction < pg_snapshot_xmax(pg_current_snapshot()))
                            ORDER BY scene_id) AS "scenes!""#,
            since.0,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok((found.scenes.into_iter().map(SceneId).collect(), ForgottenMark(found.mark)))
    }

    /// Waits until something may have been deleted, here or in another process, at most so
    /// long.
    pub async fn wait_for_forgotten(&self, at_most: Duration) {
        let _ = timeout(at_most, self.bell.forgotten()).await;
    }

    /// Lets go of what was written down before that time.
    #[instrument(name = "db.scene.prune_forgotten", skip(self), err(level = "debug"))]
    pub async fn prune_forgotten_scenes(&self, before: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM forgotten_scene WHERE forgotten_at < $1", before)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

/// Writes down scenes of which this transaction deletes something, and calls everybody.
pub(super) async fn note(conn: &mut PgConnection, scenes: &[i64]) -> Result<(), StoreError> {
    if scenes.is_empty() {
        return Ok(());
    }
    sqlx::query!("INSERT INTO forgotten_scene (scene_id) SELECT unnest($1::bigint[])", scenes,)
        .execute(&mut *conn)
        .await?;
    bell::call_forgetting(conn).await
}
