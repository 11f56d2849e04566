//! A stage that remembers what was shown, and that can hold a reply in the middle.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dramatis::chat::{FinishedReply, ReplySink, ReplyStart, SinkError, Stage};
use dramatis::domain::{Scene, SceneId};
use dramatis::store::Surroundings;
use tokio::sync::watch;

/// The longest that anything here is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Something that people would have seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shown {
    Begin(ReplyStart),
    Update(String),
    Anew,
    Finished(FinishedReply),
    Failed(String),
    Withdrawn,
    Redrawn,
}

#[derive(Debug, Clone)]
pub(super) struct TestStage(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    shown: watch::Sender<Vec<(SceneId, Shown)>>,
    /// While it is up, whoever has shown some words waits.
    held: watch::Sender<bool>,
    /// What the next showings of finished replies fail with.
    refusals: Mutex<VecDeque<SinkError>>,
    /// What the place of every scene is said to be when a text is about to be shown.
    surroundings: Mutex<Option<Surroundings>>,
}

impl TestStage {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared {
            shown: watch::Sender::new(Vec::new()),
            held: watch::Sender::new(false),
            refusals: Mutex::default(),
            surroundings: Mutex::default(),
        }))
    }

    /// Whoever shows words from now on waits afterwards, until released.
    pub(super) fn hold(&self) {
        self.0.held.send_replace(true);
    }

    pub(super) fn release(&self) {
        self.0.held.send_replace(false);
    }

    /// Every place changes, and it is only found out when it is looked at.
    pub(super) fn move_scenes(&self, around: Surroundings) {
        *self.0.surroundings.lock().unwrap() = Some(around);
    }

    /// The next finished reply cannot be shown.
    pub(super) fn refuse_once(&self, retry: bool) {
        let refusal = SinkError { reason: "the curtain is stuck".into(), retry };
        self.0.refusals.lock().unwrap().push_back(refusal);
    }

    /// All that was shown of a scene, in order.
    pub(super) fn shown(&self, scene: SceneId) -> Vec<Shown> {
        let shown = self.0.shown.borrow();
        shown.iter().filter(|(of, _)| *of == scene).map(|(_, shown)| shown.clone()).collect()
    }

    pub(super) fn finished(&self, scene: SceneId) -> Vec<FinishedReply> {
        let finished = self.shown(scene).into_iter().filter_map(|shown| match shown {
            Shown::Finished(reply) => Some(reply),
            _ => None,
        });
        finished.collect()
    }

    pub(super) fn notices(&self, scene: SceneId) -> Vec<String> {
        let failed = self.shown(scene).into_iter().filter_map(|shown| match shown {
            Shown::Failed(notice) => Some(notice),
            _ => None,
        });
        failed.collect()
    }

    /// The scenes in the order in which their replies were finished.
    pub(super) fn order(&self) -> Vec<SceneId> {
        let shown = self.0.shown.borrow();
        let finished = shown.iter().filter(|(_, shown)| matches!(shown, Shown::Finished(_)));
        finished.map(|(scene, _)| *scene).collect()
    }

    /// Waits until something of that kind was shown in a scene, so many times.
    pub(super) async fn wait_for(
        &self,
        scene: SceneId,
        num: usize,
        wanted: impl Fn(&Shown) -> bool,
    ) {
        let mut shown = self.0.shown.subscribe();
        let enough = shown.wait_for(|shown| {
            shown.iter().filter(|(of, shown)| *of == scene && wanted(shown)).count() >= num
        });
        tokio::time::timeout(PATIENCE, enough).await.expect("it is shown in time").unwrap();
    }

    /// Waits for what the scene's people are told for that many times; a job has failed in the
    /// database a moment before.
    pub(super) async fn notice(&self, scene: SceneId, num: usize) -> String {
        self.wait_for(scene, num, |shown| matches!(shown, Shown::Failed(_))).await;
        self.notices(scene).swap_remove(num - 1)
    }

    /// Waits until some words of a reply were shown.
    pub(super) async fn wait_for_words(&self, scene: SceneId) {
        self.wait_for(scene, 1, |shown| matches!(shown, Shown::Update(_))).await;
    }
}

impl Stage for TestStage {
    type Sink = TestSink;

    fn sink(&self, scene: &Scene) -> TestSink {
        TestSink { stage: self.clone(), scene: scene.id }
    }
}

pub(super) struct TestSink {
    stage: TestStage,
    scene: SceneId,
}

impl TestSink {
    fn record(&self, shown: Shown) {
        self.stage.0.shown.send_modify(|all| all.push((self.scene, shown)));
    }
}

impl ReplySink for TestSink {
    async fn surroundings(&mut self) -> Result<Option<Surroundings>, SinkError> {
        Ok(self.stage.0.surroundings.lock().unwrap().clone())
    }

    async fn begin(&mut self, start: &ReplyStart) {
        self.record(Shown::Begin(start.clone()));
    }

    async fn update(&mut self, text: &str) {
        self.record(Shown::Update(text.to_owned()));
        self.stage.0.held.subscribe().wait_for(|held| !held).await.unwrap();
    }

    async fn begin_anew(&mut self) {
        self.record(Shown::Anew);
    }

    async fn finish(&mut self, reply: &FinishedReply) -> Result<(), SinkError> {
        if let Some(refusal) = self.stage.0.refusals.lock().unwrap().pop_front() {
            return Err(refusal);
        }
        self.record(Shown::Finished(reply.clone()));
        Ok(())
    }

    async fn fail(&mut self, notice: &str) {
        self.record(Shown::Failed(notice.to_owned()));
    }

    async fn withdraw(&mut self) {
        self.record(Shown::Withdrawn);
    }

    async fn redraw(&mut self) -> Result<(), SinkError> {
        if let Some(refusal) = self.stage.0.refusals.lock().unwrap().pop_front() {
            return Err(refusal);
        }
        self.record(Shown::Redrawn);
        Ok(())
    }
}
