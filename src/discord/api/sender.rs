//! Takes one request to Discord and brings the answer back: waits for its turn, tries
//! again what may be tried again, and knows when to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serenity::http::LightMethod;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::Instrument;

use super::breaker::Pace;
use super::endpoint::{Key, method_name};
use super::error::ApiError;
use super::pressure::{Pressure, UNKNOWN_WAIT, is_global, ms, retry_after, scope};
use super::queue::{Queues, Turn};
use super::refusals::Refusals;
use super::transport::{Answer, Request, SendError, Transport};
use crate::telemetry::metrics::{DISCORD_REQUESTS, DISCORD_WAIT_MS};

/// How often a request is tried that may be tried again.
const MAX_TRIES: u32 = 4;
/// The first pause before another try; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// An exchange that is under way may take this long beyond the caller's patience.
const GRACE: Duration = Duration::from_secs(30);

/// Takes requests to Discord. Clones share everything.
#[derive(Clone)]
pub(super) struct Sender(Arc<Inner>);

struct Inner {
    transport: Box<dyn Transport>,
    queues: Queues,
    pressure: Arc<Pressure>,
    refusals: Refusals,
    is_closing: AtomicBool,
    under_way: watch::Sender<usize>,
}

/// What to do after one try.
enum Verdict {
    Done(Answer),
    Failed(ApiError),
    /// Try again: Discord did not take it.
    Wait(Duration),
    /// Try again, if tries are left.
    Retry(ApiError),
}

impl Sender {
    pub(super) fn new(transport: Box<dyn Transport>, pressure: Arc<Pressure>) -> Self {
        Self(Arc::new(Inner {
            transport,
            queues: Queues::default(),
            pressure,
            refusals: Refusals::default(),
            is_closing: AtomicBool::new(false),
            under_way: watch::Sender::new(0),
        }))
    }

    pub(super) fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    pub(super) async fn closed(&self) -> ApiError {
        self.0.pressure.breaker.token_refused().await;
        ApiError::Unauthorized
    }

    pub(super) async fn close(&self, within: Duration) -> bool {
        self.0.is_closing.store(true, Ordering::Release);
        let mut under_way = self.0.under_way.subscribe();
        timeout(within, under_way.wait_for(|&number| number == 0)).await.is_ok()
    }

    /// Sends a request. Dropped before its turn nothing is sent; dropped later it
    /// goes on by itself.
    pub(super) async fn send(&self, request: Request) -> Result<Answer, ApiError> {
        let request = Arc::new(request);
        let span = tracing::debug_span!(
            "discord.request",
            http.method = method_name(request.method),
            http.route = request.endpoint.template(),
            http.status = tracing::field::Empty,
            wait.ms = tracing::field::Empty,
            tries = tracing::field::Empty,
        );
        let _guard = UnderWay::new(self.0.clone());
        let sent = self.0.clone().send(request).instrument(span).await;
        self.0.pressure.metrics.count(DISCORD_REQUESTS, outcome(&sent), 1);
        sent
    }
}

/// Counts what is under way.
struct UnderWay(Arc<Inner>);

impl UnderWay {
    fn new(inner: Arc<Inner>) -> Self {
        inner.under_way.send_modify(|number| *number += 1);
        Self(inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.send_modify(|number| *number -= 1);
    }
}

impl Inner {
    async fn send(self: Arc<Self>, request: Arc<Request>) -> Result<Answer, ApiError> {
        let asked = Instant::now();
        let deadline = asked + request.patience;
        let key = request.endpoint.key(request.method);
        self.admit(&request, &key)?;
        let mut turn = match request.endpoint.is_callback() {
            true => None,
            false => Some(self.turn(&key, deadline).await?),
        };
        let span = tracing::Span::current();
        let mut tries = 0;
        loop {
            self.pass(turn.as_ref(), &request, deadline).await?;
            self.admit(&request, &key)?;
            if tries == 0 {
                let waited = asked.elapsed();
                span.record("wait.ms", ms(waited));
                let metrics = &self.pressure.metrics;
                metrics.observe_ms(DISCORD_WAIT_MS, "", waited.as_secs_f64() * 1_000.0);
            }
            tries += 1;
            span.record("tries", tries);
            let once =
                self.clone().once(request.clone(), turn, deadline, UnderWay::new(self.clone()));
            let sent = tokio::spawn(once.in_current_span()).await;
            let Ok((sent, spent)) = sent else {
                return Err(ambiguous("it broke off here"));
            };
            if let Ok(answer) = &sent {
                span.record("http.status", answer.status);
            }
            turn = spent;
            match self.judge(&request, &key, sent) {
                Verdict::Done(answer) => return Ok(answer),
                Verdict::Failed(error) => return Err(error),
                Verdict::Wait(wait) => wait_for(turn.is_none().then_some(wait), deadline).await?,
                Verdict::Retry(error) if tries >= MAX_TRIES => return Err(error),
                Verdict::Retry(error) => {
                    let pause = FIRST_PAUSE * 2_u32.pow(tries - 1);
                    wait_for(Some(pause), deadline).await.map_err(|_| error)?;
                }
            }
            if let Some(spent) = turn {
                turn = Some(spent.again().await);
            }
        }
    }

    /// Whether such a request is sent at all.
    fn admit(&self, request: &Request, key: &Key) -> Result<(), ApiError> {
        match self.pressure.breaker.pace() {
            Pace::Closed => return Err(ApiError::not_sent("the token is not accepted any more")),
            Pace::Open => {
                let reason = "Discord refused so much that we ask nothing for some minutes";
                return Err(ApiError::not_sent(reason));
            }
            Pace::Free | Pace::Slow => {}
        }
        let is_new = request.method == LightMethod::Post && !request.endpoint.is_callback();
        if is_new && self.is_closing.load(Ordering::Acquire) {
            return Err(ApiError::not_sent("the service is stopping"));
        }
        self.refusals.find(&request.endpoint, key.kind).map_or(Ok(()), Err)
    }

    async fn turn(&self, key: &Key, deadline: Instant) -> Result<Turn, ApiError> {
        let turn = timeout_at(deadline, self.queues.turn(key)).await;
        turn.map_err(|_| ApiError::RateLimited { wait: UNKNOWN_WAIT })
    }

    /// Waits until its limit has something left and the global one too.
    async fn pass(
        &self,
        turn: Option<&Turn>,
        request: &Request,
        deadline: Instant,
    ) -> Result<(), ApiError> {
        if let Some(turn) = turn {
            while let Some(wait) = turn.wait(Instant::now()) {
                wait_for(Some(wait), deadline).await?;
            }
        }
        // Discord counts no callbacks, and they cannot wait.
        if request.endpoint.is_callback() {
            return Ok(());
        }
        let is_slow = self.pressure.breaker.pace() == Pace::Slow;
        let passed = self.pressure.limiter.pass(is_slow, deadline).await;
        passed.map_err(|wait| ApiError::RateLimited { wait })
    }

    /// Sends it once, to the end, whether or not anybody waits for it.
    async fn once(
        self: Arc<Self>,
        request: Arc<Request>,
        turn: Option<Turn>,
        deadline: Instant,
        _under_way: UnderWay,
    ) -> (Result<Answer, SendError>, Option<Turn>) {
        if let Some(turn) = &turn {
            turn.spend(Instant::now());
        }
        let latest = match request.endpoint.is_callback() {
            true => deadline,
            false => deadline.max(Instant::now() + GRACE),
        };
        let sent = timeout_at(latest, self.transport.send(request, latest)).await;
        let sent = sent.unwrap_or_else(|_| {
            let reason = "no answer in time".to_owned();
            Err(SendError::Cut { reason, limits: Default::default() })
        });
        if let Some(turn) = &turn {
            self.learn(turn, &sent);
        }
        (sent, turn)
    }

    /// Keeps in the queue what came of a try.
    fn learn(&self, turn: &Turn, sent: &Result<Answer, SendError>) {
        let now = Instant::now();
        if let Ok(Answer { limits, .. }) | Err(SendError::Cut { limits, .. }) = sent {
            turn.learn(limits, now);
        }
        match sent {
            Ok(answer) if answer.status == 429 && !is_global(answer) => {
                turn.block(retry_after(answer), now);
            }
            Err(SendError::Refused(wait)) => turn.block(*wait, now),
            _ => {}
        }
    }

    /// What an answer, or none, means.
    fn judge(&self, request: &Request, key: &Key, sent: Result<Answer, SendError>) -> Verdict {
        let retry = |error| match request.is_idempotent() {
            true => Verdict::Retry(error),
            false => Verdict::Failed(error),
        };
        match sent {
            Ok(answer) => match answer.status {
                200..=299 => Verdict::Done(answer),
                429 => {
                    let wait = retry_after(&answer);
                    let scope = scope(&answer);
                    self.pressure.rate_limited(scope, wait, is_global(&answer));
                    Verdict::Wait(wait)
                }
                status @ 300..=499 => {
                    let error = ApiError::from_refusal(status, &answer.body);
                    self.note(request, key, status, &error);
                    Verdict::Failed(error)
                }
                status => retry(ambiguous(&format!("Discord failed with status {status}"))),
            },
            Err(SendError::NotSent(reason)) => Verdict::Retry(ApiError::NotSent { reason }),
            Err(SendError::Impossible(reason)) => Verdict::Failed(ApiError::Invalid { reason }),
            Err(SendError::Cut { reason, .. }) => retry(ApiError::Ambiguous { reason }),
            Err(SendError::Refused(wait)) => Verdict::Failed(ApiError::RateLimited { wait }),
        }
    }

    /// Draws the consequences of a refusal.
    fn note(&self, request: &Request, key: &Key, status: u16, error: &ApiError) {
        let code = error.code();
        tracing::debug!(error.kind = error.kind(), discord.code = code, "discord.refused");
        if matches!(status, 401 | 403) {
            self.pressure.breaker.count();
        }
        match error {
            ApiError::Unauthorized => self.pressure.breaker.refuse_token(),
            error => self.refusals.remember(&request.endpoint, key.kind, error),
        }
    }
}

/// Waits, or says at once that it would be too long.
async fn wait_for(wait: Option<Duration>, deadline: Instant) -> Result<(), ApiError> {
    let Some(wait) = wait else { return Ok(()) };
    if Instant::now() + wait > deadline {
        return Err(ApiError::RateLimited { wait });
    }
    sleep(wait).await;
    Ok(())
}

fn ambiguous(reason: &str) -> ApiError {
    ApiError::Ambiguous { reason: reason.to_owned() }
}

fn outcome(sent: &Result<Answer, ApiError>) -> &'static str {
    sent.as_ref().map_or_else(ApiError::kind, |_| "done")
}
