//! People are asked before they are heard, and draw lines, through the real binary.

use serde_json::json;

use super::commands::{ask, until};
use super::scene::{has_button, reply_at_end};
use super::serve::{PATIENCE, Skerry};
use crate::support::discord::seen::SeenMessage;
use crate::support::discord::{ChannelId, Discord, MessageId};

const CANARY: &str = "The heron of Velmora sleeps.";

/// The questions that wait in a channel.
fn questions(messages: Vec<SeenMessage>) -> Vec<SeenMessage> {
    messages.into_iter().filter(|message| has_button(message, "I agree")).collect()
}

/// The question that is put in a channel.
async fn asked_in(discord: &Discord, channel: ChannelId) -> SeenMessage {
    discord.wait_for(PATIENCE, |world| questions(world.seen(channel)).pop()).await
}

/// Waits until a message bears the mark of those that are not taken.
async fn not_taken(discord: &Discord, channel: ChannelId, message: MessageId) {
    discord
        .wait_until(PATIENCE, |world| {
            let seen = world.seen(channel);
            let found = seen.iter().find(|seen| seen.id == message).unwrap();
            found.reactions.iter().any(|(emoji, _)| emoji.starts_with('⚠'))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_heard_before_they_agreed() {
    let Skerry { discord, guild: _guild, lobby, mo, ann, ben, home, serve } =
        Skerry::asking().await;

    // By command only whoever asked sees the question.
    let start = json!({ "character": "Tamsin" });
    let question = ann.command(lobby, "scene start", start.clone()).await;
    let asked = question.settled(PATIENCE).await;
    assert!(asked.is_ephemeral && asked.content.contains("Before I take anything"), "{asked:?}");
    assert!(home.channels_of_scenes().await.is_empty(), "no scene began");
    ann.press(asked.id, "I agree").await;
    until(|| question.text().starts_with("You agree")).await;
    ask(&ann, lobby, "scene start", start).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    reply_at_end(&discord, thread).await;
    ann.say(thread, "Hello, Tamsin.");
    home.line_until(thread, |line| line.len() == 3).await;
    home.quiet().await;

    // In a channel they are asked once, and nobody else is pinged.
    ben.say(thread, CANARY);
    let asked = asked_in(&discord, thread).await;
    assert_eq!((asked.pinged.as_slice(), asked.pinged_everyone), (&[ben.id][..], false));
    assert!(asked.content.contains("/privacy optout"), "{}", asked.content);
    let second = ben.say(thread, "Anybody?");
    not_taken(&discord, thread, second).await;
    assert_eq!(questions(discord.messages(thread)).len(), 1);
    assert_eq!(home.line(thread).await.len(), 3, "nothing of it was taken");

    // Nobody answers for another.
    let pressed = ann.press(asked.id, "I agree").await;
    until(|| pressed.followups().iter().any(|it| it.content.contains("omebody else"))).await;
    assert_eq!(home.line(thread).await.len(), 3);
    ben.press(asked.id, "I agree").await;
    let line = home.line_until(thread, |line| line.len() == 5).await;
    assert_eq!(line[3], ("Ben".to_owned(), CANARY.to_owned()), "what waited is taken");
    home.quiet().await;
    assert!(questions(discord.messages(thread)).is_empty(), "the question is answered");

    // Who says no is left alone, until they say otherwise.
    mo.say(thread, "I moderate here.");
    let asked = asked_in(&discord, thread).await;
    mo.press(asked.id, "No thanks").await;
    until(|| questions(discord.messages(thread)).is_empty()).await;
    let more = mo.say(thread, "And now?");
    not_taken(&discord, thread, more).await;

    // What is withdrawn is asked for again by their own command alone.
    let out = ask(&ben, thread, "privacy optout", json!({})).await;
    assert!(out.contains("not heard any more"), "{out}");
    let more = ben.say(thread, "Psst.");
    not_taken(&discord, thread, more).await;
    assert!(questions(discord.messages(thread)).is_empty());
    let question = ben.command(thread, "privacy optin", json!({})).await;
    let asked = question.settled(PATIENCE).await;
    assert!(asked.content.contains("Before I take anything"), "{}", asked.content);
    ben.press(asked.id, "I agree").await;
    until(|| question.text().starts_with("You agree")).await;
    ben.say(thread, "Here I am.");
    home.line_until(thread, |line| line.iter().any(|(_, text)| text == "Here I am.")).await;

    // The community may see to it by other means.
    let set = ask(&mo, lobby, "setup consent", json!({ "people": "assumed" })).await;
    assert!(set.contains("Nobody is asked"), "{set}");
    let shown = ask(&mo, lobby, "setup show", json!({})).await;
    assert!(shown.contains("Nobody is asked"), "{shown}");
    home.quiet().await;
    assert!(!home.log().contains("Velmora"), "no log holds what people say");
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forums_post_waits_for_its_authors_word() {
    let Skerry { discord, guild, lobby, mo, ann, ben: _ben, home, serve } = Skerry::asking().await;
    let stories = guild.forum("stories", &["Maren Holt"]);
    let options = json!({ "channel": stories.0.to_string(), "scenes": "post" });
    ask(&mo, lobby, "setup channel", options).await;
    let post = ann.post(stories, "The lamp", "The lamp went out at midnight.", &["Maren Holt"]);
    let asked = asked_in(&discord, post).await;
    assert!(home.channels_of_scenes().await.is_empty(), "no scene began");
    ann.press(asked.id, "I agree").await;
    discord
        .wait_until(PATIENCE, |world| {
            world.seen(post).iter().any(|message| has_button(message, "Continue"))
        })
        .await;
    let status = ask(&ann, post, "scene status", json!({})).await;
    assert!(status.contains("The lamp went out"), "{status}");
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_drawn_by_command_and_nobody_learns_whose_they_are() {
    let Skerry { discord, guild: _guild, lobby, mo: _mo, ann, ben, home, serve } =
        Skerry::open().await;
    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    reply_at_end(&discord, thread).await;
    let none = ask(&ben, thread, "lines show", json!({})).await;
    assert!(none.contains("no lines or veils"), "{none}");

    let spiders = json!({ "kind": "line", "text": "**spiders**" });
    let drawn = ask(&ann, thread, "lines add", spiders).await;
    assert!(drawn.contains("nobody is told whose it is"), "{drawn}");
    let veil = json!({ "kind": "veil", "text": "surgery", "for": "scene" });
    let refused = ask(&ben, thread, "lines add", veil.clone()).await;
    assert!(refused.contains("play in the scene"), "{refused}");
    let drawn = ask(&ann, thread, "lines add", veil).await;
    assert!(drawn.contains("this scene, whoever plays"), "{drawn}");

    let shown = ask(&ann, thread, "lines show", json!({})).await;
    assert!(shown.contains("Yours") && !shown.contains("Someone's"), "{shown}");
    let shown = ask(&ben, thread, "lines show", json!({})).await;
    assert!(shown.contains("Someone's:\nline: \\*\\*spiders\\*\\*"), "{shown}");
    assert!(shown.contains("veil: surgery") && !shown.contains("Ann"), "{shown}");
    let elsewhere = ask(&ben, lobby, "lines show", json!({})).await;
    assert!(!elsewhere.contains("spiders"), "{elsewhere}");
    let context = ask(&ann, thread, "context", json!({})).await;
    assert!(context.contains("lines and veils"), "{context}");
    let kept = ask(&ann, thread, "privacy show", json!({})).await;
    assert!(kept.contains("1 lines and veils"), "{kept}");

    let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM boundary ORDER BY id")
        .fetch_all(&home.database.pool)
        .await
        .unwrap();
    let refused = ask(&ben, thread, "lines remove", json!({ "number": ids[0] })).await;
    assert!(refused.contains("play in the scene"), "{refused}");
    for id in ids {
        let gone = ask(&ann, thread, "lines remove", json!({ "number": id })).await;
        assert!(gone.contains("is gone"), "{gone}");
    }
    let none = ask(&ann, thread, "lines show", json!({})).await;
    assert!(none.contains("no lines or veils"), "{none}");
    serve.stop().await;
}
