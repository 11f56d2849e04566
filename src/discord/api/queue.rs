//! One queue for each of Discord's limits: one request under way, the others wait in
//! the order in which they came, and nothing is sent where nothing is left.
//!
//! Which requests share a limit is known only from the answers: each names its
//! bucket. Until then a kind of request with its channel (guild, webhook) counts as a
//! limit of its own; when two turn out to share a bucket, they share the queue from
//! then on. Limits are learned from every answer, and idle queues are forgotten.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::endpoint::{Key, Kind, Major};
use super::transport::Limits;

/// After so many entries idle queues are looked for.
const SWEEP_EVERY: u32 = 256;

/// All queues.
#[derive(Clone, Default)]
pub(super) struct Queues(Arc<Mutex<Registry>>);

#[derive(Default)]
struct Registry {
    queues: HashMap<Key, Arc<Queue>>,
    /// By what Discord calls them.
    named: HashMap<(Arc<str>, Major), Weak<Queue>>,
    /// The bucket that a kind of request was last counted towards: a good guess for
    /// the next channel.
    names: HashMap<Kind, Arc<str>>,
    entries: u32,
}

struct Queue {
    /// What Discord calls it, once known.
    name: OnceLock<Arc<str>>,
    slot: Arc<tokio::sync::Mutex<()>>,
    window: Mutex<Window>,
    /// Those in it, waiting or under way.
    users: AtomicUsize,
}

/// What is left of a limit.
#[derive(Default)]
struct Window {
    /// `None` is not known.
    remaining: Option<u32>,
    resets_at: Option<Instant>,
}

/// A place in a queue; given up when dropped.
struct Place(Arc<Queue>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The turn to send; while it is held nobody else of the queue sends.
pub(super) struct Turn {
    queues: Queues,
    key: Key,
    place: Place,
    slot: OwnedMutexGuard<()>,
}

impl Queues {
    /// Waits for the turn of a request. Dropped, it leaves the queue.
    pub(super) async fn turn(&self, key: &Key) -> Turn {
        let place = self.enter(key);
        let slot = place.0.slot.clone().lock_owned().await;
        self.follow(key, place, slot).await
    }

    /// Makes sure that the turn is one of the right queue.
    async fn follow(&self, key: &Key, mut place: Place, mut slot: OwnedMutexGuard<()>) -> Turn {
        loop {
            let now = self.enter(key);
            if Arc::ptr_eq(&now.0, &place.0) {
                return Turn { queues: self.clone(), key: key.clone(), place, slot };
            }
            // The limit turned out to be another's. Stand in that queue before leaving
            // this one, so that those behind stay behind.
            let mut next = pin!(now.0.slot.clone().lock_owned());
            let first = std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await;
            drop(slot);
            slot = match first {
                Poll::Ready(slot) => slot,
                Poll::Pending => next.await,
            };
            place = now;
        }
    }

    fn enter(&self, key: &Key) -> Place {
        let mut registry = self.0.lock().expect("nothing panics here");
        registry.entries += 1;
        if registry.entries.is_multiple_of(SWEEP_EVERY) {
            registry.sweep(Instant::now());
        }
        let queue = registry.queue(key);
        queue.users.fetch_add(1, Ordering::AcqRel);
        Place(queue)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let registry = self.0.lock().expect("nothing panics here");
        registry.queues.len().max(registry.named.len())
    }
}

impl Registry {
    fn queue(&mut self, key: &Key) -> Arc<Queue> {
        if let Some(queue) = self.queues.get(key) {
            return queue.clone();
        }
        let queue = match self.names.get(&key.kind).cloned() {
            Some(name) => self.named(name, key.major),
            None => Arc::new(Queue::new(OnceLock::new())),
        };
        self.queues.insert(key.clone(), queue.clone());
        queue
    }

    fn named(&mut self, name: Arc<str>, major: Major) -> Arc<Queue> {
        let entry = self.named.entry((name.clone(), major)).or_default();
        entry.upgrade().unwrap_or_else(|| {
            let queue = Arc::new(Queue::new(name.into()));
            *entry = Arc::downgrade(&queue);
            queue
        })
    }

    /// A request was counted towards the bucket `name`: gives its queue.
    fn learn_name(&mut self, key: &Key, name: &str) -> Arc<Queue> {
        let queue = self.queue(key);
        if queue.name.get().is_some_and(|known| **known == *name) {
            return queue;
        }
        let name: Arc<str> = name.into();
        self.names.insert(key.kind, name.clone());
        let entry = self.named.entry((name.clone(), key.major)).or_default();
        if entry.strong_count() == 0 && queue.name.set(name.clone()).is_ok() {
            *entry = Arc::downgrade(&queue);
            return queue;
        }
        let named = self.named(name, key.major);
        self.queues.insert(key.clone(), named.clone());
        named
    }

    fn sweep(&mut self, now: Instant) {
        self.queues.retain(|_, queue| !queue.is_idle(now));
        self.named.retain(|_, queue| queue.strong_count() > 0);
    }
}

impl Queue {
    fn new(name: OnceLock<Arc<str>>) -> Self {
        Self { name, slot: Arc::default(), window: Mutex::default(), users: AtomicUsize::new(0) }
    }

    /// Whether nothing would be lost with it.
    fn is_idle(&self, now: Instant) -> bool {
        let window = self.window.lock().expect("nothing panics here");
        let is_settled = window.resets_at.is_none_or(|resets_at| resets_at <= now);
        is_settled && self.users.load(Ordering::Acquire) == 0
    }
}

impl Turn {
    /// To use it once more after an answer: it may have told that the limit is
    /// another's.
    pub(super) async fn again(self) -> Self {
        let Self { queues, key, place, slot } = self;
        queues.follow(&key, place, slot).await
    }

    /// How long until something is left to send with.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let window = self.place.0.window.lock().expect("nothing panics here");
        let resets_at = window.resets_at.filter(|&resets_at| resets_at > now)?;
        (window.remaining == Some(0)).then(|| resets_at - now)
    }

    /// A request goes.
    pub(super) fn spend(&self, now: Instant) {
        let mut window = self.place.0.window.lock().expect("nothing panics here");
        if window.resets_at.is_none_or(|resets_at| resets_at <= now) {
            window.remaining = None;
        }
        window.remaining = window.remaining.map(|remaining| remaining.saturating_sub(1));
    }

    /// An answer came.
    pub(super) fn learn(&self, limits: &Limits, now: Instant) {
        let named = limits.bucket.as_ref().map(|name| {
            let mut registry = self.queues.0.lock().expect("nothing panics here");
            registry.learn_name(&self.key, name)
        });
        let (Some(remaining), Some(reset_after)) = (limits.remaining, limits.reset_after) else {
            return;
        };
        let mut known = vec![&self.place.0];
        known.extend(&named);
        for queue in known {
            let mut window = queue.window.lock().expect("nothing panics here");
            *window = Window { remaining: Some(remaining), resets_at: Some(now + reset_after) };
        }
    }

    /// Nothing may be sent for a while.
    pub(super) fn block(&self, wait: Duration, now: Instant) {
        let own = self.place.0.clone();
        let current = self.queues.0.lock().expect("nothing panics here").queue(&self.key);
        for queue in [own, current] {
            let mut window = queue.window.lock().expect("nothing panics here");
            let resets_at = window.resets_at.max(Some(now + wait));
            *window = Window { remaining: Some(0), resets_at };
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    const POST: Kind = Kind { method: "POST", template: "/messages" };
    const DELETE: Kind = Kind { method: "DELETE", template: "/messages" };

    fn key(kind: Kind, channel: u64) -> Key {
        Key { kind, major: (channel, 0) }
    }

    fn limits(name: &str, remaining: u32, reset_after: u64) -> Limits {
        Limits {
            bucket: Some(name.into()),
            remaining: Some(remaining),
            reset_after: Some(Duration::from_secs(reset_after)),
            ..Limits::default()
        }
    }

    async fn comes_soon(queues: &Queues, key: &Key) -> bool {
        tokio::time::timeout(Duration::from_secs(1), queues.turn(key)).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn callers_go_one_by_one_and_in_order() {
        let queues = Queues::default();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for number in 0..20 {
            let (queues, order) = (queues.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                let turn = queues.turn(&key(POST, 1)).await;
                order.lock().unwrap().push((number, "in"));
                sleep(Duration::from_millis(10)).await;
                order.lock().unwrap().push((number, "out"));
                // The first answer moves all of them into another queue.
                turn.learn(&limits("abc", 5, 1), Instant::now());
            }));
            tokio::task::yield_now().await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        let expected: Vec<_> =
            (0..20).flat_map(|number| [(number, "in"), (number, "out")]).collect();
        assert_eq!(*order.lock().unwrap(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_share_a_bucket_share_the_queue() {
        let queues = Queues::default();
        for kind in [POST, DELETE] {
            queues.turn(&key(kind, 1)).await.learn(&limits("abc", 0, 60), Instant::now());
        }
        let turn = queues.turn(&key(POST, 1)).await;
        assert_eq!(turn.wait(Instant::now()), Some(Duration::from_secs(60)));
        assert!(!comes_soon(&queues, &key(DELETE, 1)).await, "it is another's turn");
        // Another channel is another limit, but with the same sharing.
        let _turn = queues.turn(&key(POST, 2)).await;
        assert!(!comes_soon(&queues, &key(DELETE, 2)).await, "known from the first channel");
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_spent_and_comes_back() {
        let queues = Queues::default();
        let turn = queues.turn(&key(POST, 1)).await;
        assert_eq!(turn.wait(Instant::now()), None);
        turn.learn(&limits("abc", 1, 5), Instant::now());
        assert_eq!(turn.wait(Instant::now()), None);
        turn.spend(Instant::now());
        assert_eq!(turn.wait(Instant::now()), Some(Duration::from_secs(5)));
        advance(Duration::from_secs(5)).await;
        assert_eq!(turn.wait(Instant::now()), None);
        turn.spend(Instant::now());
        turn.block(Duration::from_secs(9), Instant::now());
        assert_eq!(turn.wait(Instant::now()), Some(Duration::from_secs(9)));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_queues_are_forgotten() {
        let queues = Queues::default();
        for channel in 0..10_000 {
            let turn = queues.turn(&key(POST, channel)).await;
            turn.learn(&limits("abc", 4, 1), Instant::now());
            advance(Duration::from_millis(100)).await;
        }
        assert!(queues.len() <= 2 * SWEEP_EVERY as usize, "{} queues", queues.len());
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_gives_up_holds_nobody_back() {
        let queues = Queues::default();
        let turn = queues.turn(&key(POST, 1)).await;
        assert!(!comes_soon(&queues, &key(POST, 1)).await);
        drop(turn);
        let turn = queues.turn(&key(POST, 1)).await;
        assert_eq!(turn.place.0.users.load(Ordering::Acquire), 1);
    }
}
