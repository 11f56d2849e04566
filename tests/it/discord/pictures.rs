//! Characters' pictures: emojis of the application, where webhooks' messages find them.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::discord::faults::{Fault, Trouble};
use crate::support::discord::people::Person;
use crate::support::discord::refusal::Refusal;
use crate::support::discord::seen::SeenMessage;
use crate::support::discord::{ChannelId, Discord};
use dramatis::domain::CharacterSheet;

use super::commands::ask;
use super::files::{card, picture, wren};
use super::scene::{reply_after, reply_at_end};
use super::serve::Home;

const MAKE: &str = "POST /applications/{application_id}/emojis";

/// How often an emoji was asked for.
fn num_tries(discord: &Discord) -> usize {
    discord.lock().world.ledger.of(MAKE).len()
}

/// The emoji that a message shows as its author's picture.
fn emoji_of(message: &SeenMessage) -> Option<u64> {
    let url = message.avatar.as_deref()?;
    let rest = url.strip_prefix("https://cdn.discordapp.com/emojis/").expect("an emoji's address");
    let (id, _) = rest.split_once(".png").expect("a picture");
    Some(id.parse().unwrap())
}

/// A character of that name with a picture of its own.
async fn import(person: &Person, lobby: ChannelId, name: &str, seed: u32) {
    let sheet =
        CharacterSheet { name: name.into(), nickname: None, ..wren("A keeper of the light.") };
    let file = person.attach("card.png", &card(&sheet, picture(700, 1_000, seed)));
    let said = ask(person, lobby, "character import", json!({ "file": file })).await;
    assert!(said.contains(&format!("{name} is known")), "{said}");
}

/// Begins a scene; its greeting, and how long that took.
async fn begin(
    discord: &Discord,
    home: &Home,
    person: &Person,
    lobby: ChannelId,
    name: &str,
) -> (SeenMessage, Duration) {
    let began = Instant::now();
    ask(person, lobby, "scene start", json!({ "character": name })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    let greeting = reply_at_end(discord, thread).await;
    assert_eq!(greeting.author, name);
    (greeting, began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_made_an_emoji_once_and_for_all() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let lobby = guild.text_channel("lobby");
    let ann = guild.member("ann");
    let home = Home::new().await;
    let mut serve = home.serve(&discord).await;
    import(&ann, lobby, "Wren", 1).await;
    let (greeting, _) = begin(&discord, &home, &ann, lobby, "Wren").await;
    let emoji = emoji_of(&greeting).expect("a picture");
    {
        let state = discord.lock();
        let made = &state.world.emojis[&emoji];
        assert!(made.image.len() <= 256 << 10 && !made.animated, "{}", made.image.len());
        assert!(made.name.starts_with("face_"), "{}", made.name);
    }
    let thread = greeting.id.channel;
    ann.say(thread, "Good morning.");
    let reply = reply_after(&discord, thread, greeting.id).await;
    assert_eq!(emoji_of(&reply), Some(emoji));

    // Whoever has none shows none.
    let (other, _) = begin(&discord, &home, &ann, lobby, "Tamsin").await;
    assert_eq!(other.avatar, None);

    // Another process finds what this one made.
    home.kill_and_restart(&discord, &mut serve).await;
    ann.say(thread, "Are you there?");
    let reply = reply_after(&discord, thread, reply.id).await;
    assert_eq!(emoji_of(&reply), Some(emoji));
    assert_eq!((num_tries(&discord), discord.lock().world.emojis.len()), (1, 1));

    // Another picture is another emoji; an address of its own wins.
    let sheet = CharacterSheet { nickname: None, name: "Wren".into(), ..wren("A keeper.") };
    let file = ann.attach("card.png", &card(&sheet, picture(200, 200, 2)));
    let options = json!({ "file": file, "replace": true });
    ask(&ann, lobby, "character import", options).await;
    ann.say(thread, "You look changed.");
    let reply = reply_after(&discord, thread, reply.id).await;
    assert_ne!(emoji_of(&reply), Some(emoji));
    let options = json!({ "character": "Wren", "part": "manner" });
    let form = ann.command(lobby, "character edit", options).await;
    let address = "https://example.org/wren.png";
    ann.submit(&form, &[("avatar", address)]).await.settled(super::serve::PATIENCE).await;
    ann.say(thread, "And now?");
    let reply = reply_after(&discord, thread, reply.id).await;
    assert_eq!(reply.avatar.as_deref(), Some(address));
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_come_without_a_picture_where_there_can_be_none() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let lobby = guild.text_channel("lobby");
    let ann = guild.member("ann");
    let home = Home::new().await;
    let serve = home.serve(&discord).await;
    for (name, seed) in [("Wren", 1), ("Finch", 2), ("Heron", 3), ("Crane", 4)] {
        import(&ann, lobby, name, seed).await;
    }
    let make = "POST /applications/*/emojis";

    // The answer is lost, but the emoji is there: it is found, not made again.
    discord.fault(Fault::on(make, Trouble::CutAfter).times(1));
    let (greeting, _) = begin(&discord, &home, &ann, lobby, "Wren").await;
    assert!(emoji_of(&greeting).is_some_and(|id| discord.lock().world.emojis.contains_key(&id)));
    assert_eq!(discord.lock().world.emojis.len(), 1);

    // Discord does not take this picture, and takes others.
    let refusal = Refusal::form("image", "IMAGE_INVALID", "Invalid image data");
    discord.fault(Fault::on(make, Trouble::Refuse(refusal)).times(1));
    let (greeting, took) = begin(&discord, &home, &ann, lobby, "Finch").await;
    assert!(greeting.avatar.is_none() && took < Duration::from_secs(20), "{took:?}");
    let (greeting, _) = begin(&discord, &home, &ann, lobby, "Heron").await;
    assert!(emoji_of(&greeting).is_some());
    let tries = num_tries(&discord);
    let thread = greeting.id.channel;
    let (again, _) = begin(&discord, &home, &ann, lobby, "Finch").await;
    assert_eq!((again.avatar, num_tries(&discord)), (None, tries), "it is not tried again");

    // It never answers: one reply waits for some seconds, none after it.
    discord.fault(Fault::on(make, Trouble::HangBefore));
    let (greeting, took) = begin(&discord, &home, &ann, lobby, "Crane").await;
    assert!(greeting.avatar.is_none() && took < Duration::from_secs(20), "{took:?}");
    let (greeting, took) = begin(&discord, &home, &ann, lobby, "Crane").await;
    assert!(greeting.avatar.is_none() && took < Duration::from_secs(20), "{took:?}");
    ann.say(greeting.id.channel, "Good morning.");
    let reply = reply_after(&discord, greeting.id.channel, greeting.id).await;
    assert_eq!((&*reply.author, reply.avatar), ("Crane", None));
    // What is known is shown all the same, or nothing: it is answered.
    ann.say(thread, "And you?");
    reply_at_end(&discord, thread).await;
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_are_too_many_emojis_the_oldest_of_ours_makes_room() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let lobby = guild.text_channel("lobby");
    let ann = guild.member("ann");
    let home = Home::new().await;
    let serve = home.serve(&discord).await;
    discord.limits(|limits| limits.emojis = 1);
    import(&ann, lobby, "Wren", 1).await;
    import(&ann, lobby, "Finch", 2).await;
    let (first, _) = begin(&discord, &home, &ann, lobby, "Wren").await;
    let (second, _) = begin(&discord, &home, &ann, lobby, "Finch").await;
    let (first, second) = (emoji_of(&first).unwrap(), emoji_of(&second).expect("a picture"));
    let left: Vec<u64> = discord.lock().world.emojis.keys().copied().collect();
    assert_eq!(left, [second]);
    assert_ne!(first, second);

    // Nothing of ours is left to go: no picture, but a reply.
    discord.limits(|limits| limits.emojis = 0);
    import(&ann, lobby, "Heron", 3).await;
    let (third, _) = begin(&discord, &home, &ann, lobby, "Heron").await;
    assert_eq!(third.avatar, None);
    serve.stop().await;
}
