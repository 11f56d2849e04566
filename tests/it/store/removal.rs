//! Taking a turn out, and what becomes of the replies to it.

use dramatis::domain::{SwipeOrigin, TurnId};
use dramatis::store::{Claim, Generated, JobState, Line, Move, Removed, StoreError, Target, Work};
use serde_json::json;

use super::{Stage, stage};
use crate::support::postgres::TestDatabase;

struct Ground {
    db: TestDatabase,
    stage: Stage,
}

impl Ground {
    async fn new() -> Self {
        let db = TestDatabase::fresh().await;
        let stage = stage(&db.store, "one").await;
        Self { db, stage }
    }

    async fn say(&self, text: &str) -> TurnId {
        let (guild, scene) = (self.stage.guild, self.stage.scene.id);
        self.db.store.append_turn(guild, scene, &self.stage.said(text)).await.unwrap().id
    }

    async fn ask(&self, work: &Work) {
        let (guild, scene) = (self.stage.guild, self.stage.scene.id);
        self.db.store.insert_job(guild, scene, None, work).await.unwrap();
    }

    async fn claim(&self) -> Claim {
        self.db.store.claim_lane().await.unwrap().expect("a lane is ready")
    }

    fn reply(&self) -> Generated {
        Generated {
            target: Target::Turn(self.stage.speaks()),
            text: "Well.".into(),
            origin: SwipeOrigin::Generated,
            receipt: json!({}),
            prompt_ids: Vec::new(),
        }
    }

    async fn answered(&self) -> TurnId {
        self.ask(&Work::REPLY).await;
        let held = self.claim().await;
        let (turn, _) = self.db.store.store_generated(&held, self.reply()).await.unwrap();
        self.db.store.finish_job(&held).await.unwrap();
        turn
    }

    async fn remove(&self, turn: TurnId) -> Option<Removed> {
        let (guild, scene) = (self.stage.guild, self.stage.scene.id);
        self.db.store.remove_turn(guild, scene, turn).await.unwrap()
    }

    async fn open_jobs(&self) -> Vec<(JobState, Work)> {
        let (guild, scene) = (self.stage.guild, self.stage.scene.id);
        let jobs = self.db.store.list_open_jobs(guild, scene).await.unwrap();
        jobs.into_iter().map(|job| (job.state, job.work)).collect()
    }

    async fn texts(&self) -> String {
        let (guild, scene) = (self.stage.guild, self.stage.scene.id);
        let line = self.db.store.list_line(guild, scene, Line::default()).await.unwrap();
        line.iter().map(|turn| turn.swipe.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

const UNTOUCHED: Option<Removed> = Some(Removed { called_off: 0, interrupted: false });

#[tokio::test]
async fn the_only_unanswered_turn_takes_its_replies_along() {
    let ground = Ground::new().await;
    ground.say("a").await;
    ground.answered().await;
    let b = ground.say("b").await;
    ground.ask(&Work::REPLY).await;
    assert_eq!(ground.remove(b).await, Some(Removed { called_off: 1, interrupted: false }));
    assert_eq!(ground.remove(b).await, None);
    assert!(ground.open_jobs().await.is_empty());

    let c = ground.say("c").await;
    ground.ask(&Work::REPLY).await;
    let held = ground.claim().await;
    assert_eq!(ground.remove(c).await, Some(Removed { called_off: 1, interrupted: true }));
    let late = ground.db.store.store_generated(&held, ground.reply()).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    assert_eq!(ground.db.store.claim_lane().await.unwrap(), None);
    assert_eq!(ground.texts().await, "a Well.");

    let (guild, scene) = (ground.stage.guild, ground.stage.scene.id);
    let undone = ground.db.store.undo(guild, scene).await.unwrap();
    assert_eq!(undone, Some(Move::Remove { turn: c }));
    assert_eq!(ground.texts().await, "a Well. c");
}

#[tokio::test]
async fn a_reply_that_has_read_the_turn_is_begun_anew_for_the_others() {
    let ground = Ground::new().await;
    let a = ground.say("a").await;
    let b = ground.say("b").await;
    ground.ask(&Work::REPLY).await;
    assert_eq!(ground.remove(a).await, UNTOUCHED, "nobody has read it");
    let held = ground.claim().await;
    let c = ground.say("c").await;
    assert_eq!(ground.remove(b).await, Some(Removed { called_off: 0, interrupted: true }));
    assert_eq!(ground.open_jobs().await, [(JobState::Queued, Work::REPLY)]);
    let again = ground.claim().await;
    assert_eq!((again.job.id, again.job.attempts), (held.job.id, 1));
    assert!(again.fence > held.fence);
    let late = ground.db.store.renew_claim(&held).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    ground.db.store.store_generated(&again, ground.reply()).await.unwrap();
    assert_eq!(ground.remove(c).await, UNTOUCHED, "its answer is written");
    ground.db.store.finish_job(&again).await.unwrap();
    assert_eq!(ground.texts().await, "Well.");
}

#[tokio::test]
async fn what_does_not_answer_the_turn_goes_on() {
    let ground = Ground::new().await;
    let a = ground.say("a").await;
    let reply = ground.answered().await;
    ground.say("b").await;
    let swipe = Work::Swipe { turn: reply, length: None };
    for work in [&Work::REPLY, &swipe, &Work::Show] {
        ground.ask(work).await;
    }
    assert_eq!(ground.remove(a).await, UNTOUCHED, "it was answered long ago");
    assert_eq!(ground.remove(reply).await, Some(Removed { called_off: 1, interrupted: false }));
    let open = [(JobState::Queued, Work::REPLY), (JobState::Queued, Work::Show)];
    assert_eq!(ground.open_jobs().await, open, "only what would tell it in another way goes");
}

#[tokio::test]
async fn turns_that_were_removed_before_do_not_count() {
    let ground = Ground::new().await;
    ground.say("a").await;
    let reply = ground.answered().await;
    let b = ground.say("b").await;
    let c = ground.say("c").await;
    ground.ask(&Work::REPLY).await;
    ground.remove(b).await.unwrap();
    assert_eq!(ground.remove(c).await, Some(Removed { called_off: 1, interrupted: false }));
    // Without its answer, the first turn is unanswered again.
    ground.remove(reply).await.unwrap();
    let d = ground.say("d").await;
    ground.ask(&Work::REPLY).await;
    assert_eq!(ground.remove(d).await, UNTOUCHED);
}
