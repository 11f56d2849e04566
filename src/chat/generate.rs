//! From a plan to words: the stream of one reply, shown while it grows.
//!
//! The claim is renewed as long as the stream lasts; whoever stops the reply, or
//! the service, is heard within one token.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::Span;

use crate::domain::SceneId;
use crate::engine::{FinishReason, GenerationRequest, GenerationSummary};
use crate::pool::{PoolError, PoolEvent};
use crate::prompt::Prompt;
use crate::sampling::SamplerParams;
use crate::store::{Claim, HEARTBEAT};

use super::plan::Plan;
use super::reply::Ended;
use super::sink::ReplySink;
use super::{Chat, ChatError, Stopper};

/// How often a model that says nothing is asked, each time with other luck.
const MAX_TRIES: u64 = 3;

/// How many workers may fail in one try at a reply.
const MAX_WORKERS: usize = 6;

/// What came out of the model.
pub(super) struct Written {
    pub(super) summary: GenerationSummary,
    pub(super) seed: u64,
}

impl Chat {
    pub(super) fn request(
        &self,
        claim: &Claim,
        plan: &Plan,
        prompt: &Prompt,
        sampler: &SamplerParams,
        max_tokens: usize,
    ) -> GenerationRequest {
        GenerationRequest {
            cache_salt: claim.guild_id.0.unsigned_abs(),
            cache_owner: claim.scene_id.0.unsigned_abs(),
            max_tokens: max_tokens.min(plan.view.room_after(prompt)),
            stop: self.stops(prompt),
            sampler: sampler.clone(),
            seed: seed(claim, 0),
            trim_start_space: plan.standing_text.is_empty(),
            span: Span::current(),
            trim_end: true,
            ..GenerationRequest::new(prompt.token_ids.clone())
        }
    }

    /// What ends a reply: the prompt's stops, and the model's own.
    pub(super) fn stops(&self, prompt: &Prompt) -> Vec<String> {
        prompt.stops.iter().chain(&self.settings.stops).cloned().collect()
    }

    /// Asks the pool until something is said, and shows it while it grows.
    pub(super) async fn generate<K: ReplySink>(
        &self,
        sink: &mut K,
        claim: &Claim,
        plan: &Plan,
        mut request: GenerationRequest,
        stopping: watch::Receiver<bool>,
    ) -> Result<Written, Ended> {
        let mut running = Running::enter(self, claim);
        for luck in 0..MAX_TRIES {
            request.seed = seed(claim, luck);
            let summary =
                self.persist(sink, claim, plan, &request, &mut running, &stopping).await?;
            if !summary.text.trim().is_empty() {
                return Ok(Written { summary, seed: request.seed });
            }
            if summary.finish_reason == FinishReason::Aborted {
                break;
            }
        }
        Err(Ended::Failed(ChatError::refused(
            "nothing was said; /reply asks again, and another length or preset may help",
        )))
    }

    /// Begins anew where a worker went away in the middle of the words.
    async fn persist<K: ReplySink>(
        &self,
        sink: &mut K,
        claim: &Claim,
        plan: &Plan,
        request: &GenerationRequest,
        running: &mut Running<'_>,
        stopping: &watch::Receiver<bool>,
    ) -> Result<GenerationSummary, Ended> {
        for _ in 1..MAX_WORKERS {
            let again = request.clone();
            match self.stream(sink, claim, plan, again, running, stopping.clone()).await {
                Err(Ended::Failed(ChatError::Pool(error))) if error.is_of_worker() => {
                    tracing::warn!(error.kind = error.kind(), "the reply begins anew");
                }
                outcome => return outcome,
            }
        }
        self.stream(sink, claim, plan, request.clone(), running, stopping.clone()).await
    }

    async fn stream<K: ReplySink>(
        &self,
        sink: &mut K,
        claim: &Claim,
        plan: &Plan,
        request: GenerationRequest,
        running: &mut Running<'_>,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<GenerationSummary, Ended> {
        let mut events = self.pool.generate(&plan.view.model, request)?;
        let aborter = events.aborter();
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut text = plan.standing_text.clone();
        let mut stopped = false;
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(PoolEvent::Started { .. }) => {}
                    Some(PoolEvent::Text(delta)) => {
                        text.push_str(&delta);
                        sink.update(&text).await;
                    }
                    Some(PoolEvent::Finished(summary)) => return Ok(summary),
                    Some(PoolEvent::Failed(error)) => {
                        return Err(ChatError::Pool(error).into());
                    }
                    None => return Err(ChatError::Pool(PoolError::Gone).into()),
                },
                _ = heartbeat.tick() => self.store.renew_claim(claim).await?,
                () = raised(&mut running.stop), if !stopped => {
                    stopped = true;
                    aborter.abort();
                }
                () = raised(&mut stopping) => return Err(Ended::Stopping),
            }
        }
    }
}

/// Where chance begins for a job: the same at every try, so that a reply that was
/// half made before a crash is made again and not another one.
fn seed(claim: &Claim, luck: u64) -> u64 {
    let mut rng = ChaCha8Rng::seed_from_u64(claim.job.id.0.unsigned_abs());
    rng.set_stream(claim.scene_id.0.unsigned_abs());
    rng.set_word_pos(u128::from(luck) * 2);
    rng.random()
}

/// Resolves once the flag is raised; never if nobody can raise it any more.
async fn raised(flag: &mut watch::Receiver<bool>) {
    if flag.wait_for(|raised| *raised).await.is_err() {
        std::future::pending().await
    }
}

/// A reply on the list of those that can be stopped; off it when dropped.
struct Running<'a> {
    chat: &'a Chat,
    scene: SceneId,
    stopper: watch::Sender<bool>,
    stop: watch::Receiver<bool>,
}

impl<'a> Running<'a> {
    fn enter(chat: &'a Chat, claim: &Claim) -> Self {
        let (stopper, stop) = watch::channel(false);
        let (scene, entry) =
            (claim.scene_id, Stopper { fence: claim.fence, stop: stopper.clone() });
        chat.running.lock().expect("no holder of the list panics").insert(scene, entry);
        Self { chat, scene, stopper, stop }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut running = self.chat.running.lock().expect("no holder of the list panics");
        // A reply that was begun again meanwhile stands there now, and stays.
        if running.get(&self.scene).is_some_and(|it| it.stop.same_channel(&self.stopper)) {
            running.remove(&self.scene);
        }
    }
}
