//! Many scenes, few places: nobody waits behind another guild's crowd.

use dramatis::chat::Message;
use dramatis::domain::{CharacterSheet, GuildId, Participant, SceneId};
use dramatis::store::NewScene;

use super::house::House;
use super::models::tiny;

/// Says something in `num_scenes` new scenes of a guild.
async fn crowd(house: &House, name: &str, num_scenes: usize) -> (GuildId, Vec<SceneId>) {
    let store = &house.db.store;
    let guild = store.upsert_guild("test", name, name).await.unwrap().id;
    let person = store.upsert_person(guild, "ann", "Ann").await.unwrap();
    let author = Participant { person, persona: None };
    let sheet = CharacterSheet { name: "Mira".into(), ..CharacterSheet::default() };
    let character = store.insert_character(guild, &sheet).await.unwrap();
    let mut scenes = Vec::new();
    for n in 0..num_scenes {
        let new = NewScene {
            channel: n.to_string(),
            preset: "limarp".into(),
            cast: vec![character.id],
            ..NewScene::default()
        };
        let scene = store.insert_scene(guild, &new).await.unwrap().id;
        let external_id = format!("{name}-{n}");
        let message =
            Message { guild, scene, author: &author, external_id, text: "Hello.", answer: None };
        house.chat.accept_turn(message).await.unwrap();
        scenes.push(scene);
    }
    (guild, scenes)
}

#[tokio::test]
async fn one_scene_is_not_kept_waiting_by_twenty_of_another_guild() {
    let mut house = House::open(tiny()).await;
    let (busy, many) = crowd(&house, "busy", 20).await;
    let (_, few) = crowd(&house, "quiet", 2).await;
    house.run_at_most(1);
    for &scene in &few {
        house
            .stage
            .wait_for(scene, 1, |shown| matches!(shown, super::stage::Shown::Finished(_)))
            .await;
    }
    for &scene in &many {
        while !house.db.store.list_open_jobs(busy, scene).await.unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    let order = house.stage.order();
    assert_eq!(order.len(), 22, "everybody is answered, once");
    for (nth, scene) in few.iter().enumerate() {
        let place = order.iter().position(|served| served == scene).unwrap();
        assert!(place <= 2 * nth + 1, "the guilds take turns: {place} in {order:?}");
    }
}
