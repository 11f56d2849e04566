//! Dice: everybody sees what fell, and the story knows it.

use serde_json::json;

use super::commands::ask;
use super::scene::{has_button, replies, reply_after, reply_at_end};
use super::serve::{PATIENCE, Skerry};

#[tokio::test(flavor = "multi_thread")]
async fn dice_fall_for_everybody_and_are_a_turn() {
    let Skerry { discord, guild: _guild, lobby, mo, ann, ben, home, serve } = Skerry::open().await;
    let refused = ask(&ben, lobby, "roll", json!({ "dice": "d20" })).await;
    assert!(refused.contains("/scene start begins one"), "{refused}");
    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    let greeting = reply_at_end(&discord, thread).await;

    for dice in ["dice", "9999d6", "2d999999", "0d6", "d", "2d6kh3"] {
        let refused = ask(&ben, thread, "roll", json!({ "dice": dice })).await;
        assert!(refused.contains("names no dice"), "{dice}: {refused}");
    }
    assert_eq!(discord.messages(thread).last().unwrap().id, greeting.id, "nothing fell");

    let reason = format!("to climb, @everyone {} *boldly*", ann.mention());
    let options = json!({ "dice": "2d6+1", "reason": reason });
    ask(&ben, thread, "roll", options).await;
    let fell = discord.messages(thread).pop().unwrap();
    assert!(fell.content.starts_with("🎲 Ben *rolls 2d6+1: "), "{fell:?}");
    assert!(!fell.is_ephemeral && fell.author_is_bot && fell.webhook.is_none(), "{fell:?}");
    assert!(fell.pinged.is_empty() && !fell.pinged_everyone, "{fell:?}");
    let line = home.line(thread).await;
    let (name, text) = line.last().unwrap();
    assert_eq!(name, "Ben");
    assert_eq!(fell.content, format!("🎲 Ben {text}"));

    // Nobody answers by themselves; what stood before is not the latest any more.
    home.quiet().await;
    assert_eq!(replies(&discord, thread).len(), 1);
    discord
        .wait_until(PATIENCE, |world| {
            !world.seen(thread).iter().any(|message| has_button(message, "Continue"))
        })
        .await;

    // The next reply is told of it.
    ann.say(thread, "Well done.");
    let reply = reply_after(&discord, thread, greeting.id).await;
    home.quiet().await;
    let seen = ann.message_menu(reply.id, "What did it see").await.settled(PATIENCE).await;
    assert!(seen.content.contains("turns: 3 "), "{}", seen.content);

    // A moderator deletes the message, and the turn is out of the story.
    mo.delete(fell.id);
    home.line_until(thread, |line| line.len() == 3 && line.iter().all(|it| it.0 != "Ben")).await;

    // What one rolled can be taken back like all else.
    ask(&ben, thread, "roll", json!({ "dice": "d%" })).await;
    home.line_until(thread, |line| line.len() == 4).await;
    ask(&ben, thread, "undo", json!({})).await;
    home.line_until(thread, |line| line.len() == 3).await;
    serve.stop().await;
}
