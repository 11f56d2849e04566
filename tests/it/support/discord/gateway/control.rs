//! What tests do to the gateway.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::Shared;
use super::super::world::Event;
use super::{Gateway, Out};

/// A handle on the double's gateway.
pub(crate) struct Control(pub(crate) Arc<Shared>);

impl Control {
    fn with<T>(&self, work: impl FnOnce(&mut Gateway) -> T) -> T {
        self.0.change(|state| work(&mut state.gateway))
    }

    fn to_all(&self, out: impl Fn() -> Out) {
        self.with(|gateway| {
            for connection in gateway.connections.values() {
                let _ = connection.send(out());
            }
        });
    }

    /// Sessions that a client is connected to.
    pub(crate) fn num_connected(&self) -> usize {
        self.with(|gateway| {
            gateway.sessions.values().filter(|session| session.connection.is_some()).count()
        })
    }

    /// Waits until so many sessions are connected.
    pub(crate) async fn connected(&self, count: usize, within: Duration) {
        let is_so = |state: &super::super::State| {
            let sessions = state.gateway.sessions.values();
            sessions.filter(|session| session.connection.is_some()).count() >= count
        };
        self.0.wait(within, "gateway sessions", |state| is_so(state).then_some(())).await;
    }

    /// IDENTIFYs since the double began.
    pub(crate) fn num_identifies(&self) -> usize {
        self.with(|gateway| gateway.num_identifies)
    }

    /// RESUMEs that succeeded since the double began.
    pub(crate) fn num_resumes(&self) -> usize {
        self.with(|gateway| gateway.num_resumes)
    }

    /// Breaks every connection without a closing frame; sessions can be resumed.
    pub(crate) fn drop_all(&self) {
        self.to_all(|| Out::Cut);
    }

    /// Closes every connection with a code.
    pub(crate) fn close_all(&self, code: u16) {
        self.to_all(|| Out::Close(code, ""));
    }

    /// Op 7: reconnect and resume.
    pub(crate) fn reconnect(&self) {
        self.to_all(|| Out::Text(json!({"op": 7, "d": null, "s": null, "t": null}).to_string()));
    }

    /// Op 9. Unless `resumable`, all sessions are forgotten.
    pub(crate) fn invalidate(&self, resumable: bool) {
        let text = json!({"op": 9, "d": resumable, "s": null, "t": null}).to_string();
        self.to_all(|| Out::Text(text.clone()));
        if !resumable {
            self.with(|gateway| gateway.sessions.clear());
        }
    }

    /// Forgets all sessions without telling: a later RESUME is answered with op 9.
    pub(crate) fn forget_sessions(&self) {
        self.with(|gateway| gateway.sessions.clear());
    }

    /// While on, heartbeats get no answer.
    pub(crate) fn zombie(&self, on: bool) {
        self.with(|gateway| gateway.zombie = on);
    }

    /// Breaks all connections and refuses new ones for a while. REST goes on.
    pub(crate) fn close_port_for(&self, time: Duration) {
        self.0.close_gateway_for(time);
        self.drop_all();
    }

    /// While on, every event comes twice.
    pub(crate) fn duplicate(&self, on: bool) {
        self.with(|gateway| gateway.duplicate = on);
    }

    /// Holds events back until [`Control::release`].
    pub(crate) fn hold(&self) {
        self.with(|gateway| gateway.hold = true);
    }

    /// Lets held events out, shuffled where that is on.
    pub(crate) fn release(&self) {
        self.0.change(|state| {
            state.gateway.hold = false;
            state.gateway.release(&state.world);
        });
    }

    /// With a seed, events are gathered for 100 ms at a time and let out in an order
    /// of chance.
    pub(crate) fn shuffle(&self, seed: Option<u64>) {
        self.0.change(|state| {
            state.gateway.release(&state.world);
            state.gateway.shuffle_with(seed);
        });
    }

    /// Sends an event of no known kind.
    pub(crate) fn send_unknown(&self) {
        self.send("UNKNOWN_TO_EVERYBODY", None, json!({"new": "feature"}));
    }

    /// Sends any event. Names that begin with `UNKNOWN` are not checked.
    pub(crate) fn send(&self, name: &str, guild: Option<u64>, data: Value) {
        self.0.change(|state| {
            let event = Event { name: name.into(), data, guild, intents: 0 };
            state.world.outbox.push(event);
        });
    }
}
