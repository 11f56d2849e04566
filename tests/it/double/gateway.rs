//! The gateway: sessions, events, and everything that can go wrong with them.

use std::time::Duration;

use serde_json::json;

use super::{INTENTS, Rest, SOON, Socket, text};
use crate::support::discord::Discord;
use crate::support::discord::permissions::VIEW_CHANNEL;

#[tokio::test]
async fn a_session_starts_and_hears_what_happens() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let harbour = guild.text_channel("harbour");
    let stories = guild.forum("stories", &["Maren"]);
    let ann = guild.member("ann");
    let (mut socket, _) = Socket::identified(&discord).await;
    let message = ann.say(harbour, "Hello?");
    let heard = socket.event("MESSAGE_CREATE").await;
    assert_eq!(heard["content"], "Hello?");
    assert_eq!(heard["member"]["nick"], json!(null));
    ann.edit(message, "Hello!");
    assert_eq!(socket.event("MESSAGE_UPDATE").await["content"], "Hello!");
    ann.react(message, "👍");
    socket.event("MESSAGE_REACTION_ADD").await;
    ann.type_in(harbour);
    socket.event("TYPING_START").await;
    let post = ann.post(stories, "Storm", "Rain.", &["Maren"]);
    assert_eq!(socket.event("THREAD_CREATE").await["id"], post.0.to_string());
    assert_eq!(socket.event("MESSAGE_CREATE").await["id"], post.0.to_string());
    guild.archive(post);
    assert_eq!(socket.event("THREAD_UPDATE").await["thread_metadata"]["archived"], true);
    ann.delete(message);
    assert_eq!(socket.event("MESSAGE_DELETE").await["id"], message.id.to_string());
    guild.webhook(harbour, "Hook", None);
    socket.event("WEBHOOKS_UPDATE").await;
    guild.role("reader", 0);
    socket.event("GUILD_ROLE_CREATE").await;
    guild.delete_channel(post);
    socket.event("THREAD_DELETE").await;
    guild.deny_bot(harbour, VIEW_CHANNEL);
    ann.say(harbour, "whispered");
    assert!(socket.is_quiet().await, "what it cannot see it does not hear");
    guild.change(harbour, |channel| channel.overwrites.clear());
    socket.event("CHANNEL_UPDATE").await;
    socket.event("THREAD_LIST_SYNC").await;
    ann.say_with_unknown_component(harbour, "new");
    assert_eq!(socket.event("MESSAGE_CREATE").await["components"][0]["type"], 99);
    guild.kick_bot();
    socket.event("GUILD_DELETE").await;
    guild.let_bot_in();
    socket.event("GUILD_CREATE").await;
}

#[tokio::test]
async fn without_the_intent_content_is_empty() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let harbour = guild.text_channel("harbour");
    let ann = guild.member("ann");
    let mut socket = Socket::connect(&discord).await;
    socket.identify(&discord, INTENTS & !(1 << 15)).await;
    socket.event("READY").await;
    socket.event("GUILD_CREATE").await;
    ann.say(harbour, "secret");
    assert_eq!(socket.event("MESSAGE_CREATE").await["content"], "");
    ann.say(harbour, &format!("<@{}> hear me", discord.bot_id()));
    assert_ne!(socket.event("MESSAGE_CREATE").await["content"], "");
    let rest = Rest::new(&discord);
    rest.post(&format!("/channels/{}/messages", harbour.0), text("mine")).await;
    assert_eq!(socket.event("MESSAGE_CREATE").await["content"], "mine");
}

#[tokio::test]
async fn wrong_clients_are_turned_away() {
    let discord = Discord::start().await;
    discord.limits(|limits| limits.privileged_intents = 0);
    let mut socket = Socket::connect(&discord).await;
    socket.identify(&discord, INTENTS).await;
    assert_eq!(socket.next().await["closed"], 4014);
    let mut socket = Socket::connect(&discord).await;
    socket.send(json!({"op": 2, "d": {"token": "a.b.c", "intents": 1}})).await;
    assert_eq!(socket.next().await["closed"], 4004);
    let mut socket = Socket::connect(&discord).await;
    socket.send(json!({"op": 3, "d": {}})).await;
    assert_eq!(socket.next().await["closed"], 4003);
}

#[tokio::test]
async fn a_session_is_resumed_with_what_was_missed() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let harbour = guild.text_channel("harbour");
    let ann = guild.member("ann");
    let (mut socket, session) = Socket::identified(&discord).await;
    discord.gateway().drop_all();
    assert!(socket.next().await.is_null());
    ann.say(harbour, "while you were away");
    let seq = socket.seq;
    let mut socket = Socket::connect(&discord).await;
    socket.resume(&discord, &session, seq).await;
    assert_eq!(socket.event("MESSAGE_CREATE").await["content"], "while you were away");
    socket.event("RESUMED").await;
    assert_eq!(discord.gateway().num_resumes(), 1);

    discord.gateway().reconnect();
    assert_eq!(socket.next().await["op"], 7);
    discord.gateway().invalidate(false);
    assert_eq!(socket.next().await, json!({"op": 9, "d": false, "s": null, "t": null}));
    let mut socket = Socket::connect(&discord).await;
    socket.resume(&discord, &session, seq).await;
    assert_eq!(socket.next().await["op"], 9);
}

#[tokio::test]
async fn heartbeats_are_answered_unless_it_is_a_zombie() {
    let discord = Discord::start().await;
    let (mut socket, _) = Socket::identified(&discord).await;
    socket.send(json!({"op": 1, "d": 1})).await;
    assert_eq!(socket.next().await["op"], 11);
    discord.gateway().zombie(true);
    socket.send(json!({"op": 1, "d": 1})).await;
    assert!(socket.is_quiet().await);
}

#[tokio::test]
async fn events_are_doubled_held_shuffled_and_unknown() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let harbour = guild.text_channel("harbour");
    let ann = guild.member("ann");
    let (mut socket, _) = Socket::identified(&discord).await;
    let gateway = discord.gateway();
    gateway.duplicate(true);
    ann.say(harbour, "twice");
    let first = socket.event("MESSAGE_CREATE").await;
    assert_eq!(socket.event("MESSAGE_CREATE").await["id"], first["id"]);
    gateway.duplicate(false);

    gateway.hold();
    ann.say(harbour, "held");
    assert!(socket.is_quiet().await);
    gateway.release();
    socket.event("MESSAGE_CREATE").await;

    gateway.shuffle(Some(3));
    for n in 0..6 {
        ann.say(harbour, &n.to_string());
    }
    let mut heard = Vec::new();
    for _ in 0..6 {
        heard.push(socket.event("MESSAGE_CREATE").await["content"].as_str().unwrap().to_owned());
    }
    assert_ne!(heard, ["0", "1", "2", "3", "4", "5"]);
    heard.sort();
    assert_eq!(heard, ["0", "1", "2", "3", "4", "5"]);
    gateway.shuffle(None);
    gateway.send_unknown();
    socket.event("UNKNOWN_TO_EVERYBODY").await;
}

#[tokio::test]
async fn a_closed_port_opens_again() {
    let discord = Discord::start().await;
    let (mut socket, session) = Socket::identified(&discord).await;
    discord.gateway().close_port_for(Duration::from_millis(300));
    assert!(socket.next().await.is_null());
    let url = discord.lock().world.gateway_url.clone();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(tokio_tungstenite::connect_async(&url).await.is_err());
    tokio::time::sleep(Duration::from_millis(400)).await;
    let seq = socket.seq;
    let mut socket = Socket::connect(&discord).await;
    socket.resume(&discord, &session, seq).await;
    socket.event("RESUMED").await;
    discord.gateway().connected(1, SOON).await;
}

#[tokio::test]
async fn session_starts_are_counted() {
    let discord = Discord::start().await;
    Socket::identified(&discord).await;
    assert_eq!(discord.lock().world.limits.session_starts_left, 999);
    let mut second = Socket::connect(&discord).await;
    second.identify(&discord, INTENTS).await;
    assert_eq!(second.next().await["op"], 9);
    assert!(discord.take_violations()[0].contains("identified within"));
}

#[tokio::test]
async fn shards_hear_of_their_own_guilds() {
    let discord = Discord::start().await;
    discord.limits(|limits| limits.max_concurrency = 2);
    let mut rooms = Vec::new();
    for n in 0..4 {
        let guild = discord.guild(&format!("guild {n}"));
        let channel = guild.text_channel("harbour");
        rooms.push((guild.clone(), guild.member("ann"), channel));
        // Snowflakes of one millisecond are of one shard.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for shard in 0..2 {
        let mine: Vec<_> =
            rooms.iter().filter(|(guild, ..)| (guild.id >> 22) % 2 == shard).collect();
        let mut socket = Socket::connect(&discord).await;
        let data = json!({"token": discord.token(), "intents": INTENTS, "shard": [shard, 2]});
        socket.send(json!({"op": 2, "d": data})).await;
        let ready = socket.event("READY").await;
        assert_eq!(ready["guilds"].as_array().unwrap().len(), mine.len());
        for _ in &mine {
            socket.event("GUILD_CREATE").await;
        }
        for (_, ann, channel) in &rooms {
            ann.say(*channel, "here");
        }
        for _ in &mine {
            socket.event("MESSAGE_CREATE").await;
        }
        assert!(socket.is_quiet().await);
    }
}
