//! What waits for moderators, in the log channel and without one, and `/mod purge`,
//! through the real binary.

use serde_json::json;

use super::commands::{ask, until};
use super::scene::{replies, reply_at_end};
use super::serve::{PATIENCE, Skerry};
use crate::support::discord::seen::SeenMessage;
use crate::support::discord::{ChannelId, Discord, MessageId};

const RULES: &[u8] =
    b"characters = 'reviewed'\n[[words]]\nterms = ['black salt']\nverdict = 'hold'\n";

/// Waits for the post of the log that begins so and holds that.
async fn logged(discord: &Discord, log: ChannelId, case: u32, holds: &str) -> SeenMessage {
    let begin = format!("**{case}**");
    discord
        .wait_for(PATIENCE, |world| {
            let posts = world.seen(log).into_iter();
            { posts }.find(|post| post.content.starts_with(&begin) && post.content.contains(holds))
        })
        .await
}

fn has_mark(discord: &Discord, channel: ChannelId, message: MessageId, mark: &str) -> bool {
    let messages = discord.messages(channel);
    let found = messages.iter().find(|it| it.id == message).expect("it is there");
    found.reactions.iter().any(|(given, _)| given == mark)
}

#[tokio::test(flavor = "multi_thread")]
async fn moderators_decide_in_the_log_and_the_posts_tell_what_became_of_it() {
    let Skerry { discord, guild, lobby, mo, ann, ben, home, serve } = Skerry::open().await;
    let log = guild.text_channel("log");
    let rules = mo.attach("policy.toml", RULES);
    ask(&mo, lobby, "policy import", json!({ "file": rules })).await;
    ask(&mo, lobby, "setup reports", json!({ "channel": log.0.to_string() })).await;
    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    reply_at_end(&discord, thread).await;

    let said = ann.say(thread, "Sell me some black salt.");
    let post = logged(&discord, log, 1, "> Sell me some black salt.").await;
    assert!(post.content.contains(&ann.mention()) && post.pinged.is_empty(), "{}", post.content);
    assert!(post.content.contains("message: black salt"), "{}", post.content);
    until(|| has_mark(&discord, thread, said, "🔎")).await;
    assert_eq!(home.line(thread).await.len(), 1);
    // What its person makes of it meanwhile is what waits.
    ann.edit(said, "Sell me a little black salt.");
    logged(&discord, log, 1, "> Sell me a little black salt.").await;

    let refused = ben.press(post.id, "Approve").await;
    until(|| refused.followups().iter().any(|it| it.content.contains("for moderators"))).await;
    let warned = mo.press(post.id, "Warn").await;
    until(|| warned.followups().iter().any(|it| it.content.starts_with("Case 2"))).await;
    logged(&discord, log, 1, "warn by").await;
    let late = mo.press(post.id, "Approve").await;
    until(|| late.followups().iter().any(|it| it.content.contains("approved"))).await;
    let line = home.line_until(thread, |line| line.len() >= 2).await;
    assert_eq!(line[1].1, "Sell me a little black salt.");
    let decided = logged(&discord, log, 1, "approved").await;
    assert!(decided.buttons.is_empty() && decided.content.contains(&mo.mention()), "{decided:?}");
    until(|| !has_mark(&discord, thread, said, "🔎")).await;
    home.quiet().await;

    // Edited by a moderator; the rules read it again.
    ann.say(thread, "All the black salt!");
    let post = logged(&discord, log, 3, "All the").await;
    let form = mo.press(post.id, "Edit").await;
    mo.submit(&form, &[("text", "All the salt!")]).await;
    home.line_until(thread, |line| line.iter().any(|(_, text)| text == "All the salt!")).await;
    logged(&discord, log, 3, "approved, edited").await;
    home.quiet().await;

    let said = ann.say(thread, "Then black salt for the dog.");
    let post = logged(&discord, log, 4, "the dog").await;
    mo.press(post.id, "Reject").await;
    logged(&discord, log, 4, "rejected").await;
    until(|| has_mark(&discord, thread, said, "⚠️")).await;
    until(|| discord.messages(thread).iter().any(|it| it.content.contains("(case 4)"))).await;
    let appeal = ask(&ann, thread, "appeal", json!({ "case": 4, "text": "He likes it." })).await;
    assert!(appeal.contains("open again"), "{appeal}");
    let again = logged(&discord, log, 4, "He likes it.").await;
    assert!(!again.buttons.is_empty(), "it can be decided again");

    // The queue shows the same to whoever asks, and only to them.
    let listed = ask(&mo, lobby, "mod queue", json!({})).await;
    assert!(listed.starts_with("**4**"), "{listed}");
    let opened = mo.command(lobby, "mod queue", json!({ "case": 4 })).await;
    let opened = opened.settled(PATIENCE).await;
    assert!(opened.is_ephemeral && opened.buttons.len() == 6, "{opened:?}");
    mo.press(opened.id, "Mute").await;
    logged(&discord, log, 4, "block by").await;
    mo.press(opened.id, "Reject").await;
    logged(&discord, log, 4, "rejected").await;
    let second = mo.press(opened.id, "Approve").await;
    let who = mo.mention();
    until(|| {
        second
            .followups()
            .iter()
            .any(|it| it.content.contains("already") && it.content.contains(&who))
    })
    .await;
    assert!(!home.log().contains("black salt"), "no log of ours holds what people say");

    // A member's character waits; it can be cast once it was approved.
    let form = ben.command(lobby, "character create", json!({})).await;
    let told = ben.submit(&form, &[("name", "Oda"), ("description", "She mends nets.")]).await;
    let told = told.settled(PATIENCE).await.content;
    assert!(told.starts_with("Moderators look at Oda first (case "), "{told}");
    let refused = ask(&ben, lobby, "scene start", json!({ "character": "Oda" })).await;
    assert!(refused.contains("no character “Oda”"), "{refused}");
    let post = discord
        .wait_for(PATIENCE, |world| {
            let mut posts = world.seen(log).into_iter();
            posts.find(|post| post.content.contains("+She mends nets."))
        })
        .await;
    assert!(post.content.contains("```diff"), "{}", post.content);
    mo.press(post.id, "Approve").await;
    until(|| discord.messages(lobby).iter().any(|it| it.content.contains("Oda is known"))).await;
    let shown = ask(&ben, lobby, "character show", json!({ "character": "Oda" })).await;
    assert!(shown.contains("She mends nets."), "{shown}");

    // A lorebook waits, and all of it can be read, however long it is.
    let long = format!("{} And black salt.", "The mine is deep. ".repeat(100));
    let entry = json!({ "book": "Mines", "keys": "mine", "text": long });
    let told = ask(&ben, lobby, "lore add", entry).await;
    assert!(told.contains("first (case "), "{told}");
    let case = told.split_once("(case ").unwrap().1.split_once(')').unwrap().0;
    let case: i64 = case.parse().unwrap();
    let opened = mo.command(lobby, "mod queue", json!({ "case": case })).await;
    let opened = opened.settled(PATIENCE).await;
    assert!(opened.content.contains("cut: /mod queue") && !opened.content.contains("black salt."));
    assert_eq!(opened.files, [format!("case-{case}.txt"), format!("case-{case}.json")]);
    mo.press(opened.id, "Approve").await;
    until(|| discord.messages(lobby).iter().any(|it| it.content.contains("is on this server")))
        .await;
    let listed = ask(&ben, lobby, "lore list", json!({})).await;
    assert!(listed.contains("Mines"), "{listed}");
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_asks_first_and_takes_turns_and_messages_with_it() {
    let Skerry { discord, guild: _guild, lobby, mo, ann, ben, home, serve } = Skerry::open().await;
    let allowed = mo.attach("policy.toml", b"rating = 'mature'\n");
    ask(&mo, lobby, "policy import", json!({ "file": allowed })).await;
    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    reply_at_end(&discord, thread).await;
    for (number, text) in ["One.", "Two."].into_iter().enumerate() {
        ann.say(thread, text);
        home.line_until(thread, |line| line.len() == 2 * number + 3).await;
        home.quiet().await;
    }
    ben.say(thread, "Three.");
    home.line_until(thread, |line| line.len() == 7).await;
    home.quiet().await;
    let refused = ask(&ann, thread, "mod purge", json!({ "last": 2 })).await;
    assert_eq!(refused, "That is for moderators.");
    let unsaid = ask(&mo, thread, "mod purge", json!({})).await;
    assert!(unsaid.contains("how many"), "{unsaid}");

    let asked = mo.command(thread, "mod purge", json!({ "last": 2 })).await;
    let asked = asked.settled(PATIENCE).await;
    assert!(asked.content.contains("2 turns"), "{}", asked.content);
    let before = replies(&discord, thread).len();
    mo.press(asked.id, "Yes, really").await;
    home.line_until(thread, |line| line.len() == 5).await;
    until(|| replies(&discord, thread).len() == before - 2).await;
    home.quiet().await;

    let of_ann = json!({ "person": ann.id.to_string(), "hours": 2 });
    let asked = mo.command(thread, "mod purge", of_ann).await.settled(PATIENCE).await;
    mo.press(asked.id, "Yes, really").await;
    let line = home.line_until(thread, |line| line.len() == 3).await;
    assert!(line.iter().all(|(_, text)| text != "One." && text != "Two."), "{line:?}");
    until(|| discord.messages(thread).iter().all(|it| it.content != "One.")).await;
    assert!(discord.messages(thread).iter().any(|it| it.content == "Three."));
    home.quiet().await;
    let bulk = discord.requests().iter().filter(|it| it.path.ends_with("/bulk-delete")).count();
    assert!(bulk >= 1, "many go in one request");
    let history = ask(&mo, thread, "mod history", json!({})).await;
    assert_eq!(history.matches("purge").count(), 2, "{history}");
    serve.stop().await;
}
