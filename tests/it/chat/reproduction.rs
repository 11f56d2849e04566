//! A reply is made again, exactly, from what was kept of it.

use dramatis::chat::ChatError;
use dramatis::domain::{CharacterSheet, GuildId, Length, Turn};

use super::house::{House, chat, receipt};
use super::models::{small, start_small, tiny};

async fn assert_reproduced(house: &House, guild: GuildId, turn: &Turn, when: &str) {
    let made = house.chat.reproduce(guild, turn.id, turn.swipe.id).await.unwrap();
    assert_eq!(made.original, turn.swipe.text, "{when}");
    assert_eq!(made.again, made.original, "{when}");
}

#[tokio::test]
async fn a_reply_of_the_real_model_is_made_again_exactly() {
    let mut house = House::open(small()).await;
    let mira = house
        .character(CharacterSheet {
            name: "Mira".into(),
            description: "Mira keeps the lighthouse on Gull Rock. She is dry and kind.".into(),
            greeting: "*Mira looks up from the lamp.* You are soaked. Sit by the stove.".into(),
            ..CharacterSheet::default()
        })
        .await;
    let scene = house.open_scene(&[mira]).await.unwrap().id;
    house.chat.set_length(house.guild, scene, Some(Length::Medium)).await.unwrap();
    let (guild, me) = (house.guild, house.me.person.id);
    house.run();
    house.exchange(scene, "Thank you. Is that storm going to last?").await;
    let reply = house.exchange(scene, "Then tell me about the rock.").await;
    let made = receipt(&reply.swipe);
    assert_eq!((made.model.as_str(), made.preset.as_str()), ("small", "limarp"));
    assert!(made.sampler.temperature > 0.0, "chance had its part in it");
    assert!(made.timings.num_cached_tokens > 0, "the first exchange was cached");

    assert_reproduced(&house, guild, &reply, "at once").await;
    for text in ["A cow jumps over the moon.", "Twelve pears hang high, and twelve men pass by."] {
        let elsewhere = house.scene().await;
        house.exchange(elsewhere, text).await;
    }
    assert_reproduced(&house, guild, &reply, "after other conversations").await;
    house.chat.ask_swipe(guild, scene, me, reply.id, None).await.unwrap();
    house.settled(scene).await;
    let swiped = house.latest(scene).await;
    assert_ne!(swiped.swipe.text, reply.swipe.text, "another seed, another text");
    assert_reproduced(&house, guild, &swiped, "a swipe").await;
    house.stop().await;

    house.chat = chat(house.db.second_store().await, start_small());
    assert_reproduced(&house, guild, &reply, "after a restart, with nothing cached").await;
    assert_reproduced(&house, guild, &swiped, "a swipe, after a restart").await;

    house.chat = chat(house.db.second_store().await, tiny());
    let refused = house.chat.reproduce(guild, reply.id, reply.swipe.id).await.unwrap_err();
    assert!(matches!(refused, ChatError::Refused(_)), "{refused:?}");
    assert!(refused.notice().contains("another model wrote that text: small"), "{refused}");
}
