//! Making one reply: this is where the main job happens.
//!
//! A claimed job becomes a casting (who speaks, how long), a prompt, a stream of
//! text, a stored swipe, and at last something that people see. Each step is
//! stored before the next begins, so that a crash at any point is taken up again
//! where it stopped and nothing is written twice.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::Span;

use crate::domain::Turn;
use crate::engine::GenerationSummary;
use crate::moderation::{Door, Verdict};
use crate::store::{Claim, Generated, HEARTBEAT, JobState, Noun, StoreError, Target, Work};
use crate::telemetry::metrics;

use super::moderation::FROZEN;
use super::proofreader::Proofreader;
use super::receipt::{ReplyReceipt, Timings};
use super::sink::{FinishedReply, ReplySink, ReplyStart, Stage};
use super::view::Made;
use super::{Chat, ChatError};

/// How long a reply rests after its first failure; twice as long after each more.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// The longest that a stored reply rests which could not be shown.
const SHOW_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Why a job ends without a reply.
pub(super) enum Ended {
    /// Another worker has the scene now, or the job was called off.
    Lost,
    /// The service is stopping; the job goes back untouched.
    Stopping,
    /// It cannot be made; the person was told.
    GivenUp(ChatError),
    /// It is tried again in a while.
    PutBack(ChatError),
    /// Something went wrong, and neither the queue nor the person knows yet.
    Failed(ChatError),
}

impl<E: Into<ChatError>> From<E> for Ended {
    fn from(error: E) -> Self {
        match error.into() {
            ChatError::Store(StoreError::Fenced) => Self::Lost,
            error => Self::Failed(error),
        }
    }
}

impl Chat {
    /// Does one claimed job, from whatever step it has reached.
    pub(super) async fn make_reply<S: Stage>(
        &self,
        stage: &S,
        claim: &Claim,
        stopping: watch::Receiver<bool>,
    ) -> Result<(), Ended> {
        let scene = self.scene(claim.guild_id, claim.scene_id).await?;
        let mut sink = stage.sink(&scene);
        let shown = match (&claim.job.work, claim.job.state) {
            (Work::Show, _) => self.redraw(&mut sink, claim).await,
            (_, JobState::Generated | JobState::Sending) => self.show_reply(&mut sink, claim).await,
            _ => match self.write_reply(&mut sink, claim, stopping).await {
                Ok(()) => self.show_reply(&mut sink, claim).await,
                Err(ended) => Err(ended),
            },
        };
        match shown {
            Err(Ended::Failed(error)) => Err(self
                .give_up_or_retry(&mut sink, claim, error)
                .await
                .unwrap_or_else(Ended::from)),
            Err(Ended::Lost) => {
                self.withdraw(&mut sink, claim).await?;
                Err(Ended::Lost)
            }
            shown => shown,
        }
    }

    /// Brings what is shown in line with what stands.
    async fn redraw<K: ReplySink>(&self, sink: &mut K, claim: &Claim) -> Result<(), Ended> {
        self.while_renewed(claim, sink.redraw()).await??;
        self.store.finish_job(claim).await?;
        Ok(())
    }

    /// A job that was called off leaves nothing on the stage; one that another
    /// worker has now is that worker's to show.
    async fn withdraw<K: ReplySink>(&self, sink: &mut K, claim: &Claim) -> Result<(), Ended> {
        let job = self.store.get_job(claim.guild_id, claim.job.id).await?;
        if job.is_some_and(|job| job.state == JobState::Cancelled) {
            sink.withdraw().await;
        }
        Ok(())
    }

    /// Waits for `work` and keeps the claim alive meanwhile, however slow a platform
    /// is.
    pub(super) async fn while_renewed<T>(
        &self,
        claim: &Claim,
        work: impl Future<Output = T>,
    ) -> Result<T, Ended> {
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Beside the work, never instead of it: work that stands still may hold rows for which
        // somebody waits who holds the lane.
        let renewals = async {
            loop {
                heartbeat.tick().await;
                if let Err(error) = self.store.renew_claim(claim).await {
                    return error;
                }
            }
        };
        tokio::select! {
            done = work => Ok(done),
            error = renewals => Err(error.into()),
        }
    }

    /// From the claim to stored text.
    async fn write_reply<K: ReplySink>(
        &self,
        sink: &mut K,
        claim: &Claim,
        stopping: watch::Receiver<bool>,
    ) -> Result<(), Ended> {
        let began = Instant::now();
        let plan = self.plan(claim).await?;
        let preset = plan.view.scene.preset.clone();
        let sampler = self.sampler_params(claim.guild_id, &preset).await?;
        let max_tokens = self.settings.max_tokens(plan.length);
        let max_tokens = plan.rules.policy.max_reply_tokens.unwrap_or(max_tokens).min(max_tokens);
        let Made { prompt, lore, effects } = self.prompt(&plan, max_tokens).await?;
        plan.rules.pass_prompt(&prompt.story())?;
        let prompt_ms = ms(began.elapsed());
        if matches!(plan.target, Target::Turn(_)) {
            self.store.set_anchor(claim.guild_id, claim.scene_id, prompt.anchor).await?;
            // Another text of an older turn says nothing of what sticks now.
            if let Some(effects) = effects {
                let effects = serde_json::to_value(effects).expect("effects are plain data");
                let (guild, scene) = (claim.guild_id, claim.scene_id);
                self.store.set_lore_effects(guild, scene, Some(&effects)).await?;
            }
        }
        sink.begin(&ReplyStart {
            job: claim.job.id,
            speaker: plan.speaker.clone(),
            replaces: plan.replaces,
            standing_text: plan.standing_text.clone(),
        })
        .await;
        let request = self.request(claim, &plan, &prompt, &sampler, max_tokens);
        let length_range = request.length_range;
        let limits = self.settings.generation.repetition;
        let said = plan.view.said_by(plan.answering);
        let reader = Proofreader::new(prompt.others.clone(), limits, said)
            .continuing(!plan.standing_text.is_empty());
        let written = self.generate(sink, claim, &plan, &reader, request, stopping).await?;
        let receipt = ReplyReceipt {
            model: plan.view.model.name.clone(),
            model_fingerprint: plan.view.model.fingerprint.clone(),
            preset,
            sampler: written.sampler,
            seed: written.seed,
            length: plan.length,
            max_tokens: max_tokens.min(plan.view.room_after(&prompt)),
            length_range,
            stops: self.stops(&prompt),
            standing_bytes: plan.standing_text.len(),
            prompt: prompt.receipt.clone(),
            lore,
            repetition: written.repetition,
            impersonation_tokens: written.impersonation_tokens,
            finish: written.summary.finish_reason.kind().to_owned(),
            timings: timings(&written.summary, claim, prompt_ms),
        };
        self.account(&receipt);
        let held = written.held;
        let generated = Generated {
            target: plan.target,
            text: plan.standing_text + &written.summary.text,
            origin: plan.origin,
            receipt: serde_json::to_value(&receipt).expect("a receipt is plain data"),
            prompt_ids: prompt.token_ids,
        };
        if let Some(why) = held {
            return Err(self.hold_reply(claim, plan.speaker.name(), generated, why).await?.into());
        }
        self.store.store_generated(claim, generated).await?;
        Ok(())
    }

    /// From stored text to shown text.
    async fn show_reply<K: ReplySink>(&self, sink: &mut K, claim: &Claim) -> Result<(), Ended> {
        let job = self.store.get_job(claim.guild_id, claim.job.id).await?;
        let (turn, swipe) =
            job.and_then(|job| job.text).ok_or(StoreError::NotFound(Noun::Swipe))?;
        let mut turn = self.turn(claim.guild_id, turn).await?;
        let swipes = self.store.list_swipes(claim.guild_id, turn.id).await?;
        turn.swipe = swipes
            .into_iter()
            .find(|candidate| candidate.id == swipe)
            .ok_or(StoreError::NotFound(Noun::Swipe))?;
        if let Some(why) = self.forbidden_now(sink, claim, &turn).await? {
            return Err(self.take_back(sink, claim, &turn, why).await?);
        }
        self.store.begin_sending(claim).await?;
        let reply = FinishedReply { job: claim.job.id, turn };
        self.while_renewed(claim, sink.finish(&reply)).await??;
        // While the lane is still ours: nobody else moves the scene's anchor.
        self.anticipate(claim).await;
        self.store.finish_job(claim).await?;
        Ok(())
    }

    /// Why a text that was written may not be shown after all: moderators may have stopped
    /// the scene, and rules and places may have changed since.
    async fn forbidden_now<K: ReplySink>(
        &self,
        sink: &mut K,
        claim: &Claim,
        turn: &Turn,
    ) -> Result<Option<String>, Ended> {
        let (guild, scene) = (claim.guild_id, claim.scene_id);
        if self.store.is_frozen(guild, scene).await? {
            return Ok(Some(FROZEN.to_owned()));
        }
        if let Some(around) = sink.surroundings().await? {
            self.store.set_surroundings(guild, scene, &around).await?;
        }
        let rules = self.library.rules(guild, Some(scene)).await?;
        let examining = rules.examine(Door::Reply, &turn.swipe.text);
        let outcome = match self.while_renewed(claim, examining).await? {
            Ok(outcome) => outcome,
            Err(error) => return Ok(Some(error.to_string())),
        };
        Ok(match outcome.verdict {
            Verdict::Allow | Verdict::Redact => None,
            Verdict::Hold => {
                let why = rules.reason(Door::Reply, &outcome);
                Some(self.hold_written(claim, turn, why).await?.to_string())
            }
            Verdict::Reroll | Verdict::Refuse => Some(rules.refusal(&outcome)),
        })
    }

    /// Takes a text out again that nobody has seen whole.
    async fn take_back<K: ReplySink>(
        &self,
        sink: &mut K,
        claim: &Claim,
        turn: &Turn,
        why: String,
    ) -> Result<Ended, Ended> {
        let error = ChatError::refused(format!("the reply is not shown: {why}"));
        let (guild, scene) = (claim.guild_id, claim.scene_id);
        self.store.fail_job(claim, error.kind()).await?;
        let swipes = self.store.list_swipes(guild, turn.id).await?;
        match swipes.iter().rfind(|other| other.id < turn.swipe.id) {
            Some(before) => {
                self.store.select_swipe(guild, scene, turn.id, before.id).await?;
            }
            None => {
                self.store.remove_turn(guild, scene, turn.id).await?;
            }
        }
        self.store.bar_undo(guild, scene, turn.id).await?;
        // What was shown of it by whoever came to the end here before goes, too.
        self.ask_show(guild, scene).await?;
        sink.fail(&error.notice()).await;
        Ok(Ended::GivenUp(error))
    }

    async fn give_up_or_retry<K: ReplySink>(
        &self,
        sink: &mut K,
        claim: &Claim,
        error: ChatError,
    ) -> Result<Ended, StoreError> {
        let attempts = claim.job.attempts;
        let after = match &error {
            // The text is stored; only the front end knows when showing it is hopeless.
            ChatError::Sink(_) => Some((claim.job.waited / 2).clamp(RETRY_AFTER, SHOW_AGAIN_AFTER)),
            _ if attempts >= self.settings.max_attempts => None,
            _ => Some(RETRY_AFTER * 2u32.pow(attempts.saturating_sub(1).min(6))),
        };
        if let Some(after) = after.filter(|_| error.is_transient()) {
            self.store.retry_job(claim, after, error.kind()).await?;
            return Ok(Ended::PutBack(error));
        }
        self.store.fail_job(claim, error.kind()).await?;
        sink.fail(&error.notice()).await;
        Ok(Ended::GivenUp(error))
    }

    /// What the reply cost, for the log and the metrics.
    fn account(&self, receipt: &ReplyReceipt) {
        let Timings { prompt_ms, queue_ms, prefill_ms, decode_ms, .. } = receipt.timings;
        let Timings { num_prompt_tokens, num_cached_tokens, num_generated_tokens, .. } =
            receipt.timings;
        self.metrics.count(metrics::IMPERSONATION_TOKENS, "", receipt.impersonation_tokens as u64);
        let span = Span::current();
        span.record("reply.finish_reason", receipt.finish.as_str());
        for (field, name, ms) in [
            ("prompt.ms", metrics::PROMPT_MS, prompt_ms),
            ("engine.queue_ms", metrics::QUEUE_MS, queue_ms),
            ("engine.prefill_ms", metrics::PREFILL_MS, prefill_ms),
            ("engine.decode_ms", metrics::DECODE_MS, decode_ms),
        ] {
            span.record(field, ms);
            self.metrics.observe_ms(name, "", ms as f64);
        }
        for (field, name, num_tokens) in [
            ("prompt.tokens", metrics::PROMPT_TOKENS, num_prompt_tokens),
            ("prompt.cached_tokens", metrics::CACHED_TOKENS, num_cached_tokens),
            ("reply.tokens", metrics::REPLY_TOKENS, num_generated_tokens),
        ] {
            span.record(field, num_tokens as u64);
            self.metrics.count(name, "", num_tokens as u64);
        }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn timings(summary: &GenerationSummary, claim: &Claim, prompt_ms: u64) -> Timings {
    Timings {
        lane_ms: ms(claim.job.waited),
        prompt_ms,
        queue_ms: summary.queue_ms,
        prefill_ms: summary.prefill_ms,
        decode_ms: summary.decode_ms,
        num_prompt_tokens: summary.num_prompt_tokens,
        num_cached_tokens: summary.num_cached_tokens,
        num_generated_tokens: summary.num_generated_tokens,
    }
}
