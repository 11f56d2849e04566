//! Several processes of one bot, and a bot whose processors are busy.

use std::time::Duration;

use serde_json::json;

use crate::support::discord::answer::AnswerKind;
use crate::support::discord::{ChannelId, Discord};

use super::scene::reply_at_end;
use super::serve::{Home, PATIENCE};

/// Discord's deadline for the first answer.
const DEADLINE: Duration = Duration::from_secs(3);

async fn begin(
    discord: &Discord,
    home: &Home,
    name: &str,
) -> (crate::support::discord::people::Person, ChannelId) {
    let guild = discord.guild(name);
    let ann = guild.member("ann");
    let channel = guild.text_channel("harbour");
    // The bot hears of the guild before it hears of the command.
    let options = json!({ "character": "Tamsin", "length": "micro" });
    ann.command(channel, "scene start", options).await.settled(PATIENCE).await;
    let thread = home.channel_of_newest_scene(channel).await;
    reply_at_end(discord, thread).await;
    (ann, thread)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_shards_and_the_work() {
    let discord = Discord::start().await;
    discord.limits(|limits| limits.identify_window = Duration::ZERO);
    let mut home = Home::new().await;
    home.set("discord.shards=2");
    home.set("discord.shard_from=0");
    home.set("discord.shard_to=0");
    let first = home.serve(&discord).await;
    home.set("discord.shard_from=1");
    home.set("discord.shard_to=1");
    let second = home.serve(&discord).await;
    discord.gateway().connected(2, PATIENCE).await;
    let mut scenes = Vec::new();
    for name in ["Skerry", "Holm", "Voe", "Ness"] {
        scenes.push(begin(&discord, &home, name).await);
    }
    let of =
        |shard: u64| scenes.iter().filter(|(ann, _)| (ann.guild.id >> 22) % 2 == shard).count();
    assert_eq!(of(0) + of(1), 4);
    for (number, (ann, thread)) in scenes.iter().enumerate() {
        ann.say(*thread, &format!("Hello, {number}."));
    }
    for (_, thread) in &scenes {
        home.line_until(*thread, |line| line.len() == 3).await;
        reply_at_end(&discord, *thread).await;
    }
    assert!(first.stop().await.0.success());
    // One is enough for the work, though not for the other's guilds.
    assert!(second.stop().await.0.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_model_does_everybody_is_answered_in_time_and_deletion_stops_a_reply() {
    let discord = Discord::start().await;
    let mut home = Home::new().await;
    home.set("generation.max_tokens.unlimited=400");
    let serve = home.serve(&discord).await;
    let mut scenes = Vec::new();
    for name in ["Skerry", "Holm", "Voe"] {
        scenes.push(begin(&discord, &home, name).await);
    }
    let mut said = Vec::new();
    for (ann, thread) in &scenes {
        ann.command(*thread, "length", json!({ "length": "unlimited" }))
            .await
            .settled(PATIENCE)
            .await;
        said.push(ann.say(*thread, "Tell me everything."));
    }
    let writing = |thread: ChannelId| {
        move |world: &crate::support::discord::world::World| {
            world.seen(thread).iter().any(|m| m.buttons.iter().any(|b| b.label == "Stop"))
        }
    };
    for (_, thread) in &scenes {
        discord.wait_until(PATIENCE, writing(*thread)).await;
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        for (ann, thread) in &scenes {
            for path in ["scene status", "context", "help", "cast list"] {
                let answer = ann.command(*thread, path, json!({})).await;
                assert_ne!(answer.kind(), AnswerKind::Silence, "/{path}");
                slowest = slowest.max(answer.after().unwrap());
            }
            let typed = ann.autocomplete(*thread, "cast add", "character", "mar").await;
            assert!(typed.iter().any(|choice| choice.name == "Maren Holt"), "{typed:?}");
        }
    }
    assert!(slowest < DEADLINE, "the slowest took {slowest:?}");
    // Taken back in the middle: the reply to it goes, and nothing of it stays.
    let (ann, thread) = &scenes[0];
    ann.delete(said[0]);
    home.line_until(*thread, |line| line.len() == 1).await;
    discord
        .wait_until(PATIENCE, |world| {
            let seen = world.seen(*thread);
            seen.iter().filter(|message| message.webhook.is_some()).count() == 1
        })
        .await;
    // Stopped by its button: what is written stays, and stands as the reply.
    let (ann, thread) = &scenes[1];
    let placeholder = discord.messages(*thread).pop().unwrap();
    if placeholder.buttons.iter().any(|button| button.label == "Stop") {
        ann.press(placeholder.id, "Stop").await;
    }
    let reply = reply_at_end(&discord, *thread).await;
    assert_eq!(reply.id, placeholder.id);
    #[expect(clippy::print_stdout, reason = "the figure that was measured")]
    {
        println!("slowest first answer of 60 under load: {slowest:?}");
    }
    assert!(serve.stop().await.0.success());
}
