//! The chat room on a real database and the real small model: what is said is
//! answered once, whatever happens between.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dramatis::chat::{
    Chat, ChatOptions, FinishedReply, Message, Opening, PersonaScope, Preview, ReplyReceipt,
    ReplySink, ReplyStart, SinkError, Stage, SwipeTo, Undone, run_jobs, starters,
};
use dramatis::clock::SystemClock;
use dramatis::config::{Config, Environment, LoadOptions as ConfigOptions, Override};
use dramatis::domain::{
    Character, CharacterSheet, GuildId, Length, Participant, Scene, Speaker, SwipeOrigin, Template,
    Turn,
};
use dramatis::store::{Accepted, Generated, JobState, Line, NewTurn, Store, Surroundings, Target};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::models::small;
use crate::support::postgres::TestDatabase;

/// What the jobs showed.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<FinishedReply>>>, Arc<Mutex<Vec<String>>>);

struct ShownSink(Shown, String);

impl Stage for Shown {
    type Sink = ShownSink;

    fn sink(&self, _: &Scene) -> ShownSink {
        ShownSink(self.clone(), String::new())
    }
}

impl ReplySink for ShownSink {
    async fn surroundings(&mut self) -> Result<Option<Surroundings>, SinkError> {
        Ok(None)
    }

    async fn begin(&mut self, start: &ReplyStart) {
        self.1 = start.standing_text.clone();
    }

    async fn update(&mut self, text: &str) {
        assert!(text.starts_with(&self.1), "what was shown is never taken back");
        self.1 = text.to_owned();
    }

    async fn begin_anew(&mut self) {
        self.1.clear();
    }

    async fn finish(&mut self, reply: &FinishedReply) -> Result<(), SinkError> {
        self.0.0.lock().unwrap().push(reply.clone());
        Ok(())
    }

    async fn fail(&mut self, notice: &str) {
        self.0.1.lock().unwrap().push(notice.to_owned());
    }

    async fn withdraw(&mut self) {}

    async fn redraw(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// A scene of somebody with the named starters.
struct Evening {
    database: TestDatabase,
    chat: Arc<Chat>,
    guild: GuildId,
    scene: Scene,
    me: Participant,
    shown: Shown,
    num_messages: std::sync::atomic::AtomicU32,
}

async fn chat(store: &Store) -> Arc<Chat> {
    let overrides = ["generation.max_tokens.micro=16", "chat.poll_ms=50"];
    let config = Config::load(&ConfigOptions {
        config_file: None,
        overrides: overrides.iter().map(|text| Override::parse(text).unwrap()).collect(),
        environment: Environment::from_pairs([("HOME", "/nonexistent")]),
        working_dir: PathBuf::from("/"),
    });
    let config = config.unwrap();
    let pool = tokio::task::spawn_blocking(small).await.unwrap();
    let clock = Arc::new(SystemClock);
    Arc::new(
        Chat::new(
            store.clone(),
            pool,
            None,
            clock,
            ChatOptions::new(&config, Template::Limarp),
            Arc::default(),
        )
        .unwrap(),
    )
}

impl Evening {
    async fn with(cast: &[CharacterSheet]) -> Self {
        let database = TestDatabase::fresh().await;
        let store = &database.store;
        let guild = store.upsert_guild("test", "1", "A guild").await.unwrap().id;
        let person = store.upsert_person(guild, "ann", "Ann").await.unwrap();
        let mut characters: Vec<Character> = Vec::new();
        for sheet in cast {
            characters.push(store.insert_character(guild, sheet).await.unwrap());
        }
        let chat = chat(store).await;
        let opening = Opening {
            length: Some(Some(Length::Micro)),
            ..Opening::new(guild, "here", &characters, "Ann")
        };
        let scene = chat.open_scene(opening).await.unwrap();
        store.insert_participant(guild, scene.id, person.id).await.unwrap();
        let me = Participant { person, persona: None };
        let (shown, num_messages) = (Shown::default(), 0.into());
        Self { database, chat, guild, scene, me, shown, num_messages }
    }

    async fn say(&self, text: &str) -> Accepted {
        let number = self.num_messages.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.chat.accept_turn(self.message(&number.to_string(), text)).await.unwrap()
    }

    fn message<'a>(&'a self, external_id: &str, text: &'a str) -> Message<'a> {
        Message {
            guild: self.guild,
            scene: self.scene.id,
            author: &self.me,
            external_id: external_id.into(),
            text,
            answer: None,
        }
    }

    /// Makes replies until the lane is empty.
    async fn answer(&self) {
        let jobs = Jobs::run(&self.chat, &self.shown);
        while !self.open_jobs().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        jobs.stop().await;
    }

    async fn open_jobs(&self) -> Vec<dramatis::store::Job> {
        self.chat.store().list_open_jobs(self.guild, self.scene.id).await.unwrap()
    }

    async fn line(&self) -> Vec<Turn> {
        let (guild, scene) = (self.guild, self.scene.id);
        self.chat.store().list_line(guild, scene, Line::default()).await.unwrap()
    }

    async fn speakers(&self) -> Vec<String> {
        self.line().await.iter().map(|turn| turn.speaker.name().to_owned()).collect()
    }
}

struct Jobs(JoinHandle<()>, watch::Sender<bool>);

impl Jobs {
    fn run(chat: &Arc<Chat>, shown: &Shown) -> Self {
        let (stop, stopping) = watch::channel(false);
        Self(tokio::spawn(run_jobs(chat.clone(), shown.clone(), Some(4), stopping)), stop)
    }

    async fn stop(self) {
        self.1.send(true).unwrap();
        self.0.await.unwrap();
    }
}

fn starter(name: &str) -> CharacterSheet {
    starters().into_iter().find(|sheet| sheet.name == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_answered_once_and_the_reply_can_be_made_again_exactly() {
    let evening = Evening::with(&[starter("Tamsin")]).await;
    let greeting = &evening.line().await[0];
    assert_eq!((greeting.num_swipes, greeting.swipe.origin), (2, SwipeOrigin::Greeting));
    let said = evening.say("Who else is awake?").await;
    let again = evening.chat.accept_turn(evening.message("0", "Who else is awake?")).await;
    assert!(matches!((said, again.unwrap()), (Accepted::New { turn, .. }, Accepted::Duplicate {
        turn: same
    }) if turn == same));
    evening.answer().await;
    assert_eq!(evening.speakers().await, ["Tamsin", "Ann", "Tamsin"]);
    let reply = evening.line().await.pop().unwrap();
    let shown = evening.shown.0.lock().unwrap().clone();
    assert_eq!(shown.len(), 1);
    assert_eq!((shown[0].turn.id, &shown[0].turn.swipe.text), (reply.id, &reply.swipe.text));
    let receipt: ReplyReceipt = serde_json::from_value(reply.swipe.receipt.unwrap()).unwrap();
    assert_eq!((receipt.preset.as_str(), receipt.length), ("limarp", Some(Length::Micro)));
    assert!(receipt.timings.num_generated_tokens <= 16);
    // Other conversations pass through the engine and its cache meanwhile.
    evening.say("And the door?").await;
    evening.answer().await;
    let made = evening.chat.reproduce(evening.guild, reply.id, reply.swipe.id).await.unwrap();
    assert_eq!(made.original, made.again);
    assert_eq!(evening.chat.metrics().counted(dramatis::telemetry::metrics::REPLIES, "done"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_arrive_while_the_lane_waits_get_one_reply_that_saw_them_all() {
    let evening = Evening::with(&[starter("Maren Holt")]).await;
    for text in ["First, the storm.", "Then, the bell.", "And now this."] {
        evening.say(text).await;
    }
    let preview = evening.chat.preview_prompt(evening.guild, evening.scene.id).await.unwrap();
    let prompt = preview.prompt;
    for text in ["First, the storm.", "Then, the bell.", "And now this."] {
        assert!(prompt.text.contains(text));
    }
    evening.answer().await;
    assert_eq!(evening.speakers().await, ["Maren Holt", "Ann", "Ann", "Ann", "Maren Holt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_are_mentioned_answer_in_that_order_and_once() {
    let quiet = |name| CharacterSheet { talkativeness: 0.0, ..starter(name) };
    let evening = Evening::with(&[quiet("Maren Holt"), quiet("Tamsin")]).await;
    evening.say("Tamsin, have you met Maren?").await;
    evening.answer().await;
    assert_eq!(evening.speakers().await, ["Maren Holt", "Ann", "Tamsin", "Maren Holt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_text_is_shown_after_a_crash_and_never_made_again() {
    let evening = Evening::with(&[starter("Tamsin")]).await;
    evening.say("Are you there?").await;
    let store = evening.database.second_store().await;
    let claim = store.claim_lane().await.unwrap().unwrap();
    let lead = &evening.chat.store().list_cast(evening.guild, evening.scene.id).await.unwrap()[0];
    let speaker = Speaker::Character { id: lead.character.id, name: "Tamsin".into() };
    let generated = Generated {
        target: Target::Turn(speaker),
        text: "I was never away.".into(),
        origin: SwipeOrigin::Generated,
        receipt: serde_json::json!({}),
        prompt_ids: vec![1],
    };
    store.store_generated(&claim, generated).await.unwrap();
    store.begin_sending(&claim).await.unwrap();
    // The worker dies here: its lease runs out.
    evening.database.execute("UPDATE lane SET lease_until = now() - interval '1 s'").await;
    evening.answer().await;
    let shown = evening.shown.0.lock().unwrap().clone();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].turn.swipe.text, "I was never away.");
    assert_eq!(evening.speakers().await, ["Tamsin", "Ann", "Tamsin"]);
    let job = evening.chat.store().get_job(evening.guild, claim.job.id).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_swiped_continued_edited_taken_back_and_brought_again() {
    let evening = Evening::with(&[starter("Tamsin")]).await;
    let (chat, guild, scene) = (&evening.chat, evening.guild, evening.scene.id);
    evening.say("Good morning.").await;
    evening.answer().await;
    let first = evening.line().await.pop().unwrap();
    let me = evening.me.person.id;
    chat.ask_swipe(guild, scene, me, first.id, None).await.unwrap();
    evening.answer().await;
    let second = evening.line().await.pop().unwrap();
    assert_eq!((second.id, second.num_swipes), (first.id, 2));
    assert_ne!(second.swipe.text, first.swipe.text, "another seed, another text");
    chat.ask_continue(guild, scene, me, first.id).await.unwrap();
    evening.answer().await;
    let longer = evening.line().await.pop().unwrap();
    assert!(longer.swipe.text.starts_with(second.swipe.text.trim_end()));
    assert_eq!(longer.swipe.origin, SwipeOrigin::Continued);
    let back = chat.choose_swipe(guild, scene, first.id, SwipeTo::Number(1)).await.unwrap();
    assert_eq!(back.unwrap().swipe.text, first.swipe.text);
    let edited = chat.edit_turn(guild, scene, first.id, "\u{1b}[2JMorning.").await.unwrap();
    assert_eq!((edited.swipe.text.as_str(), edited.num_swipes), ("[2JMorning.", 4));
    assert_eq!(chat.undo(guild, scene).await.unwrap(), Some(Undone::Choice(first.id)));
    for _ in 0..3 {
        assert_eq!(chat.undo(guild, scene).await.unwrap(), Some(Undone::Choice(first.id)));
    }
    assert_eq!(chat.undo(guild, scene).await.unwrap(), Some(Undone::Turns(2)));
    assert_eq!(evening.speakers().await, ["Tamsin"]);
    assert_eq!(chat.redo(guild, scene).await.unwrap(), Some(Undone::Turns(2)));
    assert_eq!(evening.line().await.pop().unwrap().swipe.text, first.swipe.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_refused_and_changes_nothing() {
    let evening = Evening::with(&[starter("Tamsin")]).await;
    for (text, reason) in [
        ("", "nothing in that message"),
        (" \u{7}\n", "nothing in that message"),
        (&"word ".repeat(40_000), "200000 bytes of text"),
    ] {
        let refused = evening.chat.accept_turn(evening.message("x", text)).await.unwrap_err();
        assert!(refused.notice().contains(reason), "{refused}");
    }
    assert_eq!(evening.line().await.len(), 1);
    let (chat, guild, scene) = (&evening.chat, evening.guild, evening.scene.id);
    let cast = chat.store().list_cast(guild, scene).await.unwrap();
    let cast = [cast[0].character.clone()];
    let opening = Opening::new(guild, "elsewhere", &cast, "Ann");
    let elsewhere = chat.open_scene(opening).await.unwrap().head.unwrap();
    let me = evening.me.person.id;
    let refused = chat.ask_continue(guild, scene, me, elsewhere).await.unwrap_err();
    assert!(refused.notice().contains("no such turn"), "{refused}");
    assert!(evening.open_jobs().await.is_empty());
    let taken = chat
        .set_persona(guild, PersonaScope::Scene(scene), evening.me.person.id, "TAMSIN", "")
        .await;
    assert!(taken.unwrap_err().notice().contains("choose another name"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_cannot_fit_fails_its_job_with_the_numbers_and_frees_the_lane() {
    let huge = "A very long history. ".repeat(600);
    let evening = Evening::with(&[CharacterSheet { description: huge, ..starter("Tamsin") }]).await;
    evening.say("Hello?").await;
    evening.answer().await;
    let notices = evening.shown.1.lock().unwrap().clone();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("tokens must stand in every prompt"), "{notices:?}");
    assert_eq!(evening.speakers().await, ["Tamsin", "Ann"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_turns_fit_a_small_context_to_the_token() {
    let evening = Evening::with(&[starter("Maren Holt")]).await;
    let (chat, guild, scene) = (&evening.chat, evening.guild, evening.scene.id);
    let lead = &chat.store().list_cast(guild, scene).await.unwrap()[0];
    let maren = Speaker::Character { id: lead.character.id, name: "Maren Holt".into() };
    let ann = Speaker::Person { id: evening.me.person.id, name: "Ann".into() };
    let (mut kept, mut trims, mut last) = (0, 0, Vec::new());
    for number in 0..200 {
        let speaker = if number % 2 == 0 { ann.clone() } else { maren.clone() };
        let words = "the rope, the lamp and the long wet stair ".repeat(1 + number % 3);
        let new = NewTurn {
            speaker,
            text: format!("Turn {number}: {words}"),
            origin: SwipeOrigin::Written,
            receipt: None,
            alternates: Vec::new(),
        };
        chat.store().append_turn(guild, scene, &new).await.unwrap();
        if number % 2 == 1 {
            continue;
        }
        let Preview { prompt, reply_tokens, .. } = chat.preview_prompt(guild, scene).await.unwrap();
        assert!(prompt.token_ids.len() + reply_tokens <= 2048, "turn {number}");
        assert_eq!(prompt.receipt.num_tokens, prompt.token_ids.len());
        assert!(prompt.text.contains("keeps the light on Skerry Point"), "turn {number}");
        let same = prompt.token_ids.iter().zip(&last).take_while(|(a, b)| a == b).count();
        // All but the open reply and what was said since stays, unless turns fell out.
        if number > 0 && same * 10 >= last.len() * 9 {
            kept += 1;
        }
        let anchor = chat.scene(guild, scene).await.unwrap().anchor;
        trims += usize::from(prompt.anchor != anchor);
        chat.store().set_anchor(guild, scene, prompt.anchor).await.unwrap();
        last = prompt.token_ids;
    }
    assert!(trims >= 2, "the scene outgrew its context, and was trimmed {trims} times");
    assert!(trims <= 20, "trimmed {trims} times in 100 prompts");
    assert!(kept >= 75, "{kept} of 99 prompts began as the one before");
}
