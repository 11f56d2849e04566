//! Forgetting what workers cached of scenes of which something was deleted, by whichever
//! process, also while this one was away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::domain::SceneId;
use crate::store::ForgottenMark;

use super::Chat;

/// How often is looked unasked, and how soon a worker is tried again that was not reached.
const EVERY: Duration = Duration::from_secs(20);
/// After how long a scene is forgotten once more.
const ONCE_MORE_AFTER: Duration = Duration::from_secs(5);
/// How often each is forgotten: a step that was being computed keeps its blocks at its end.
const TIMES: u32 = 2;

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
    let mut due = BTreeMap::new();
    loop {
        match chat.store.list_forgotten_scenes(mark).await {
            Ok((scenes, next)) => {
                mark = next;
                due.extend(scenes.into_iter().map(|scene| (scene, TIMES)));
            }
            Err(error) => tracing::error!(error.kind = error.kind(), %error, "chat.not_forgotten"),
        }
        let is_once_more = chat.forget_due(&mut due).await;
        chat.store.wait_for_forgotten(if is_once_more { ONCE_MORE_AFTER } else { EVERY }).await;
    }
}

impl Chat {
    /// Forgets each of them once; says whether any is to be forgotten once more soon. Who
    /// could not be reached stays due.
    async fn forget_due(&self, due: &mut BTreeMap<SceneId, u32>) -> bool {
        let mut is_once_more = false;
        let mut left = BTreeMap::new();
        for (scene, times) in std::mem::take(due) {
            let is_forgotten = self.forget_cache(scene).await;
            let times = times - u32::from(is_forgotten);
            if times > 0 {
                is_once_more |= is_forgotten;
                left.insert(scene, times);
            }
        }
        *due = left;
        is_once_more
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
