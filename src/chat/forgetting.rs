//! Forgetting what workers cached of scenes of which something was deleted, by whichever
//! process, also while this one was away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::domain::SceneId;
use crate::pool::WorkerStatus;
use crate::store::ForgottenMark;

use super::Chat;

/// How often is looked unasked, and how soon a worker is tried again that was not reached.
const EVERY: Duration = Duration::from_secs(20);
/// After how long a scene is forgotten once more: a step that was being computed keeps its
/// blocks at its end, and a reply may have read what was there just before.
const ONCE_MORE_AFTER: Duration = Duration::from_secs(5);
/// The shortest pause, where something waits for a worker.
const AT_LEAST: Duration = Duration::from_secs(1);

/// What is still to be done for a scene.
#[derive(Debug, Clone, Copy)]
struct Due {
    at: Instant,
    /// Whether it was forgotten before, by whoever could be reached.
    is_second: bool,
}

/// Forgets scenes as they are called, until `stopping` says `true` or nobody is left who
/// could. What is not done then is done at the next start.
pub async fn run_forgetting(chat: Arc<Chat>, mut stopping: watch::Receiver<bool>) {
    tokio::select! {
        () = forget_for_ever(&chat) => {}
        _ = stopping.wait_for(|&stopping| stopping) => {}
    }
}

async fn forget_for_ever(chat: &Chat) {
    let mut mark = ForgottenMark::default();
    let mut due: BTreeMap<SceneId, Due> = BTreeMap::new();
    loop {
        let now = Instant::now();
        match chat.store.list_forgotten_scenes(mark).await {
            Ok((scenes, next)) => {
                mark = next;
                let new = Due { at: now, is_second: false };
                due.extend(scenes.into_iter().map(|scene| (scene, new)));
            }
            Err(error) => tracing::error!(error.kind = error.kind(), %error, "chat.not_forgotten"),
        }
        chat.forget_due(&mut due, now).await;
        let next = due.values().map(|due| due.at.duration_since(Instant::now())).min();
        let pause = next.unwrap_or(EVERY).clamp(AT_LEAST, EVERY);
        chat.store.wait_for_forgotten(pause).await;
    }
}

impl Chat {
    /// Forgets those whose time has come, each twice. While a worker is away, what the others
    /// have forgotten is not asked of them again and again.
    async fn forget_due(&self, due: &mut BTreeMap<SceneId, Due>, now: Instant) {
        let reports = self.pool.workers_report();
        let are_all_there = reports.iter().all(|report| report.status == WorkerStatus::Ready);
        let ready: Vec<_> = due
            .iter()
            .filter(|(_, due)| due.at <= now && (are_all_there || !due.is_second))
            .map(|(&scene, due)| (scene, due.is_second))
            .collect();
        for (scene, is_second) in ready {
            let is_forgotten = self.forget_cache(scene).await;
            if is_second && is_forgotten {
                due.remove(&scene);
            } else {
                let after = if is_forgotten { ONCE_MORE_AFTER } else { EVERY };
                due.insert(scene, Due { at: Instant::now() + after, is_second: true });
            }
        }
    }

    /// Has the workers forget what they keep of a scene; says whether all were reached.
    pub(super) async fn forget_cache(&self, scene: SceneId) -> bool {
        // Blocks are kept under the scene's key, as replies ask for them.
        let forgotten = self.pool.forget_owner(scene.0.unsigned_abs()).await;
        if let Err(error) = &forgotten {
            tracing::warn!(error.kind = error.kind(), "the cache of a scene was not forgotten");
        }
        forgotten.is_ok()
    }
}
