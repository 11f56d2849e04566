//! Too many at once: who is refused is told at once, and who waits can see it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::discord::answer::AnswerKind;
use crate::support::discord::people::Person;
use crate::support::discord::seen::SeenMessage;
use crate::support::discord::{ChannelId, Discord, MessageId};

use super::scene::{has_button, reply_after, reply_at_end};
use super::serve::{Home, PATIENCE};

/// How soon a refusal is to be seen.
const TOLD_WITHIN: Duration = Duration::from_secs(3);
const WAITS: &str = "⏳";
const UNANSWERED: &str = "🚦";

/// A scene in a thread, its greeting shown.
async fn begin(discord: &Discord, home: &Home, ann: &Person, lobby: ChannelId) -> ChannelId {
    let options = json!({ "character": "Tamsin" });
    ann.command(lobby, "scene start", options).await.settled(PATIENCE).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    reply_at_end(discord, thread).await;
    home.quiet().await;
    thread
}

async fn ask(
    person: &Person,
    channel: ChannelId,
    path: &str,
    options: serde_json::Value,
) -> String {
    let message = person.command(channel, path, options).await.settled(PATIENCE).await;
    assert!(message.is_ephemeral, "everybody sees {message:?}");
    message.content
}

async fn change(home: &Home, sql: &'static str, channel: ChannelId) {
    sqlx::query(sql).bind(channel.0.to_string()).execute(&home.database.pool).await.unwrap();
}

/// As if another process were at the scene.
const HOLD: &str = "UPDATE lane SET lease_until = now() + interval '1 hour', holder = 0,
        fence = fence + 1
     FROM scene WHERE scene.id = lane.scene_id AND scene.channel = $1";
const LET_GO: &str = "UPDATE lane SET lease_until = NULL
     FROM scene WHERE scene.id = lane.scene_id AND scene.channel = $1";
/// A lane that is not to be claimed for a while, with something to show.
const REST: &str = "WITH rests AS (
        UPDATE lane SET pending = pending + 1, next_at = now() + interval '1 hour'
        FROM scene WHERE scene.id = lane.scene_id AND scene.channel = $1
        RETURNING lane.guild_id, lane.scene_id, lane.vtime)
     INSERT INTO job (guild_id, scene_id, work, vtime)
     SELECT guild_id, scene_id, '{\"kind\": \"show\"}', vtime FROM rests";
const GO_ON: &str = "UPDATE lane SET next_at = now()
     FROM scene WHERE scene.id = lane.scene_id AND scene.channel = $1";

fn has_reaction(message: &SeenMessage, emoji: &str) -> bool {
    message.reactions.iter().any(|(given, _)| given == emoji)
}

async fn until_marked(discord: &Discord, message: MessageId, emoji: &str, wanted: bool) {
    discord
        .wait_until(PATIENCE, |world| {
            let seen = world.seen(message.channel);
            seen.iter().any(|one| one.id == message && has_reaction(one, emoji) == wanted)
        })
        .await;
}

async fn until_waiting(home: &Home, wanted: i64) {
    let deadline = Instant::now() + PATIENCE;
    let waiting = "SELECT count(*) FROM job WHERE state = 'queued' AND work ->> 'kind' <> 'show'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&home.database.pool).await.unwrap()
        != wanted
    {
        assert!(Instant::now() < deadline, "there are never {wanted} waiting\n{}", home.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_notice(message: &SeenMessage) -> bool {
    message.webhook.is_none() && message.author_is_bot && message.content.contains("is kept")
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_refused_is_told_in_time_and_keeps_their_words() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let lobby = guild.text_channel("lobby");
    let ann = guild.member("ann");
    let mut home = Home::new().await;
    home.set("chat.max_waiting_per_person=1");
    let serve = home.serve(&discord).await;
    let busy = begin(&discord, &home, &ann, lobby).await;
    let here = begin(&discord, &home, &ann, lobby).await;
    let said = ann.say(here, "Good morning.");
    let reply = reply_after(&discord, here, said).await;
    home.quiet().await;

    change(&home, HOLD, busy).await;
    let waiting = ann.say(busy, "Is anybody there?");
    until_waiting(&home, 1).await;
    let coalesced = ann.say(busy, "Hello?");
    home.line_until(busy, |line| line.len() == 3).await;

    // A message: in words, which ping nobody; the next by a mark alone.
    let began = Instant::now();
    ann.say(here, &format!("And here, {}?", ann.mention()));
    let notice =
        discord.wait_for(PATIENCE, |world| world.seen(here).into_iter().find(is_notice)).await;
    let took = began.elapsed();
    assert!(took < TOLD_WITHIN, "{took:?}");
    for part in ["1 reply that you asked for waits", "1 in all", "/reply asks again later"] {
        assert!(notice.content.contains(part), "{notice:?}");
    }
    assert!(notice.pinged.is_empty() && !notice.pinged_everyone, "{notice:?}");
    let began = Instant::now();
    let more = ann.say(here, "Anybody?");
    until_marked(&discord, more, UNANSWERED, true).await;
    assert!(began.elapsed() < TOLD_WITHIN, "{:?}", began.elapsed());
    let line = home.line(here).await;
    let texts: Vec<&str> = line[3..].iter().map(|(_, text)| text.as_str()).collect();
    assert!(texts[0].starts_with("And here") && texts[1] == "Anybody?", "{line:?}");

    // Commands and buttons: to the person alone.
    let refused = ask(&ann, here, "reply", json!({})).await;
    assert!(refused.contains("waits already") && refused.contains("sk again"), "{refused}");
    let pressed = ann.press(reply.id, "Again").await;
    assert_eq!(pressed.kind(), AnswerKind::DeferredUpdate);
    let deadline = Instant::now() + PATIENCE;
    while pressed.followups().is_empty() {
        assert!(Instant::now() < deadline, "the button is not answered");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = &pressed.followups()[0];
    assert!(refused.is_ephemeral && refused.content.contains("waits already"), "{refused:?}");
    let place = ask(&ann, here, "queue", json!({})).await;
    assert!(place.contains("Nothing waits to be written here"), "{place}");
    let place = ask(&ann, busy, "queue", json!({})).await;
    assert!(place.contains("is being written"), "{place}");

    // Nobody else heard of it, and what waits is not refused.
    let seen = discord.messages(busy);
    assert!(!seen.iter().any(is_notice));
    let of = |id: MessageId| seen.iter().find(|one| one.id == id).unwrap();
    assert!(of(waiting).reactions.is_empty() && of(coalesced).reactions.is_empty());
    assert_eq!(discord.messages(here).iter().filter(|message| is_notice(message)).count(), 1);

    // Later, /reply answers what was kept.
    change(&home, LET_GO, busy).await;
    reply_after(&discord, busy, coalesced).await;
    home.quiet().await;
    assert!(ask(&ann, here, "reply", json!({})).await.contains("will speak"));
    reply_after(&discord, here, more).await;
    assert_eq!(home.line(here).await.len(), 6);
    #[expect(clippy::print_stdout, reason = "the figure that was measured")]
    {
        println!("a refusal was seen after {took:?}");
    }
    assert!(serve.stop().await.0.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_marked_until_the_reply_begins_or_is_called_off() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let lobby = guild.text_channel("lobby");
    let ann = guild.member("ann");
    let home = Home::new().await;
    let serve = home.serve(&discord).await;
    let thread = begin(&discord, &home, &ann, lobby).await;

    change(&home, REST, thread).await;
    let began = Instant::now();
    let said = ann.say(thread, "Good morning.");
    until_marked(&discord, said, WAITS, true).await;
    assert!(began.elapsed() >= Duration::from_millis(2_900), "{:?}", began.elapsed());
    let place = ask(&ann, thread, "queue", json!({})).await;
    assert!(place.contains("rests"), "{place}");
    change(&home, GO_ON, thread).await;
    reply_after(&discord, thread, said).await;
    until_marked(&discord, said, WAITS, false).await;
    home.quiet().await;

    // One that is answered at once gets no mark.
    let quick = ann.say(thread, "And now?");
    reply_after(&discord, thread, quick).await;
    home.quiet().await;

    // Discord fails: nothing else does.
    change(&home, REST, thread).await;
    let off = ann.say(thread, "Wait.");
    until_marked(&discord, off, WAITS, true).await;
    ask(&ann, thread, "stop", json!({})).await;
    until_marked(&discord, off, WAITS, false).await;
    let left = ann.say(thread, "Good night.");
    until_marked(&discord, left, WAITS, true).await;
    assert!(serve.stop().await.0.success());
    until_marked(&discord, left, WAITS, false).await;
    let marks = discord
        .requests()
        .into_iter()
        .filter(|one| one.method == "PUT" && one.path.contains(&quick.id.to_string()));
    assert_eq!(marks.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_in_the_queue_is_shown_while_others_are_answered() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let lobby = guild.text_channel("lobby");
    let (ann, ben) = (guild.member("ann"), guild.member("ben"));
    let mut home = Home::new().await;
    home.set("engine.max_batch_sequences=1");
    // However soon the model would end, these take long enough to wait for.
    home.set("generation.length=humongous");
    home.set("generation.lengths.humongous=[500, 590]");
    home.set("generation.max_tokens.humongous=600");
    let serve = home.serve(&discord).await;
    let mut threads = Vec::new();
    for _ in 0..3 {
        threads.push(begin(&discord, &home, &ann, lobby).await);
    }
    let last = threads[2];
    ann.say(threads[0], "Tell me everything.");
    ann.say(threads[1], "Tell me everything.");
    discord
        .wait_until(PATIENCE, |world| {
            threads[..2]
                .iter()
                .any(|&thread| world.seen(thread).iter().any(|message| has_button(message, "Stop")))
        })
        .await;
    let said = ben.say(last, "And me?");
    until_waiting(&home, 1).await;
    let place = ask(&ben, last, "queue", json!({})).await;
    for part in ["comes next", "2 replies are being written", "1 waits"] {
        assert!(place.contains(part), "{place}");
    }
    let status = ask(&ben, last, "scene status", json!({})).await;
    assert!(status.contains("comes next"), "{status}");
    until_marked(&discord, said, WAITS, true).await;
    for &thread in &threads[..2] {
        ask(&ann, thread, "stop", json!({})).await;
    }
    until_marked(&discord, said, WAITS, false).await;
    ask(&ben, last, "stop", json!({})).await;
    assert!(serve.stop().await.0.success());
}
