//! The terminal as a stage: replies arrive as events on a channel, and whoever
//! owns the screen prints them.

use tokio::sync::mpsc;

use crate::chat::{FinishedReply, ReplySink, ReplyStart, SinkError, Stage};
use crate::domain::{Scene, SceneId};
use crate::store::Surroundings;

/// Something to show of a reply.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StageEvent {
    /// Somebody starts to speak; what already stands is not shown again.
    Begin { name: String, standing_text: String },
    /// More words.
    Words(String),
    /// The words so far do not count; others follow.
    Anew,
    /// The text is final and stored.
    Finished(FinishedReply),
    /// There will be none; why.
    Failed(String),
}

/// The screen, as the jobs see it.
#[derive(Debug, Clone)]
pub struct TerminalStage {
    events: mpsc::UnboundedSender<(SceneId, StageEvent)>,
}

/// What the jobs have to show, in order.
#[derive(Debug)]
pub struct StageEvents(mpsc::UnboundedReceiver<(SceneId, StageEvent)>);

/// A stage, and the events for whoever owns the screen. The channel has no bound:
/// it holds one person's replies, and a slow screen must not hold up the engine.
pub fn stage() -> (TerminalStage, StageEvents) {
    let (events, receiver) = mpsc::unbounded_channel();
    (TerminalStage { events }, StageEvents(receiver))
}

impl StageEvents {
    /// The next event of a scene; `None` once no job can send any more.
    pub(crate) async fn next(&mut self, scene: SceneId) -> Option<StageEvent> {
        loop {
            let (of, event) = self.0.recv().await?;
            if of == scene {
                return Some(event);
            }
        }
    }

    /// An event of a scene that is there already.
    pub(crate) fn try_next(&mut self, scene: SceneId) -> Option<StageEvent> {
        while let Ok((of, event)) = self.0.try_recv() {
            if of == scene {
                return Some(event);
            }
        }
        None
    }
}

impl Stage for TerminalStage {
    type Sink = TerminalSink;

    fn sink(&self, scene: &Scene) -> TerminalSink {
        TerminalSink {
            events: self.events.clone(),
            scene: scene.id,
            shown_bytes: 0,
            standing_bytes: 0,
        }
    }
}

/// Shows one reply.
#[derive(Debug)]
pub struct TerminalSink {
    events: mpsc::UnboundedSender<(SceneId, StageEvent)>,
    scene: SceneId,
    shown_bytes: usize,
    /// What stood before.
    standing_bytes: usize,
}

impl TerminalSink {
    fn send(&self, event: StageEvent) {
        // Nobody listens once the person has left; the reply is stored all the same.
        let _ = self.events.send((self.scene, event));
    }
}

impl ReplySink for TerminalSink {
    async fn surroundings(&mut self) -> Result<Option<Surroundings>, SinkError> {
        Ok(None)
    }

    async fn begin(&mut self, start: &ReplyStart) {
        self.standing_bytes = start.standing_text.len();
        self.shown_bytes = self.standing_bytes;
        let (name, standing_text) = (start.speaker.name().to_owned(), start.standing_text.clone());
        self.send(StageEvent::Begin { name, standing_text });
    }

    async fn update(&mut self, text: &str) {
        if let Some(more) = text.get(self.shown_bytes..) {
            self.send(StageEvent::Words(more.to_owned()));
            self.shown_bytes = text.len();
        }
    }

    async fn begin_anew(&mut self) {
        if self.shown_bytes > self.standing_bytes {
            self.send(StageEvent::Anew);
        }
        self.shown_bytes = self.standing_bytes;
    }

    async fn finish(&mut self, reply: &FinishedReply) -> Result<(), SinkError> {
        self.send(StageEvent::Finished(reply.clone()));
        Ok(())
    }

    async fn fail(&mut self, notice: &str) {
        self.send(StageEvent::Failed(notice.to_owned()));
    }

    async fn withdraw(&mut self) {
        // Whoever called it off sits at this screen and knows.
    }

    async fn redraw(&mut self) -> Result<(), SinkError> {
        // What a screen has shown is history; the player prints what changes.
        Ok(())
    }
}
