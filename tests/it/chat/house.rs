//! A guild with a chat room, a stage, and jobs that can be started, stopped and
//! killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dramatis::chat::{Chat, ChatError, ChatOptions, Message, Opening, ReplyReceipt, run_jobs};
use dramatis::classifier::Classifier;
use dramatis::clock::SystemClock;
use dramatis::config::{Config, Environment, LoadOptions, Override};
use dramatis::domain::{
    Character, CharacterSheet, GuildId, Participant, Scene, SceneId, Swipe, Template, Turn,
};
use dramatis::pool::Pool;
use dramatis::store::{Accepted, Job, Line, Store};
use dramatis::telemetry::metrics::Metrics;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::stage::{PATIENCE, TestStage};
use crate::support::postgres::TestDatabase;

/// Lets every lease run out.
pub(super) const EXPIRE: &str =
    "UPDATE lane SET lease_until = now() - interval '1 ms' WHERE lease_until IS NOT NULL";

pub(super) struct House {
    pub(super) db: TestDatabase,
    pub(super) chat: Arc<Chat>,
    pub(super) stage: TestStage,
    pub(super) guild: GuildId,
    pub(super) me: Participant,
    jobs: Option<Jobs>,
}

struct Jobs {
    stopping: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// A chat room whose replies are short, so that tests are.
pub(super) fn chat(store: Store, pool: Pool) -> Arc<Chat> {
    chat_with(store, pool, &[])
}

/// The same with other settings.
pub(super) fn chat_with(store: Store, pool: Pool, settings: &[(&str, &str)]) -> Arc<Chat> {
    chat_in(store, pool, Template::Limarp, settings)
}

/// The same in another format of prompts.
pub(super) fn chat_in(
    store: Store,
    pool: Pool,
    template: Template,
    settings: &[(&str, &str)],
) -> Arc<Chat> {
    let usual = [
        ("generation.max_tokens.medium", "24"),
        ("generation.max_tokens.auto", "20"),
        ("chat.poll_ms", "100"),
        ("chat.max_waiting_per_person", "50"),
    ];
    let set = |&(key, value): &(&str, &str)| Override::flag("test", key, value);
    let options = LoadOptions {
        config_file: None,
        overrides: usual.iter().chain(settings).map(set).collect(),
        environment: Environment::from_pairs([("HOME", "/nonexistent")]),
        working_dir: std::env::temp_dir(),
    };
    let config = Config::load(&options).unwrap();
    let (clock, metrics) = (Arc::new(SystemClock), Arc::<Metrics>::default());
    let classifiers = config.classifiers_dir();
    let classifier = Classifier::open(&config.moderation, &classifiers, metrics.clone()).unwrap();
    let options = ChatOptions::new(&config, template);
    Arc::new(Chat::new(store, pool, classifier, clock, options, metrics).unwrap())
}

impl House {
    pub(super) async fn open(pool: Pool) -> Self {
        Self::open_with(pool, &[]).await
    }

    pub(super) async fn open_with(pool: Pool, settings: &[(&str, &str)]) -> Self {
        Self::open_in(TestDatabase::fresh().await, pool, settings).await
    }

    pub(super) async fn open_in(db: TestDatabase, pool: Pool, settings: &[(&str, &str)]) -> Self {
        let guild = db.store.upsert_guild("test", "house", "House").await.unwrap().id;
        let person = db.store.upsert_person(guild, "ann", "Ann").await.unwrap();
        // A model of chance writes words of chance: the rules allow whatever can be allowed.
        db.store.upsert_policy(guild, "", &serde_json::json!({})).await.unwrap();
        let me = Participant { person, persona: None };
        let chat = chat_with(db.store.clone(), pool, settings);
        Self { chat, stage: TestStage::new(), guild, me, db, jobs: None }
    }

    /// Makes replies from now on, two at once.
    pub(super) fn run(&mut self) {
        self.run_at_most(2);
    }

    pub(super) fn run_at_most(&mut self, max_replies: usize) {
        assert!(self.jobs.is_none(), "the jobs run already");
        let (stopping, stopped) = watch::channel(false);
        let (chat, stage) = (self.chat.clone(), self.stage.clone());
        let task = tokio::spawn(run_jobs(chat, stage, Some(max_replies), stopped));
        self.jobs = Some(Jobs { stopping, task });
    }

    /// Stops the jobs in order.
    pub(super) async fn stop(&mut self) {
        let jobs = self.jobs.take().expect("the jobs run");
        jobs.stopping.send_replace(true);
        tokio::time::timeout(PATIENCE, jobs.task).await.expect("they stop in time").unwrap();
    }

    /// Ends the jobs as a crash would: nothing is given back.
    pub(super) async fn kill(&mut self) {
        let jobs = self.jobs.take().expect("the jobs run");
        jobs.task.abort();
        assert!(jobs.task.await.unwrap_err().is_cancelled());
    }

    pub(super) async fn character(&self, sheet: CharacterSheet) -> Character {
        self.db.store.insert_character(self.guild, &sheet).await.unwrap()
    }

    /// A character of that name that always speaks when it may.
    pub(super) async fn named(&self, name: &str) -> Character {
        let description = format!("{name} keeps the lighthouse.");
        self.character(CharacterSheet { name: name.into(), description, ..Default::default() })
            .await
    }

    pub(super) async fn open_scene(&self, cast: &[Character]) -> Result<Scene, ChatError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let channel = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        self.chat.open_scene(Opening::new(self.guild, channel, cast, "Ann")).await
    }

    /// A scene with Mira, who greets nobody.
    pub(super) async fn scene(&self) -> SceneId {
        let mira = match self.db.store.list_characters(self.guild).await.unwrap().pop() {
            Some(known) => known,
            None => self.named("Mira").await,
        };
        self.open_scene(&[mira]).await.unwrap().id
    }

    pub(super) async fn try_say(&self, scene: SceneId, text: &str) -> Result<Accepted, ChatError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let external_id = format!("m{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.deliver(scene, external_id, text).await
    }

    pub(super) async fn deliver(
        &self,
        scene: SceneId,
        external_id: String,
        text: &str,
    ) -> Result<Accepted, ChatError> {
        let (guild, author) = (self.guild, &self.me);
        let message = Message { guild, scene, author, external_id, text, answer: None };
        self.chat.accept_turn(message).await
    }

    pub(super) async fn say(&self, scene: SceneId, text: &str) -> Accepted {
        self.try_say(scene, text).await.unwrap()
    }

    /// Says something and waits for whatever answers; gives the latest turn.
    pub(super) async fn exchange(&self, scene: SceneId, text: &str) -> Turn {
        self.say(scene, text).await;
        self.settled(scene).await;
        self.latest(scene).await
    }

    /// Waits until the workers have ended that many requests since the start.
    pub(super) async fn until_finished(&self, num_requests: u64) {
        let waiting = async {
            while self.chat.pool().stats().totals.num_finished < num_requests {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the workers end them in time");
    }

    /// Waits until nothing is left to do in a scene.
    pub(super) async fn settled(&self, scene: SceneId) {
        self.wait_until(scene, <[Job]>::is_empty).await;
    }

    /// Waits until a scene's open jobs look like that.
    pub(super) async fn wait_until(&self, scene: SceneId, wanted: impl Fn(&[Job]) -> bool) {
        let waiting = async {
            loop {
                let open = self.db.store.list_open_jobs(self.guild, scene).await.unwrap();
                if wanted(&open) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the jobs get there in time");
    }

    pub(super) async fn line(&self, scene: SceneId) -> Vec<Turn> {
        self.db.store.list_line(self.guild, scene, Line::default()).await.unwrap()
    }

    pub(super) async fn latest(&self, scene: SceneId) -> Turn {
        self.line(scene).await.pop().expect("something was said")
    }

    /// Who spoke, in order.
    pub(super) async fn speakers(&self, scene: SceneId) -> Vec<String> {
        self.line(scene).await.iter().map(|turn| turn.speaker.name().to_owned()).collect()
    }

    pub(super) async fn texts(&self, scene: SceneId) -> Vec<String> {
        self.line(scene).await.into_iter().map(|turn| turn.swipe.text).collect()
    }

    /// What the next reply would be made from.
    pub(super) async fn preview(&self, scene: SceneId) -> String {
        self.chat.preview_prompt(self.guild, scene).await.unwrap().prompt.text
    }

    /// The text of the prompt that a turn's standing text was made from.
    pub(super) async fn prompt_of(&self, turn: &Turn) -> String {
        self.chat.pool().tokenizer().decode(&self.prompt_ids(turn).await)
    }

    pub(super) async fn prompt_ids(&self, turn: &Turn) -> Vec<u32> {
        let ids = self.db.store.get_prompt_ids(self.guild, turn.id, turn.swipe.id).await;
        ids.unwrap().expect("a model wrote it")
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(jobs) = self.jobs.take() {
            jobs.task.abort();
        }
    }
}

/// How a text was made.
pub(super) fn receipt(swipe: &Swipe) -> ReplyReceipt {
    serde_json::from_value(swipe.receipt.clone().expect("a model wrote it")).unwrap()
}
