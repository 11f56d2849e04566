//! Trouble on demand: refusals, 429s, server errors, cut lines, delays, and pauses in
//! which a test may do what it likes, such as killing the bot.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::{Notify, watch};

use super::rates::Scope;
use super::refusal::Refusal;

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// Refused with one of Discord's codes; not applied.
    Refuse(Refusal),
    /// 429 of a kind, with how long to wait; not applied.
    RateLimit(Scope, Duration),
    /// A server error with no JSON; not applied.
    ServerError(u16),
    /// A server error although it was applied.
    AppliedServerError(u16),
    /// The line is cut; not applied.
    CutBefore,
    /// Applied, then the line is cut without an answer.
    CutAfter,
    DelayBefore(Duration),
    /// Applied, then answered late.
    DelayAfter(Duration),
    /// Never answered; not applied.
    HangBefore,
    /// Applied, never answered.
    HangAfter,
    PauseBefore(Pause),
    PauseAfter(Pause),
}

impl Trouble {
    /// Whether it comes before the request is applied.
    pub(crate) fn is_before(&self) -> bool {
        !matches!(
            self,
            Self::CutAfter
                | Self::DelayAfter(_)
                | Self::HangAfter
                | Self::PauseAfter(_)
                | Self::AppliedServerError(_)
        )
    }
}

/// A fault waiting for its requests. By default it hits every one that fits.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pattern: String,
    containing: Option<String>,
    skip: usize,
    times: usize,
    chance: Option<(f64, ChaCha8Rng)>,
    trouble: Trouble,
}

impl Fault {
    /// `pattern`: a method and a path, such as `POST /channels/*/messages`, where `*`
    /// is one part and a final `**` any rest; `* **` is everything.
    pub(crate) fn on(pattern: &str, trouble: Trouble) -> Self {
        Self {
            pattern: pattern.into(),
            containing: None,
            skip: 0,
            times: usize::MAX,
            chance: None,
            trouble,
        }
    }

    /// Only requests whose body holds this text.
    pub(crate) fn containing(self, text: &str) -> Self {
        Self { containing: Some(text.into()), ..self }
    }

    /// Lets the first `count` fitting requests through.
    pub(crate) fn skip(self, count: usize) -> Self {
        Self { skip: count, ..self }
    }

    /// Hits so many requests, then ends.
    pub(crate) fn times(self, count: usize) -> Self {
        Self { times: count, ..self }
    }

    /// Only the `n`th fitting request, from 1.
    pub(crate) fn nth(self, n: usize) -> Self {
        self.skip(n - 1).times(1)
    }

    /// Hits by chance, the same requests for the same seed.
    pub(crate) fn chance(self, probability: f64, seed: u64) -> Self {
        Self { chance: Some((probability, ChaCha8Rng::seed_from_u64(seed))), ..self }
    }

    fn hits(&mut self, method: &str, path: &str, body: &str) -> bool {
        let fits = fits(&self.pattern, method, path)
            && self.containing.as_ref().is_none_or(|text| body.contains(text));
        if !fits || self.times == 0 {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if let Some((probability, rng)) = &mut self.chance
            && !rng.random_bool(*probability)
        {
            return false;
        }
        self.times -= 1;
        true
    }
}

fn fits(pattern: &str, method: &str, path: &str) -> bool {
    let (wanted, shape) = pattern.split_once(' ').expect("a pattern is a method and a path");
    let mut parts = path.trim_start_matches('/').split('/');
    let is_method = wanted == "*" || wanted == method;
    for known in shape.trim_start_matches('/').split('/') {
        match (known, parts.next()) {
            ("**", _) => return is_method,
            ("*", Some(_)) => {}
            (known, Some(part)) if known == part => {}
            _ => return false,
        }
    }
    is_method && parts.next().is_none()
}

/// The faults that wait.
#[derive(Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// All that hits a request, in the order in which it was asked for.
    pub(crate) fn strike(&mut self, method: &str, path: &str, body: &str) -> Vec<Trouble> {
        let hit = self
            .0
            .iter_mut()
            .filter_map(|fault| fault.hits(method, path, body).then(|| fault.trouble.clone()));
        let hit = hit.collect();
        self.0.retain(|fault| fault.times > 0);
        hit
    }
}

/// A place at which requests wait for the test.
#[derive(Clone, Debug)]
pub(crate) struct Pause {
    arrived: Arc<(Mutex<Vec<usize>>, Notify)>,
    open: Arc<watch::Sender<bool>>,
}

impl Pause {
    pub(crate) fn new() -> Self {
        let open = Arc::new(watch::channel(false).0);
        Self { arrived: Arc::default(), open }
    }

    /// Waits until a request stands here; its number in the ledger. Each request is
    /// told of once.
    pub(crate) async fn reached(&self, within: Duration) -> usize {
        let next = || {
            let mut arrived = self.arrived.0.lock().unwrap_or_else(PoisonError::into_inner);
            (!arrived.is_empty()).then(|| arrived.remove(0))
        };
        let wait = async {
            loop {
                let notified = self.arrived.1.notified();
                if let Some(number) = next() {
                    return number;
                }
                notified.await;
            }
        };
        let reached = tokio::time::timeout(within, wait).await;
        reached.unwrap_or_else(|_| panic!("no request came to the pause within {within:?}"))
    }

    /// Lets all go on that stand here or will come.
    pub(crate) fn release(&self) {
        self.open.send_replace(true);
    }

    /// A request comes by, and waits.
    pub(crate) async fn stand(&self, number: usize) {
        self.arrived.0.lock().unwrap_or_else(PoisonError::into_inner).push(number);
        self.arrived.1.notify_one();
        let mut open = self.open.subscribe();
        // The sender lives as long as this.
        let _ = open.wait_for(|open| *open).await;
    }
}
