//! Commands, buttons, menus and forms, as people use them.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::Connection;

use crate::support::discord::answer::{Answer, AnswerKind};
use crate::support::discord::faults::{Fault, Trouble};
use crate::support::discord::people::Person;
use crate::support::discord::{ChannelId, Discord};

use super::scene::{replies, reply_after, reply_at_end};
use super::serve::{Home, PATIENCE};

/// Discord's limit for the first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(3);

/// What somebody is told, which nobody else sees.
pub(super) async fn told(answer: Answer) -> String {
    let message = answer.settled(PATIENCE).await;
    assert!(message.is_ephemeral, "everybody sees {message:?}");
    assert!(answer.after().unwrap() < FIRST_ANSWER, "{:?}", answer.after());
    message.content
}

pub(super) async fn ask(
    person: &Person,
    channel: ChannelId,
    path: &str,
    options: serde_json::Value,
) -> String {
    told(person.command(channel, path, options).await).await
}

/// Waits until something is so that cannot be looked at under the double's lock.
pub(super) async fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never is so");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the turn of the newest reply in a channel has so many texts.
async fn swipes(home: &Home, channel: ChannelId, wanted: usize) -> Vec<(String, Option<String>)> {
    for _ in 0..900 {
        let swipes: Vec<(String, Option<String>)> = sqlx::query_as(
            "SELECT swipe.text, swipe.receipt ->> 'length' FROM swipe
             JOIN scene ON scene.head_turn_id = swipe.turn_id
             WHERE scene.channel = $1 ORDER BY ordinal",
        )
        .bind(channel.0.to_string())
        .fetch_all(&home.database.pool)
        .await
        .unwrap();
        if swipes.len() == wanted {
            return swipes;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("there are never {wanted} texts\n{}", home.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scene_is_begun_tuned_and_ended_by_commands() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let lobby = guild.text_channel("lobby");
    let (ann, ben) = (guild.member("ann"), guild.member("ben"));
    let home = Home::new().await;
    let serve = home.serve(&discord).await;

    // Names are completed and looked up again; what is not there is refused.
    let offered = ann.autocomplete(lobby, "scene start", "character", "tam").await;
    assert_eq!(offered.iter().map(|choice| choice.name.as_str()).collect::<Vec<_>>(), ["Tamsin"]);
    let unknown = ask(&ann, lobby, "scene start", json!({ "character": "Nobody" })).await;
    assert!(unknown.contains("no character “Nobody”"), "{unknown}");
    let nothing = ask(&ann, lobby, "undo", json!({})).await;
    assert!(nothing.contains("/scene start begins one"), "{nothing}");

    let options = json!({
        "character": "Tamsin", "with": "Maren Holt", "title": "Nine thousand", "length": "tiny",
    });
    let begun = ask(&ann, lobby, "scene start", options).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    assert!(begun.contains(&format!("<#{}>", thread.0)), "{begun}");
    let greeting = reply_at_end(&discord, thread).await;
    assert_eq!(greeting.author, "Tamsin");
    let again = ask(&ann, thread, "scene start", json!({})).await;
    assert!(again.contains("already"), "{again}");

    // Who has said nothing plays no part, and is told so.
    let refused = ask(&ben, thread, "length", json!({ "length": "long" })).await;
    assert!(refused.contains("for those who play in the scene"), "{refused}");
    let length = ask(&ben, thread, "length", json!({})).await;
    assert!(length.contains("tiny"), "{length}");

    for (path, options, expected) in [
        ("length", json!({ "length": "micro" }), "micro from now on"),
        ("length", json!({ "length": "auto", "for": "Maren Holt" }), "as long as the scene"),
        ("cast length", json!({ "character": "Maren Holt", "length": "micro" }), "micro"),
        ("cast remove", json!({ "character": "Maren Holt" }), "has left the scene"),
        ("cast remove", json!({ "character": "Tamsin" }), "nobody to answer"),
        ("cast add", json!({ "character": "bastian" }), "Bastian Quill is in the scene"),
        ("cast list", json!({}), "Bastian Quill"),
        ("preset choose", json!({ "name": "nonsense" }), "no preset “nonsense”"),
        ("note", json!({ "text": "It rains.", "depth": 1 }), "one turn before the end"),
        ("note", json!({ "clear": true }), "no note"),
        ("scene scenario", json!({ "text": "The sleepers wake." }), "what happens"),
        ("persona set", json!({ "name": "Tamsin" }), "already"),
        ("persona set", json!({ "name": "Ash", "scope": "here" }), "You play Ash in this scene"),
        ("persona show", json!({}), "Ash"),
        ("why", json!({}), "o model wrote that"),
        ("context", json!({}), "tokens"),
        ("character show", json!({ "character": "Tamsin" }), "Tamsin"),
        ("character list", json!({}), "Bastian Quill"),
        ("help", json!({}), "/scene"),
        ("undo", json!({}), "nothing to take back"),
    ] {
        let said = ask(&ann, thread, path, options).await;
        assert!(said.contains(expected), "/{path}: {said}");
    }

    // A reply is asked for; the buttons under it re-roll with the next tag.
    let options = json!({ "character": "Bastian Quill", "length": "micro" });
    ask(&ann, thread, "reply", options).await;
    let reply = reply_after(&discord, thread, greeting.id).await;
    assert_eq!(reply.author, "Bastian Quill");
    assert_eq!(ann.press(reply.id, "Longer").await.kind(), AnswerKind::DeferredUpdate);
    let texts = swipes(&home, thread, 2).await;
    assert_eq!(texts[1].1.as_deref(), Some("tiny"));
    home.quiet().await;
    let why = ask(&ann, thread, "why", json!({})).await;
    assert!(why.contains("tiny"), "{why}");

    // Ending asks twice, closes the thread, and leaves the story readable.
    let no = ask(&ben, thread, "scene end", json!({})).await;
    assert!(no.contains("the person who began the scene"), "{no}");
    let question = ann.command(thread, "scene end", json!({})).await;
    let asked = question.settled(PATIENCE).await;
    let yes = ann.press(asked.id, "Yes, really").await;
    assert_eq!(yes.kind(), AnswerKind::DeferredUpdate);
    discord
        .wait_until(PATIENCE, |world| world.channels[&thread.0].thread.as_ref().unwrap().archived)
        .await;
    assert!(question.text().contains("is over") && question.seen().unwrap().buttons.is_empty());
    guild.unarchive(thread);
    let over = ask(&ann, thread, "undo", json!({})).await;
    assert!(over.contains("o scene is being played"), "{over}");
    let export = ann.command(thread, "scene export", json!({ "format": "json" })).await;
    let export = export.settled(PATIENCE).await;
    assert_eq!(export.files, ["nine-thousand.json"]);
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn characters_are_made_changed_and_deleted_with_forms() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let lobby = guild.text_channel("lobby");
    let (ann, ben) = (guild.member("ann"), guild.member("ben"));
    let home = Home::new().await;
    let serve = home.serve(&discord).await;

    let form = ann.command(lobby, "character create", json!({})).await;
    assert_eq!(form.fields().len(), 5);
    let fields = [("name", "Odd  Fellow"), ("description", "A tall man."), ("greeting", "Hm.")];
    let made = told(ann.submit(&form, &fields).await).await;
    assert!(made.contains("Odd Fellow"), "{made}");
    let taken = ann.command(lobby, "character create", json!({})).await;
    let taken = told(ann.submit(&taken, &[("name", "odd fellow")]).await).await;
    assert!(taken.contains("already"), "{taken}");
    let offered = ben.autocomplete(lobby, "character show", "character", "fell").await;
    assert_eq!(offered[0].name, "Odd Fellow");

    // What stood there stands in the form; what the form does not show stays.
    let options = json!({ "character": "Odd Fellow", "part": "manner" });
    let form = ann.command(lobby, "character edit", options).await;
    let bad = [("avatar", "http://example.org/odd.png")];
    let refused = told(ann.submit(&form, &bad).await).await;
    assert!(refused.contains("Nothing was changed"), "{refused}");
    let good = [("avatar", "https://example.org/odd.png"), ("nickname", "Odd")];
    told(ann.submit(&form, &good).await).await;
    let form = ann.command(lobby, "character edit", json!({ "character": "Odd Fellow" })).await;
    let fields = form.fields();
    assert_eq!(fields[1].value, "A tall man.");
    let shown = ask(&ben, lobby, "character show", json!({ "character": "Odd Fellow" })).await;
    assert!(shown.contains("A tall man") && shown.contains("Odd"), "{shown}");

    // Those who made a character change it, and moderators; others are told so.
    for path in ["character edit", "character delete"] {
        let answer = ben.command(lobby, path, json!({ "character": "Odd Fellow" })).await;
        let refused = told(answer).await;
        assert!(refused.contains("omebody else made that character"), "{refused}");
    }
    let question =
        ann.command(lobby, "character delete", json!({ "character": "Odd Fellow" })).await;
    let asked = question.settled(PATIENCE).await;
    ann.press(asked.id, "Rather not").await;
    until(|| question.text().contains("Nothing was changed")).await;
    let question =
        ann.command(lobby, "character delete", json!({ "character": "Odd Fellow" })).await;
    ann.press(question.settled(PATIENCE).await.id, "Yes, really").await;
    until(|| question.text().contains("has left this server")).await;
    assert!(ben.autocomplete(lobby, "character show", "character", "fell").await.is_empty());
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_are_edited_rewound_and_reported_from_the_menu() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let (lobby, reports) = (guild.text_channel("lobby"), guild.text_channel("reports"));
    let (mo, ann, ben) = (guild.administrator("Mo"), guild.member("ann"), guild.member("ben"));
    let home = Home::new().await;
    let serve = home.serve(&discord).await;
    ask(&mo, lobby, "setup reports", json!({ "channel": reports.0.to_string() })).await;
    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    let greeting = reply_at_end(&discord, thread).await;
    let said = ann.say(thread, "Good morning.");
    let reply = reply_after(&discord, thread, greeting.id).await;

    // A message that is no turn is told to be none, or that nothing is played there.
    let stray = mo.say(lobby, "Nothing of the story.");
    let none = told(ann.message_menu(stray, "Edit").await).await;
    assert!(none.contains("o scene is being played here"), "{none}");
    let line = guild.bot_member("parrot").say(thread, "Nothing of the story.");
    let none = told(ann.message_menu(line, "Edit").await).await;
    assert!(none.contains("no turn"), "{none}");

    // One's own turn and the characters' are edited, others' are not.
    let form = ann.message_menu(said, "Edit").await;
    assert_eq!(form.fields()[0].value, "Good morning.");
    told(ann.submit(&form, &[("text", "Good evening.")]).await).await;
    home.line_until(thread, |line| line[1].1 == "Good evening.").await;
    let form = ann.message_menu(reply.id, "Edit").await;
    told(ann.submit(&form, &[("text", "Evening, @everyone.")]).await).await;
    discord
        .wait_until(PATIENCE, |world| {
            world.seen(thread).iter().any(|message| message.content == "Evening, @everyone.")
        })
        .await;
    let refused = told(ben.message_menu(said, "Edit").await).await;
    assert!(refused.contains("omebody else wrote that"), "{refused}");

    // What a reply was made of; no model wrote what a person put there.
    let seen = told(ann.message_menu(reply.id, "What did it see").await).await;
    assert!(seen.contains("o model wrote"), "{seen}");

    // A report is told, and pings nobody.
    let form = ben.press(reply.id, "Report").await;
    told(ben.submit(&form, &[("reason", "It shouts @everyone\nat us.")]).await).await;
    let report = discord.wait_for(PATIENCE, |world| world.seen(reports).pop()).await;
    assert!(report.content.contains("> at us.") && !report.pinged_everyone, "{report:?}");
    assert!(report.content.contains(&reply.id.id.to_string()), "a link: {report:?}");
    assert!(report.pinged.is_empty());

    // Rewinding is for the one who began, and can be undone.
    let refused = told(ben.message_menu(greeting.id, "Rewind to here").await).await;
    assert!(refused.contains("began the scene"), "{refused}");
    told(ann.message_menu(greeting.id, "Rewind to here").await).await;
    home.line_until(thread, |line| line.len() == 1).await;
    until(|| replies(&discord, thread).len() == 1).await;
    ask(&ann, thread, "undo", json!({})).await;
    home.line_until(thread, |line| line.len() == 3).await;
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_set_up_decides_where_scenes_begin_and_by_whom() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let (lobby, stage) = (guild.text_channel("lobby"), guild.text_channel("stage"));
    let forum = guild.forum("stories", &["Tamsin", "short", "spoilers"]);
    let writers = guild.role("writers", 0);
    let (mo, ann) = (guild.administrator("Mo"), guild.member("ann"));
    let will = guild.member_with("will", &[writers]);
    let home = Home::new().await;
    let serve = home.serve(&discord).await;

    let id = |channel: ChannelId| channel.0.to_string();
    let wrong = json!({ "channel": id(stage), "scenes": "post" });
    let wrong = ask(&mo, lobby, "setup channel", wrong).await;
    assert!(wrong.contains("forum"), "{wrong}");
    let options = json!({ "channel": id(stage), "scenes": "channel", "character": "Tamsin" });
    ask(&mo, lobby, "setup channel", options).await;
    let options = json!({ "channel": id(forum), "role": writers.to_string(), "length": "tiny" });
    ask(&mo, lobby, "setup channel", options).await;

    let refused = ask(&ann, lobby, "scene start", json!({})).await;
    assert!(refused.contains("/setup channel"), "{refused}");
    ask(&ann, stage, "scene start", json!({})).await;
    assert_eq!(reply_at_end(&discord, stage).await.author, "Tamsin", "the channel is the scene");

    // Others post as they like; those who may begin scenes begin one, however often
    // they are heard.
    discord.gateway().duplicate(true);
    let chat = ann.post(forum, "Chatter", "Who is on tonight?", &[]);
    let post = will.post(forum, "The wake", "Nine thousand wake at once.", &["Tamsin", "short"]);
    assert_eq!(reply_at_end(&discord, post).await.author, "Tamsin");
    discord.gateway().duplicate(false);
    home.quiet().await;
    let scenes: Vec<(String, String, Option<String>, String)> =
        sqlx::query_as("SELECT channel, title, length, scenario FROM scene ORDER BY id")
            .fetch_all(&home.database.pool)
            .await
            .unwrap();
    assert_eq!(scenes.len(), 2, "{scenes:?}");
    let (title, length) = ("The wake".to_owned(), Some("short".to_owned()));
    assert_eq!(scenes[1], (id(post), title, length, "Nine thousand wake at once.".to_owned()));
    assert_eq!(discord.messages(chat).len(), 1, "nothing is said in a post that is no scene");
    assert_eq!(replies(&discord, post).len(), 1);
    assert_eq!(home.line(post).await.len(), 1, "the post is no turn");
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interactions_are_answered_in_time_and_once() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let lobby = guild.text_channel("lobby");
    let ann = guild.member("ann");
    let home = Home::new().await;
    let serve = home.serve(&discord).await;
    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    let greeting = reply_at_end(&discord, thread).await;

    // The database stands still: everything is acknowledged all the same.
    let url = home.database.url();
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let mut held = connection.begin().await.unwrap();
    for table in ["guild_settings", "character", "scene"] {
        let lock = format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
        sqlx::query(sqlx::AssertSqlSafe(lock)).execute(&mut *held).await.unwrap();
    }
    let waiting = ann.command(thread, "length", json!({ "length": "tiny" })).await;
    assert_eq!(waiting.kind(), AnswerKind::Deferred);
    assert!(ann.autocomplete(thread, "scene start", "character", "Ta").await.is_empty());
    let form = ann.command(thread, "note", json!({})).await;
    assert_eq!(form.kind(), AnswerKind::Message);
    assert!(form.text().contains("Try again"), "{}", form.text());
    let pressed = ann.press(greeting.id, "▶️").await;
    assert_eq!(pressed.kind(), AnswerKind::DeferredUpdate);
    held.rollback().await.unwrap();
    assert!(told(waiting).await.contains("tiny from now on"));

    // Delivered twice, an interaction is done once.
    discord.gateway().duplicate(true);
    let said = ann.say(thread, "Good morning.");
    let reply = reply_after(&discord, thread, said).await;
    ann.press(reply.id, "Again").await;
    swipes(&home, thread, 2).await;
    home.quiet().await;
    swipes(&home, thread, 2).await;
    discord.gateway().duplicate(false);

    // The answer is cut after it arrived: the interaction is ours, and is done.
    let callback = "POST /interactions/*/*/callback";
    discord.fault(Fault::on(callback, Trouble::CutAfter).times(1));
    assert!(ask(&ann, thread, "length", json!({ "length": "short" })).await.contains("short"));
    serve.stop().await;
}
