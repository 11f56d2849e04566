//! Our own double of Discord, REST and gateway, on loopback: the everyday peer of the
//! bot's tests. It keeps Discord's rules, can be nasty on demand, and its ledger is
//! the truth that tests assert on. What Discord, or this project, forbids becomes a
//! *violation*; a test fails when its double is dropped with violations in it.
#![allow(dead_code, reason = "a vocabulary for tests: not every build of them needs every word")]

pub(crate) mod answer;
pub(crate) mod call;
pub(crate) mod changes;
pub(crate) mod checks;
mod clock;
mod command_rules;
pub(crate) mod faults;
pub(crate) mod files;
pub(crate) mod forms;
pub(crate) mod gateway;
pub(crate) mod guild;
pub(crate) mod ledger;
pub(crate) mod model;
pub(crate) mod people;
pub(crate) mod permissions;
mod pluralkit;
pub(crate) mod rates;
pub(crate) mod refusal;
mod render;
mod request;
mod rest;
mod routes;
mod rules;
pub(crate) mod seen;
mod server;
mod tls;
pub(crate) mod world;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use faults::{Fault, Faults, Pause, Trouble};
use gateway::Gateway;
use gateway::control::Control;
use guild::Guild;
use ledger::Entry;
use rates::{Rate, Rates};
use seen::SeenMessage;
use world::{Limits, World};

/// A channel or thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChannelId(pub(crate) u64);

/// A message, and the channel it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct MessageId {
    pub(crate) channel: ChannelId,
    pub(crate) id: u64,
}

/// Everything behind one lock.
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) gateway: Gateway,
    pub(crate) rates: Rates,
    pub(crate) faults: Faults,
}

/// What the server's tasks and the tests' handles share.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Rises with every change.
    version: watch::Sender<u64>,
    gateway_closed_until: watch::Sender<Option<Instant>>,
    rest_closed_until: watch::Sender<Option<Instant>>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the world; afterwards the gateway tells of it, and whoever
    /// waits looks again.
    pub(crate) fn change<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = work(&mut state);
        let State { world, gateway, .. } = &mut *state;
        let events = std::mem::take(&mut world.outbox);
        if !events.is_empty() {
            gateway.tell(world, events);
        }
        world.ledger.violations.append(&mut gateway.violations);
        drop(state);
        self.version.send_modify(|version| *version += 1);
        result
    }

    /// Waits until `look` finds something.
    pub(crate) async fn wait<T>(
        &self,
        within: Duration,
        what: &str,
        mut look: impl FnMut(&State) -> Option<T>,
    ) -> T {
        let mut version = self.version.subscribe();
        let deadline = tokio::time::Instant::now() + within;
        loop {
            version.mark_unchanged();
            if let Some(found) = look(&self.lock()) {
                return found;
            }
            let changed = tokio::time::timeout_at(deadline, version.changed()).await;
            if changed.is_err() {
                let dump = seen::dump(&self.lock().world);
                panic!("waited {within:?} in vain for {what}\n{dump}");
            }
        }
    }

    pub(crate) fn close_gateway_for(&self, time: Duration) {
        self.gateway_closed_until.send_replace(Some(Instant::now() + time));
    }
}

/// A running double. Dropping it stops it, and fails the test if there are violations.
pub(crate) struct Discord {
    shared: Arc<Shared>,
    addr: SocketAddr,
    root_pem: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Discord {
    /// Starts it on ports of its own, without TLS.
    pub(crate) async fn start() -> Self {
        Self::start_with(None)
    }

    /// REST speaks TLS as `discord.com`, with a certificate from a root of its own.
    /// The gateway's address stays `ws://`.
    pub(crate) async fn start_tls() -> Self {
        Self::start_with(Some(tls::Identity::new()))
    }

    fn start_with(identity: Option<tls::Identity>) -> Self {
        let started = server::start(identity.as_ref());
        Self {
            shared: started.shared,
            addr: started.addr,
            root_pem: identity.map(|identity| identity.root_pem),
            stop: Some(started.stop),
            thread: Some(started.thread),
        }
    }

    /// Where REST is, without a path: `http://127.0.0.1:…`.
    pub(crate) fn url(&self) -> String {
        self.lock().world.url.clone()
    }

    /// Where REST listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The root certificate to trust, in TLS mode.
    pub(crate) fn root_certificate_pem(&self) -> &str {
        self.root_pem.as_deref().expect("only a double started with start_tls has one")
    }

    /// The bot's token, of the real three-part shape.
    pub(crate) fn token(&self) -> String {
        self.lock().world.token.clone()
    }

    pub(crate) fn application_id(&self) -> u64 {
        self.lock().world.application
    }

    /// The bot's user.
    pub(crate) fn bot_id(&self) -> u64 {
        self.lock().world.bot
    }

    /// A new guild that the bot is in, with an owner.
    pub(crate) fn guild(&self, name: &str) -> Guild {
        Guild::new(Arc::clone(&self.shared), name)
    }

    pub(crate) fn gateway(&self) -> Control {
        Control(Arc::clone(&self.shared))
    }

    /// The state, locked: for looking at the world or changing it in ways that no
    /// event tells of. Hold it briefly.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    /// Changes times and counts.
    pub(crate) fn limits(&self, change: impl FnOnce(&mut Limits)) {
        self.shared.change(|state| change(&mut state.world.limits));
    }

    /// Lets the double's clock jump ahead.
    pub(crate) fn advance(&self, by: Duration) {
        self.shared.change(|state| state.world.clock.advance(by));
    }

    /// The rate of one route, such as `POST /channels/{channel_id}/messages`.
    pub(crate) fn rate(&self, route: &str, limit: u32, per: Duration) {
        self.shared.change(|state| {
            state.rates.routes.insert(route.to_owned(), Rate { limit, per });
        });
    }

    /// The rate over all routes.
    pub(crate) fn global_rate(&self, limit: u32, per: Duration) {
        self.shared.change(|state| state.rates.global = Rate { limit, per });
    }

    /// No request is refused for its rate any more. Concurrent ones in a bucket stay
    /// violations.
    pub(crate) fn without_rate_limits(&self) {
        self.shared.change(|state| state.rates.enabled = false);
    }

    /// Trouble for requests to come.
    pub(crate) fn fault(&self, fault: Fault) {
        self.shared.change(|state| state.faults.add(fault));
    }

    pub(crate) fn clear_faults(&self) {
        self.shared.change(|state| state.faults.clear());
    }

    /// Requests that fit stop before they are applied. See [`Fault::on`] for patterns.
    pub(crate) fn pause_before(&self, pattern: &str) -> Pause {
        let pause = Pause::new();
        self.fault(Fault::on(pattern, Trouble::PauseBefore(pause.clone())));
        pause
    }

    /// Requests that fit are applied, and then stop before they are answered.
    pub(crate) fn pause_after(&self, pattern: &str) -> Pause {
        let pause = Pause::new();
        self.fault(Fault::on(pattern, Trouble::PauseAfter(pause.clone())));
        pause
    }

    /// REST refuses connections for a while; those that are open go on.
    pub(crate) fn close_rest_for(&self, time: Duration) {
        self.shared.rest_closed_until.send_replace(Some(Instant::now() + time));
    }

    /// Waits until something is so in the world.
    pub(crate) async fn wait_until(&self, within: Duration, mut is_so: impl FnMut(&World) -> bool) {
        self.wait_for(within, |world| is_so(world).then_some(())).await;
    }

    /// Waits until `look` finds something in the world.
    pub(crate) async fn wait_for<T>(
        &self,
        within: Duration,
        mut look: impl FnMut(&World) -> Option<T>,
    ) -> T {
        self.shared.wait(within, "a change of the world", |state| look(&state.world)).await
    }

    /// What people see in a channel now, oldest first.
    pub(crate) fn messages(&self, channel: ChannelId) -> Vec<SeenMessage> {
        self.lock().world.seen(channel)
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Entry> {
        self.lock().world.ledger.requests.clone()
    }

    /// Who posted, edited and deleted what, in order.
    pub(crate) fn deeds(&self) -> Vec<ledger::Deed> {
        self.lock().world.ledger.deeds.clone()
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.lock().world.ledger.violations.clone()
    }

    /// The violations, which are forgiven by that.
    pub(crate) fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().world.ledger.violations)
    }

    /// Fails, listing them, if there are violations.
    pub(crate) fn assert_clean(&self) {
        let violations = self.take_violations();
        assert!(violations.is_empty(), "violations:\n  {}", violations.join("\n  "));
    }
}

impl Drop for Discord {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server's thread has been printed already.
            let _ = thread.join();
        }
        if !std::thread::panicking() {
            self.assert_clean();
        }
    }
}
