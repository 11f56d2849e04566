//! Chats that were played elsewhere come in, go on here, and go out again.

use serde_json::{Value, json};

use crate::support::discord::Discord;
use crate::support::discord::answer::AnswerKind;

use super::commands::{ask, told};
use super::scene::{has_button, replies, reply_after, reply_at_end};
use super::serve::{Home, PATIENCE};

/// A chat of SillyTavern: a greeting, then persons and characters in turn; the last
/// message has two texts.
fn chat(header: &Value, names: &[&str], num_messages: usize) -> String {
    let mut lines = vec![header.to_string()];
    for i in 0..num_messages {
        let is_user = i % 2 == 1;
        let name = if is_user { "Ann" } else { names[i / 2 % names.len()] };
        let mut line = json!({
            "name": name, "is_user": is_user, "is_system": false,
            "send_date": "2024-05-01T10:00:00.000Z", "mes": format!("Words number {i}."),
            "extra": {"token_count": i}, "myOwn": 1.50,
        });
        if names.len() > 1 && !is_user {
            line["original_avatar"] = format!("{name}.png").into();
        }
        if i + 1 == num_messages && !is_user {
            let other = format!("Other words number {i}.");
            line["swipes"] = json!([line["mes"], other]);
            line["swipe_id"] = 0.into();
        }
        lines.push(line.to_string());
    }
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_goes_on_in_a_thread_and_goes_out_with_what_was_said_since() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let lobby = guild.text_channel("lobby");
    let (ann, ben) = (guild.member("ann"), guild.member("ben"));
    let home = Home::new().await;
    let serve = home.serve(&discord).await;
    ask(&ann, lobby, "length", json!({})).await;

    let header = json!({
        "user_name": "Ann", "character_name": "Tamsin", "create_date": "2024-05-01",
        "chat_metadata": {"scenario": "A lighthouse in winter.", "mine": [1, 2]},
    });
    let source = chat(&header, &["Tamsin"], 61);
    let file = ann.attach("Tamsin - 2024.jsonl", source.as_bytes());
    let said = ask(&ann, lobby, "scene import", json!({ "file": file })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    assert!(said.contains(&format!("<#{}>", thread.0)) && said.contains("61 turns"), "{said}");
    assert!(!said.contains("New on this server"), "{said}");
    let last = reply_at_end(&discord, thread).await;
    home.quiet().await;

    // Of the chat people see what it comes to, not all of it.
    let shown = discord.messages(thread);
    assert_eq!(shown.len(), 2, "{shown:#?}");
    assert!(shown[0].content.contains("61 turns"), "{shown:#?}");
    assert!(shown[0].content.contains("**Ann**\n> Words number 59."), "{shown:#?}");
    assert_eq!((&*last.author, &*last.content), ("Tamsin", "Words number 60."));
    assert_eq!(home.line(thread).await.len(), 61);
    let status = ask(&ben, thread, "scene status", json!({})).await;
    assert!(status.contains("lighthouse in winter"), "{status}");

    // The other text of its last message is there, and the story goes on.
    assert_eq!(ann.press(last.id, "▶️").await.kind(), AnswerKind::DeferredUpdate);
    discord
        .wait_until(PATIENCE, |world| {
            world.seen(thread).iter().any(|it| it.content == "Other words number 60.")
        })
        .await;
    home.quiet().await;
    assert_eq!(ann.press(last.id, "◀️").await.kind(), AnswerKind::DeferredUpdate);
    home.line_until(thread, |line| line[60].1 == "Words number 60.").await;
    home.quiet().await;
    ann.say(thread, "So here we are.");
    let reply = reply_after(&discord, thread, last.id).await;
    assert_eq!(reply.author, "Tamsin");
    home.quiet().await;
    let context = ask(&ann, thread, "context", json!({})).await;
    assert!(context.contains("turns: 63 "), "{context}");

    // Out it goes: what came as it came, and what was said since.
    let answer = ben.command(thread, "scene export", json!({ "format": "jsonl" })).await;
    told(answer.clone()).await;
    let out = String::from_utf8(answer.file()).unwrap();
    let (came, since): (Vec<&str>, Vec<&str>) =
        (out.lines().take(62).collect(), out.lines().skip(62).collect());
    assert_eq!(came, source.lines().collect::<Vec<_>>());
    let since: Vec<Value> = since.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(since.len(), 2);
    assert_eq!((&since[0]["name"], &since[0]["is_user"]), (&json!("Ann"), &json!(true)));
    assert_eq!(since[0]["mes"], "So here we are.");
    assert_eq!((&since[1]["name"], &since[1]["is_user"]), (&json!("Tamsin"), &json!(false)));
    assert_eq!(since[1]["mes"].as_str().unwrap(), home.line(thread).await[62].1);

    // As a page to read.
    let answer = ben.command(thread, "scene export", json!({ "format": "html" })).await;
    told(answer.clone()).await;
    assert!(answer.seen().unwrap().files[0].ends_with(".html"));
    let page = String::from_utf8(answer.file()).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("Words number 30."), "{page}");
    assert!(page.contains("So here we are.") && page.contains("Tamsin"));
    let answer = ben.command(thread, "scene export", json!({})).await;
    let all = answer.settled(PATIENCE).await;
    assert_eq!(all.files.len(), 3, "{all:?}");

    // Where a scene is played none comes in.
    let file = ann.attach("chat.jsonl", source.as_bytes());
    let refused = ask(&ann, thread, "scene import", json!({ "file": file })).await;
    assert!(refused.contains("already"), "{refused}");
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_of_several_goes_on_with_those_who_are_known_and_those_who_are_not() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let lobby = guild.text_channel("lobby");
    let ann = guild.member("ann");
    let home = Home::new().await;
    let serve = home.serve(&discord).await;

    let header = json!({ "user_name": "Ann", "character_name": "unused", "chat_metadata": {} });
    let source = chat(&header, &["Tamsin", "Old Brann"], 12);
    let file = ann.attach("group.jsonl", source.as_bytes());
    let options = json!({ "file": file, "title": "By the @everyone fire" });
    let said = ask(&ann, lobby, "scene import", options).await;
    assert!(said.contains("12 turns") && said.contains("their names: Old Brann."), "{said}");
    let thread = home.channel_of_newest_scene(lobby).await;
    home.quiet().await;

    // It ends with a person's words: they are recalled, and nobody answers unasked.
    let shown = discord.messages(thread);
    assert_eq!(shown.len(), 1, "{shown:#?}");
    assert!(shown[0].content.contains("**Ann**\n> Words number 11."), "{shown:#?}");
    assert!(shown[0].content.contains("/reply"), "{shown:#?}");
    assert!(replies(&discord, thread).is_empty());
    let cast = ask(&ann, thread, "cast list", json!({})).await;
    assert!(cast.contains("Tamsin") && cast.contains("Old Brann"), "{cast}");
    ask(&ann, thread, "reply", json!({ "character": "Old Brann" })).await;
    let reply = reply_at_end(&discord, thread).await;
    assert_eq!(reply.author, "Old Brann");
    assert!(has_button(&reply, "Continue"));
    home.quiet().await;

    let answer = ann.command(thread, "scene export", json!({ "format": "jsonl" })).await;
    told(answer.clone()).await;
    let out = String::from_utf8(answer.file()).unwrap();
    assert_eq!(out.lines().take(13).collect::<Vec<_>>(), source.lines().collect::<Vec<_>>());
    let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["name"], &last["original_avatar"]),
        (&json!("Old Brann"), &json!("Old Brann.png"))
    );

    // What cannot be played opens no thread.
    let names: Vec<String> = (0..33).map(|i| format!("Guest {i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let crowd = ann.attach("crowd.jsonl", chat(&header, &names, 70).as_bytes());
    let before = discord.lock().world.channels.len();
    let refused = ask(&ann, lobby, "scene import", json!({ "file": crowd })).await;
    assert!(refused.contains("33 characters") && refused.contains("at most 32"), "{refused}");
    assert_eq!(discord.lock().world.channels.len(), before);

    // A chat in which no character speaks needs one.
    let alone =
        [header.to_string(), json!({"name": "Ann", "is_user": true, "mes": "Hm."}).to_string()];
    let file = |name: &str| ann.attach(name, alone.join("\n").as_bytes());
    let refused = ask(&ann, lobby, "scene import", json!({ "file": file("a.jsonl") })).await;
    assert!(refused.contains("character:"), "{refused}");
    let options = json!({ "file": file("b.jsonl"), "character": "Maren Holt" });
    let said = ask(&ann, lobby, "scene import", options).await;
    assert!(said.contains("after one turn"), "{said}");
    let alone = home.channel_of_newest_scene(lobby).await;
    ask(&ann, alone, "reply", json!({})).await;
    assert_eq!(reply_at_end(&discord, alone).await.author, "Maren Holt");
    serve.stop().await;
}
