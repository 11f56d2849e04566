//! A stage that shows nothing and knows when: the first words of a reply, and its
//! end.

use std::time::Instant;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::chat::{FinishedReply, ReplySink, ReplyStart, SinkError, Stage};
use crate::domain::{Scene, SceneId};
use crate::store::Surroundings;

/// What happened to a scene's reply, and when.
#[derive(Debug)]
pub(super) enum Shown {
    /// Its first words came.
    First(Instant),
    /// It is stored and shown as final.
    Finished(Instant, Box<FinishedReply>),
    /// There will be none; why.
    Failed(String),
}

/// The events of all scenes, as they happen.
pub(super) type Events = UnboundedReceiver<(SceneId, Shown)>;

/// Where the replies of all scenes arrive.
#[derive(Debug, Clone)]
pub(super) struct WatchStage(UnboundedSender<(SceneId, Shown)>);

impl WatchStage {
    pub(super) fn new() -> (Self, Events) {
        let (events, receiver) = unbounded_channel();
        (Self(events), receiver)
    }
}

impl Stage for WatchStage {
    type Sink = WatchSink;

    fn sink(&self, scene: &Scene) -> WatchSink {
        WatchSink { events: self.0.clone(), scene: scene.id, begun: false }
    }
}

/// Watches one reply.
#[derive(Debug)]
pub(super) struct WatchSink {
    events: UnboundedSender<(SceneId, Shown)>,
    scene: SceneId,
    begun: bool,
}

impl WatchSink {
    fn send(&self, shown: Shown) {
        // Nobody listens any more when the bench was stopped.
        let _ = self.events.send((self.scene, shown));
    }
}

impl ReplySink for WatchSink {
    async fn surroundings(&mut self) -> Result<Option<Surroundings>, SinkError> {
        Ok(None)
    }

    async fn begin(&mut self, _: &ReplyStart) {}

    async fn update(&mut self, text: &str) {
        if !self.begun && !text.is_empty() {
            self.begun = true;
            self.send(Shown::First(Instant::now()));
        }
    }

    async fn begin_anew(&mut self) {}

    async fn finish(&mut self, reply: &FinishedReply) -> Result<(), SinkError> {
        self.send(Shown::Finished(Instant::now(), Box::new(reply.clone())));
        Ok(())
    }

    async fn fail(&mut self, notice: &str) {
        self.send(Shown::Failed(notice.to_owned()));
    }

    async fn withdraw(&mut self) {}

    async fn redraw(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
