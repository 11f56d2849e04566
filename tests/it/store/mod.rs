//! The store on real Postgres.

mod audit;
mod bells;
mod display;
mod embedded;
mod fields;
mod guilds;
mod imports;
mod inbound;
mod isolation;
mod lanes;
mod open;
mod outbox;
mod queue;
mod removal;
mod row_security;
mod tree;

use dramatis::domain::{Character, CharacterSheet, GuildId, Person, Scene, Speaker, SwipeOrigin};
use dramatis::store::{NewScene, NewTurn, Store};

/// A guild with a person, a character and a scene that plays.
struct Stage {
    guild: GuildId,
    person: Person,
    character: Character,
    scene: Scene,
}

async fn stage(store: &Store, guild: &str) -> Stage {
    let guild = store.upsert_guild("test", guild, guild).await.unwrap().id;
    let person = store.upsert_person(guild, "ann", "Ann").await.unwrap();
    let sheet = CharacterSheet { name: "Mira".into(), ..CharacterSheet::default() };
    let character = store.insert_character(guild, &sheet).await.unwrap();
    let scene = scene(store, guild, &character, "here").await;
    Stage { guild, person, character, scene }
}

async fn scene(store: &Store, guild: GuildId, character: &Character, channel: &str) -> Scene {
    let new = NewScene {
        channel: channel.into(),
        title: "A scene".into(),
        preset: "limarp".into(),
        cast: vec![character.id],
        ..NewScene::default()
    };
    store.insert_scene(guild, &new).await.unwrap()
}

impl Stage {
    fn said(&self, text: &str) -> NewTurn {
        NewTurn {
            speaker: Speaker::Person { id: self.person.id, name: "Ann".into() },
            text: text.into(),
            origin: SwipeOrigin::Written,
            receipt: None,
            alternates: Vec::new(),
        }
    }

    fn speaks(&self) -> Speaker {
        Speaker::Character { id: self.character.id, name: "Mira".into() }
    }
}
