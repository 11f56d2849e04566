//! What people say arrives in the story: in order, once, also where the gateway fails,
//! a proxy stands between, or nobody listened for a while.

use std::time::Duration;

use serde_json::json;

use crate::support::discord::guild::Guild;
use crate::support::discord::people::Person;
use crate::support::discord::{ChannelId, Discord};

use super::scene::{replies, reply_after, reply_at_end};
use super::serve::{Home, PATIENCE, Serve};

/// A scene in a thread, its greeting shown.
struct Play {
    discord: Discord,
    home: Home,
    guild: Guild,
    harbour: ChannelId,
    ann: Person,
    ben: Person,
    thread: ChannelId,
}

impl Play {
    async fn begin(settings: &[&str]) -> (Self, Serve) {
        let discord = Discord::start().await;
        // Restarts come faster than a real bot's.
        discord.limits(|limits| limits.identify_window = Duration::ZERO);
        let guild = discord.guild("Skerry");
        let harbour = guild.text_channel("harbour");
        let (ann, ben) = (guild.member("ann"), guild.member("ben"));
        let mut home = Home::new().await;
        settings.iter().for_each(|setting| home.set(setting));
        let serve = home.serve(&discord).await;
        let thread = start_scene(&discord, &home, harbour, &ann).await;
        (Self { discord, home, guild, harbour, ann, ben, thread }, serve)
    }

    /// Who said what, characters left out.
    async fn said(&self) -> Vec<(String, String)> {
        let mut line = self.home.line(self.thread).await;
        line.retain(|(who, _)| who != "Tamsin");
        line
    }

    async fn said_until(&self, texts: &[&str]) -> Vec<(String, String)> {
        let is_so = |line: &[(String, String)]| {
            let said = line.iter().filter(|(who, _)| who != "Tamsin");
            said.map(|(_, text)| text.as_str()).eq(texts.iter().copied())
        };
        self.home.line_until(self.thread, is_so).await
    }

    fn num_reads(&self, channel: ChannelId) -> usize {
        let path = format!("/channels/{}/messages?", channel.0);
        let requests = self.discord.requests();
        requests.iter().filter(|one| one.method == "GET" && one.path.starts_with(&path)).count()
    }
}

async fn start_scene(
    discord: &Discord,
    home: &Home,
    harbour: ChannelId,
    ann: &Person,
) -> ChannelId {
    let options = json!({ "character": "Tamsin", "length": "micro" });
    ann.command(harbour, "scene start", options).await.settled(PATIENCE).await;
    let thread = home.channel_of_newest_scene(harbour).await;
    reply_at_end(discord, thread).await;
    thread
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_while_the_gateway_failed_is_answered() {
    let (play, _serve) = Play::begin(&[]).await;
    let gateway = play.discord.gateway();
    gateway.send_unknown();
    let troubles: [(&str, &dyn Fn()); 7] = [
        ("drop", &|| gateway.drop_all()),
        ("op 7", &|| gateway.reconnect()),
        ("op 9, resumable", &|| gateway.invalidate(true)),
        ("close 4000", &|| gateway.close_all(4000)),
        ("op 9", &|| gateway.invalidate(false)),
        ("a session forgotten", &|| {
            gateway.forget_sessions();
            gateway.drop_all();
        }),
        ("a closed port", &|| gateway.close_port_for(Duration::from_secs(2))),
    ];
    let mut identifies = Vec::new();
    for (name, trouble) in troubles {
        let before = replies(&play.discord, play.thread).pop().unwrap().id;
        trouble();
        play.ann.say(play.thread, &format!("Do you hear me? ({name})"));
        reply_after(&play.discord, play.thread, before).await;
        play.home.quiet().await;
        identifies.push(gateway.num_identifies());
    }
    // A lost connection costs no session, a lost session one; a closed port none.
    assert_eq!(identifies, [1, 1, 1, 1, 2, 3, 3]);
    assert!(gateway.num_resumes() >= 5, "{} resumes", gateway.num_resumes());
    let line = play.home.line(play.thread).await;
    assert_eq!(line.len(), 1 + 2 * 7, "each is answered once: {line:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicated_and_shuffled_events_change_nothing() {
    let (play, _serve) = Play::begin(&["discord.order_hold_ms=600"]).await;
    let gateway = play.discord.gateway();
    gateway.duplicate(true);
    gateway.shuffle(Some(11));
    let words: Vec<String> = (0..12).map(|number| format!("Words, number {number}.")).collect();
    for (number, words) in words.iter().enumerate() {
        let who = if number % 2 == 0 { &play.ann } else { &play.ben };
        who.say(play.thread, words);
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    play.said_until(&texts).await;
    play.home.quiet().await;
    let said = play.said().await;
    assert!(said.iter().map(|(_, text)| text.as_str()).eq(texts), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxied_post_counts_once_as_the_one_who_speaks() {
    let (play, _serve) = Play::begin(&["chat.poll_ms=50"]).await;
    // The first that the bot hears of a proxy: it has no reason to wait for one yet.
    let first = play.ann.say(play.thread, "The first words.");
    tokio::time::sleep(Duration::from_millis(700)).await;
    play.ann.proxied(first, "Ash", "7f1c0e0e-0000-4000-8000-00000000000a");
    play.said_until(&["The first words."]).await;
    play.home.quiet().await;
    // From then on it waits, whichever comes first.
    let second = play.ann.say(play.thread, "The second words.");
    play.ann.proxied(second, "Ash", "7f1c0e0e-0000-4000-8000-00000000000a");
    play.said_until(&["The first words.", "The second words."]).await;
    play.home.quiet().await;
    let third = play.ann.say(play.thread, "The third words.");
    play.ann.proxied_without_deletion(third, "Ash", "7f1c0e0e-0000-4000-8000-00000000000a");
    tokio::time::sleep(Duration::from_millis(100)).await;
    play.guild.delete(third);
    play.said_until(&["The first words.", "The second words.", "The third words."]).await;
    play.home.quiet().await;
    // And who speaks for themselves still does.
    play.ben.say(play.thread, "My own words.");
    let all = ["The first words.", "The second words.", "The third words.", "My own words."];
    play.said_until(&all).await;
    play.home.quiet().await;
    let said = play.said().await;
    let names: Vec<&str> = said.iter().map(|(who, _)| who.as_str()).collect();
    assert_eq!(names, ["Ash", "Ash", "Ash", "Ben"]);
    let shown = replies(&play.discord, play.thread);
    let ours: Vec<_> = shown.iter().filter(|message| message.author == "Tamsin").collect();
    assert_eq!(ours.len(), 5, "a greeting and an answer to each: {ours:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_answered_once_and_only_what_changed_is_read() {
    let (play, serve) = Play::begin(&[]).await;
    let quiet = start_scene(&play.discord, &play.home, play.harbour, &play.ann).await;
    let greeting = replies(&play.discord, play.thread).pop().unwrap().id;
    let kept = play.ann.say(play.thread, "Before the storm.");
    let regretted = play.ben.say(play.thread, "Before the storm, too.");
    play.said_until(&["Before the storm.", "Before the storm, too."]).await;
    reply_after(&play.discord, play.thread, greeting).await;
    play.home.quiet().await;
    // One answer to both, or one to each: as they came.
    let last = replies(&play.discord, play.thread).pop().unwrap().id;
    serve.kill();

    play.ann.edit(kept, "Long before the storm.");
    play.ben.delete(regretted);
    play.ann.say(play.thread, "((are you there?))");
    play.ann.say(play.thread, "Is anybody there?");
    play.ben.say(play.thread, "I am.");
    let reads = (play.num_reads(play.thread), play.num_reads(quiet));
    let serve = play.home.serve(&play.discord).await;
    play.said_until(&["Long before the storm.", "Is anybody there?", "I am."]).await;
    reply_after(&play.discord, play.thread, last).await;
    play.home.quiet().await;
    let answers = replies(&play.discord, play.thread);
    let answers = answers.iter().filter(|message| message.id.id > last.id).count();
    assert!((1..=2).contains(&answers), "what was missed is answered once: {answers}");
    assert_eq!(play.num_reads(play.thread), reads.0 + 1, "one page of the thread that changed");
    assert_eq!(play.num_reads(quiet), reads.1, "nothing of the thread that did not");

    // And a start after which nothing was missed reads nothing.
    serve.stop().await;
    let reads = (play.num_reads(play.thread), play.num_reads(quiet));
    let _serve = play.home.serve(&play.discord).await;
    play.ann.say(play.thread, "Good.");
    play.said_until(&["Long before the storm.", "Is anybody there?", "I am.", "Good."]).await;
    assert_eq!((play.num_reads(play.thread), play.num_reads(quiet)), reads);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_marked_and_nobody_else_is_told() {
    let (play, _serve) = Play::begin(&["chat.max_turn_bytes=256"]).await;
    let before = play.discord.messages(play.thread).len();
    let long = play.ann.say(play.thread, &"far too long ".repeat(30));
    let reacted = format!("/channels/{}/messages/{}/reactions/", play.thread.0, long.id);
    play.discord
        .wait_until(PATIENCE, |world| {
            let requests = &world.ledger.requests;
            requests.iter().any(|one| one.method == "PUT" && one.path.starts_with(&reacted))
        })
        .await;
    assert_eq!(play.discord.messages(play.thread).len(), before + 1, "only her own");
    play.ann.say(play.thread, "Short enough.");
    play.said_until(&["Short enough."]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guild_that_is_left_rests_and_a_channel_that_is_gone_is_kept() {
    let (play, _serve) = Play::begin(&[]).await;
    play.guild.kick_bot();
    wait_for(&play.home, "SELECT count(*) FROM guild WHERE left_at IS NOT NULL", 1).await;
    play.guild.let_bot_in();
    wait_for(
        &play.home,
        "SELECT count(*) FROM guild WHERE left_at IS NULL AND platform = 'discord'",
        1,
    )
    .await;
    play.ann.say(play.thread, "You are back.");
    play.said_until(&["You are back."]).await;
    play.home.quiet().await;
    play.guild.delete_channel(play.thread);
    wait_for(&play.home, "SELECT count(*) FROM scene WHERE state = 'paused'", 1).await;
    assert_eq!(play.said().await.len(), 1, "the story is kept");
}

async fn wait_for(home: &Home, query: &'static str, count: i64) {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let found: i64 = sqlx::query_scalar(query).fetch_one(&home.database.pool).await.unwrap();
        if found == count {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{query}: {found}\n{}", home.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
