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
use crate::engine::{FinishReason, GenerationRequest, GenerationSummary, LengthRange};
use crate::moderation::{Door, Outcome, Reading, Verdict};
use crate::pool::{PoolError, PoolEvent, PoolModel};
use crate::prompt::Prompt;
use crate::prose::{Repetition, Scan};
use crate::sampling::SamplerParams;
use crate::store::{Claim, HEARTBEAT};
use crate::telemetry::metrics;

use super::clearance::Clearance;
use super::plan::Plan;
use super::proofreader::{Proofreader, raised_penalty};
use super::receipt::RepetitionReceipt;
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
    /// How its words were drawn: not as the preset says, where it was written anew.
    pub(super) sampler: SamplerParams,
    pub(super) repetition: RepetitionReceipt,
    pub(super) impersonation_tokens: usize,
    /// Why it waits for a moderator, unseen.
    pub(super) held: Option<String>,
    shown_bytes: usize,
}

/// One try at a reply.
struct Try {
    summary: GenerationSummary,
    impersonation_tokens: usize,
    /// Whether somebody asked for its end.
    is_stopped: bool,
    /// What of it was shown, in bytes of all that stands.
    shown_bytes: usize,
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
            length_range: self.length_range(plan),
            stop: self.stops(prompt),
            sampler: sampler.clone(),
            seed: seed(claim, 0),
            trim_start_space: plan.standing_text.is_empty(),
            span: Span::current(),
            trim_end: true,
            ..GenerationRequest::new(prompt.token_ids.clone())
        }
    }

    /// Within which tokens a reply is kept. What stands already is part of a continued one.
    fn length_range(&self, plan: &Plan) -> Option<LengthRange> {
        let range = self.settings.length_range(plan.length)?;
        let min_tokens = if plan.standing_text.is_empty() { range.min_tokens } else { 0 };
        Some(LengthRange { min_tokens, ..range })
    }

    /// What ends a reply: the prompt's stops, and the model's own.
    pub(super) fn stops(&self, prompt: &Prompt) -> Vec<String> {
        prompt.stops.iter().chain(&self.settings.stops).cloned().collect()
    }

    /// Asks the pool until something is said, and shows it while it grows. What the
    /// character said before is written once more.
    pub(super) async fn generate<K: ReplySink>(
        &self,
        sink: &mut K,
        claim: &Claim,
        plan: &Plan,
        reader: &Proofreader,
        mut request: GenerationRequest,
        stopping: watch::Receiver<bool>,
    ) -> Result<Written, Ended> {
        let mut running = Running::enter(self, claim);
        let mut first: Option<Written> = None;
        let mut forbidden: Option<String> = None;
        for luck in 0..MAX_TRIES {
            request.seed = seed(claim, luck);
            let mut writing = Writing { sink, plan, reader, running: &mut running };
            let attempt = match self.persist(&mut writing, claim, &request, &stopping).await {
                // What there is already is better than nothing.
                Err(Ended::Failed(error)) if first.is_some() => {
                    tracing::warn!(error.kind = error.kind(), "the first try stands");
                    break;
                }
                attempt => attempt?,
            };
            let Try { mut summary, impersonation_tokens, is_stopped, shown_bytes } = attempt;
            if summary.text.trim().is_empty() {
                if is_stopped {
                    break;
                }
                continue;
            }
            let examining = plan.rules.examine(Door::Reply, &summary.text);
            let outcome = match self.while_renewed(claim, examining).await? {
                Ok(outcome) => outcome,
                Err(error) => {
                    sink.begin_anew().await;
                    if first.is_some() {
                        break;
                    }
                    return Err(error.into());
                }
            };
            plan.rules.count(&outcome);
            self.count_findings(&outcome);
            let mut held = None;
            match outcome.verdict {
                Verdict::Allow => {}
                Verdict::Redact => summary.text = outcome.text,
                Verdict::Hold => {
                    held = Some(plan.rules.reason(Door::Reply, &outcome));
                    summary.text = outcome.text;
                }
                Verdict::Reroll | Verdict::Refuse => {
                    forbidden = Some(plan.rules.refusal(&outcome));
                    sink.begin_anew().await;
                    if is_stopped {
                        break;
                    }
                    continue;
                }
            }
            let Repetition { overlap, longest_run } = reader.compare(&summary.text);
            let counts = reader.is_repetition(Repetition { overlap, longest_run });
            let first_overlap = first.as_ref().map(|first| first.repetition.overlap);
            let written = Written {
                summary,
                seed: request.seed,
                sampler: request.sampler.clone(),
                repetition: RepetitionReceipt { overlap, longest_run, first_overlap },
                impersonation_tokens,
                held,
                shown_bytes,
            };
            if written.held.is_some() {
                sink.begin_anew().await;
                return Ok(written);
            }
            if counts && first.is_none() {
                self.metrics.count(metrics::REPETITIONS, "first", 1);
            }
            // What people have begun to read stands.
            let is_unseen = shown_bytes <= plan.standing_text.len();
            let may_try = !is_stopped && first.is_none() && luck + 1 < MAX_TRIES;
            if counts && is_unseen && may_try {
                request.sampler = raised_penalty(&request.sampler);
                first = Some(Written { shown_bytes: 0, ..written });
                sink.begin_anew().await;
                continue;
            }
            if counts {
                self.metrics.count(metrics::REPETITIONS, "standing", 1);
            }
            // A second try that is no better came for nothing.
            return Ok(
                match first.take().filter(|first| counts && first.repetition.overlap < overlap) {
                    Some(first) => {
                        sink.begin_anew().await;
                        show_whole(sink, plan, first).await
                    }
                    None => show_whole(sink, plan, written).await,
                },
            );
        }
        match first {
            Some(first) => {
                self.metrics.count(metrics::REPETITIONS, "standing", 1);
                Ok(show_whole(sink, plan, first).await)
            }
            None => Err(Ended::Failed(ChatError::refused(match forbidden {
                Some(why) => format!(
                    "the model wrote what may not be shown, each time it was asked: {why}; /reply \
                     asks again"
                ),
                None => "nothing was said; /reply asks again, and another length or preset may \
                         help"
                    .to_owned(),
            }))),
        }
    }

    /// Counts what the rules met in a reply.
    fn count_findings(&self, outcome: &Outcome) {
        if !outcome.findings.is_empty() {
            self.metrics.count(metrics::MODERATION, outcome.verdict.as_str(), 1);
        }
    }

    /// Begins anew where a worker went away in the middle of the words.
    async fn persist<K: ReplySink>(
        &self,
        writing: &mut Writing<'_, '_, K>,
        claim: &Claim,
        request: &GenerationRequest,
        stopping: &watch::Receiver<bool>,
    ) -> Result<Try, Ended> {
        for _ in 1..MAX_WORKERS {
            match self.stream(writing, claim, request.clone(), stopping.clone()).await {
                Err(Ended::Failed(ChatError::Pool(error))) if error.is_of_worker() => {
                    tracing::warn!(error.kind = error.kind(), "the reply begins anew");
                    writing.sink.begin_anew().await;
                }
                outcome => return outcome,
            }
        }
        self.stream(writing, claim, request.clone(), stopping.clone()).await
    }

    async fn stream<K: ReplySink>(
        &self,
        writing: &mut Writing<'_, '_, K>,
        claim: &Claim,
        request: GenerationRequest,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<Try, Ended> {
        let Writing { sink, plan, reader, running } = writing;
        let mut events = self.pool.generate(&plan.view.model, request)?;
        let aborter = events.aborter();
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let standing_bytes = plan.standing_text.len();
        let mut text = plan.standing_text.clone();
        let mut shown = standing_bytes;
        let mut stopped = false;
        // Up to where it holds no line of another.
        let mut checked = 0;
        let mut is_over = false;
        let mut reading = Reading::default();
        let mut clearance = Clearance::new(&plan.rules);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(PoolEvent::Started { .. }) => {}
                    Some(PoolEvent::Text(delta)) => {
                        text.push_str(&delta);
                        if is_over {
                            continue;
                        }
                        let mut reply = &text[standing_bytes..];
                        if let Some(at) = reader.find_other(reply, checked) {
                            is_over = true;
                            aborter.abort();
                            reply = &reply[..at];
                        }
                        checked = reply.len();
                        // White space at its end may be cut off with what follows.
                        let allowed = plan.rules.showable(reply, &mut reading);
                        let ready = reply[..reader.showable(reply).min(allowed)].trim_end();
                        let ready = clearance.cleared(ready);
                        if standing_bytes + ready > shown {
                            shown = standing_bytes + ready;
                            sink.update(&text[..shown]).await;
                        }
                    }
                    Some(PoolEvent::Finished(summary)) => {
                        let found = cut_other(summary, stopped, reader, &plan.view.model);
                        return Ok(Try { shown_bytes: shown, ..found });
                    }
                    Some(PoolEvent::Failed(error)) => {
                        return Err(ChatError::Pool(error).into());
                    }
                    None => return Err(ChatError::Pool(PoolError::Gone).into()),
                },
                cleared = clearance.answer() => if standing_bytes + cleared > shown {
                    shown = standing_bytes + cleared;
                    sink.update(&text[..shown]).await;
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

/// What the tries at one reply share.
struct Writing<'a, 'b, K> {
    sink: &'a mut K,
    plan: &'a Plan,
    reader: &'a Proofreader,
    running: &'a mut Running<'b>,
}

/// Shows what was held back, now that it is known that it stands.
async fn show_whole<K: ReplySink>(sink: &mut K, plan: &Plan, written: Written) -> Written {
    let whole = format!("{}{}", plan.standing_text, written.summary.text);
    if whole.len() > written.shown_bytes {
        sink.update(&whole).await;
    }
    written
}

/// The reply without another's line and all behind it.
fn cut_other(
    mut summary: GenerationSummary,
    stopped: bool,
    reader: &Proofreader,
    model: &PoolModel,
) -> Try {
    let Some(at) = reader.find_other(&summary.text, 0) else {
        let is_stopped = stopped || summary.finish_reason == FinishReason::Aborted;
        return Try { summary, impersonation_tokens: 0, is_stopped, shown_bytes: 0 };
    };
    let impersonation_tokens = model.tokenizer.count(&summary.text[at..]);
    summary.text.truncate(at);
    summary.text.truncate(summary.text.trim_end().len());
    let closers = Scan::of(&summary.text).closers;
    summary.text.push_str(&closers);
    summary.finish_reason = FinishReason::Stop(String::new());
    Try { summary, impersonation_tokens, is_stopped: stopped, shown_bytes: 0 }
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
