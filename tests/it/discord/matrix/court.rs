//! A server with a place in every state, everybody in it, and what was said there; and how
//! its rows are brought back after somebody changed them.

use dramatis::chat::{ReplyReceipt, Timings};
use dramatis::domain::{
    Character, CharacterSheet, GuildId, Person as Known, Scene, SceneState, Speaker, SwipeOrigin,
    TurnId,
};
use dramatis::prompt::{PromptReceipt, Trimmed};
use dramatis::sampling::SamplerParams;
use dramatis::store::{
    NewCase, NewMessage, NewPost, NewScene, NewSwipe, NewTurn, PostOwner, PostRoute, Preset,
    QueueLimits, Store, Work,
};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::super::custom_id::base36;
use super::super::serve::Home;
use super::{BUTTONS, ROLES, STATES};
use crate::support::discord::changes::Draft;
use crate::support::discord::guild::Guild;
use crate::support::discord::model::Author;
use crate::support::discord::people::Person;
use crate::support::discord::permissions::{MANAGE_GUILD, MANAGE_MESSAGES};
use crate::support::discord::{ChannelId, Discord, MessageId};

/// A server with a place in every state, and everybody in it.
pub(super) struct Court {
    pub(super) guild: GuildId,
    /// Their servants, in the order of [`ROLES`].
    pub(super) people: Vec<Person>,
    /// In the order of [`STATES`].
    pub(super) places: Vec<Place>,
}

/// A channel, and what stands there.
pub(super) struct Place {
    pub(super) channel: ChannelId,
    /// What everybody said, in the order of [`ROLES`]: turns of those who play.
    pub(super) said: Vec<MessageId>,
    /// What the bot said.
    pub(super) reply: MessageId,
    /// The scene and the bot's turn in it; none where nothing is or was played.
    played: Option<(Scene, TurnId, i64)>,
}

impl Court {
    pub(super) async fn open(discord: &Discord, store: &Store, name: &str, policy: Value) -> Self {
        let server: Guild = discord.guild(name);
        let (mods, managers) =
            (server.role("mods", MANAGE_MESSAGES), server.role("staff", MANAGE_GUILD));
        let people = vec![
            server.member("rea"),
            server.member("pla"),
            server.member("ope"),
            server.member_with("mo", &[mods]),
            server.member_with("ma", &[managers]),
            server.member("blo"),
        ];
        let guild = store.upsert_guild("discord", &server.id.to_string(), name).await.unwrap().id;
        store.upsert_policy(guild, "", &policy).await.unwrap();
        let mut known = Vec::new();
        for (person, role) in people.iter().zip(ROLES) {
            known.push(store.upsert_person(guild, &person.id.to_string(), role).await.unwrap());
        }
        let tam = character(store, guild, "Tam").await;
        character(store, guild, "Una").await;
        let preset = Preset { name: "Calm".into(), params: json!({}), source: None };
        store.upsert_preset(guild, &preset).await.unwrap();
        store.insert_lorebook(guild, "Book", r#"{"entries": {}}"#).await.unwrap();
        let mut places = Vec::new();
        for state in STATES {
            let channel = server.text_channel(state);
            places.push(play(discord, store, state, channel, &people, &known, &tam).await);
        }
        store.set_person_blocked(guild, known[5].id, true).await.unwrap();
        let case = NewCase { kind: "warn", person: Some(known[1].id), ..NewCase::default() };
        store.insert_case(guild, &case).await.unwrap();
        Self { guild, people, places }
    }

    /// Has a reply wait in every scene, and puts all buttons under what the bot said: in a
    /// place without a scene those of another place.
    pub(super) async fn put_buttons(&self, discord: &Discord, store: &Store) {
        for place in &self.places {
            let played = place.played.as_ref().or(self.places[1].played.as_ref());
            let (scene, turn, post) = played.expect("something is played in the second place");
            let job = store.insert_job(self.guild, scene.id, None, &Work::REPLY).await.unwrap().job;
            let buttons = (1..).zip(BUTTONS).map(|(id, action)| {
                let of = if action == "stop" { job.0 } else { turn.0 };
                let custom_id = format!("d1:{action}:{}:{}", base36(*post), base36(of));
                json!({"type": 2, "id": id, "style": 2, "label": action, "custom_id": custom_id})
            });
            let buttons: Vec<Value> = buttons.collect();
            let rows = (50..).zip(buttons.chunks(5));
            let rows = rows.map(|(id, row)| json!({"type": 1, "id": id, "components": row}));
            let rows = rows.collect();
            let at = (place.reply.channel.0, place.reply.id);
            discord.lock().world.messages.get_mut(&at).unwrap().components = rows;
        }
    }
}

/// What everybody says in a channel, and the bot's answer; turns where a scene is played.
async fn play(
    discord: &Discord,
    store: &Store,
    state: &str,
    channel: ChannelId,
    people: &[Person],
    known: &[Known],
    tam: &Character,
) -> Place {
    let guild = tam.guild_id;
    // Those who do not play speak first: a bot that comes later looks at what is behind
    // the last turn.
    let mut said = vec![None; people.len()];
    for role in [0, 3, 4, 2, 1, 5] {
        said[role] = Some(people[role].say(channel, "Well met."));
    }
    let said: Vec<MessageId> = said.into_iter().map(Option::unwrap).collect();
    let (reply, webhook) = {
        let mut state = discord.lock();
        let world = &mut state.world;
        let (application, bot) = (Some(world.application), world.bot);
        let id = world.make_webhook(channel.0, "Dramatis", None, application, bot);
        let author = Author::Webhook { id, name: "Tam".into(), avatar: None };
        let draft = Draft { content: "The tide is out.".into(), application, ..Draft::default() };
        (MessageId { channel, id: world.post(channel.0, author, draft) }, id)
    };
    if state == "none" {
        return Place { channel, said, reply, played: None };
    }
    let scene = NewScene {
        channel: channel.0.to_string(),
        title: state.into(),
        cast: vec![tam.id],
        preset: "limarp".into(),
        ..NewScene::default()
    };
    let scene = store.insert_scene(guild, &scene).await.unwrap();
    for role in [2, 1, 5] {
        let message = NewMessage {
            external_id: said[role].id.to_string(),
            person: known[role].id,
            name: known[role].display_name.clone(),
            text: "Well met.".into(),
            work: None,
            limits: QueueLimits::NONE,
        };
        store.accept_message(guild, scene.id, &message).await.unwrap();
    }
    let turn = NewTurn {
        speaker: Speaker::Character { id: tam.id, name: "Tam".into() },
        text: "The tide is in.".into(),
        origin: SwipeOrigin::Generated,
        receipt: None,
        alternates: Vec::new(),
    };
    let turn = store.append_turn(guild, scene.id, &turn).await.unwrap().id;
    // The second of three stands, so that there is one on either side.
    let new = NewSwipe {
        text: "The tide is out.".into(),
        origin: SwipeOrigin::Generated,
        receipt: Some(json!(receipt())),
    };
    let standing = store.insert_swipe(guild, scene.id, turn, &new).await.unwrap().swipe.id;
    let third = NewSwipe { text: "There is no tide.".into(), ..new };
    store.insert_swipe(guild, scene.id, turn, &third).await.unwrap();
    store.select_swipe(guild, scene.id, turn, standing).await.unwrap();
    let route = PostRoute::Webhook(webhook.to_string());
    let owner = PostOwner::Turn(turn, standing);
    let post = NewPost { owner, part: 0, channel: channel.0.to_string(), route };
    let post = store.reserve_outbox(guild, scene.id, &post).await.unwrap().id;
    store.finish_outbox(guild, post, &reply.id.to_string()).await.unwrap();
    store.set_fresh(guild, scene.id).await.unwrap();
    let reached = match state {
        "paused" => Some(SceneState::Paused),
        "frozen" => Some(SceneState::Frozen),
        "ended" => Some(SceneState::Ended),
        _ => None,
    };
    if let Some(reached) = reached {
        store.set_scene_state(guild, scene.id, reached).await.unwrap();
    }
    Place { channel, said, reply, played: Some((scene, turn, post)) }
}

async fn character(store: &Store, guild: GuildId, name: &str) -> Character {
    let sheet = CharacterSheet { name: name.into(), ..CharacterSheet::default() };
    store.insert_character(guild, &sheet).await.unwrap()
}

/// How the bot's turn was made.
fn receipt() -> ReplyReceipt {
    ReplyReceipt {
        model: "a model".into(),
        model_fingerprint: "f".into(),
        preset: "limarp".into(),
        sampler: SamplerParams::default(),
        seed: 1,
        length: None,
        max_tokens: 16,
        length_range: None,
        stops: Vec::new(),
        standing_bytes: 0,
        prompt: PromptReceipt {
            template: "limarp".into(),
            sections: Vec::new(),
            num_tokens: 0,
            budget_tokens: 1,
            trimmed: Trimmed::default(),
        },
        lore: Default::default(),
        repetition: Default::default(),
        impersonation_tokens: 0,
        finish: "stop".into(),
        timings: Timings::default(),
    }
}

/// Keeps the rows of a guild as they are now, and says how to bring them back: those alone
/// that are others by then, since it is done often.
pub(super) async fn keep(home: &Home, guild: GuildId) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.columns
         WHERE table_schema = 'public' AND column_name = 'guild_id'
           AND table_name NOT IN (SELECT table_name FROM information_schema.views) ORDER BY 1",
    )
    .fetch_all(&home.database.pool)
    .await
    .unwrap();
    let id = guild.0;
    let mut keep = format!("CREATE SCHEMA kept_{id};");
    let mut back = format!(
        "PERFORM set_config('session_replication_role', 'replica', true);
         PERFORM FROM public.lane WHERE guild_id = {id} ORDER BY scene_id FOR UPDATE;"
    );
    for (table, key) in
        tables.iter().map(|table| (table.as_str(), "guild_id")).chain([("guild", "id")])
    {
        let (now, kept) = (format!("public.{table}"), format!("kept_{id}.{table}"));
        keep.push_str(&format!("CREATE TABLE {kept} AS SELECT * FROM {now} WHERE {key} = {id};"));
        back.push_str(&format!(
            "DELETE FROM {now} AS now WHERE {key} = {id}
               AND now::text NOT IN (SELECT kept::text FROM {kept} AS kept);
             INSERT INTO {now} OVERRIDING SYSTEM VALUE SELECT * FROM {kept} AS kept
             WHERE kept::text NOT IN (SELECT now::text FROM {now} AS now WHERE {key} = {id});"
        ));
    }
    execute(home, &keep).await;
    let function = format!("kept_{id}.bring_back()");
    let create = format!(
        "CREATE FUNCTION {function} RETURNS void LANGUAGE plpgsql AS $$ BEGIN {back} END $$"
    );
    execute(home, &create).await;
    format!("SELECT {function}")
}

/// The service may be at work on the same rows, in another order or in between: whoever is
/// chosen to give way (40P01), or finds a row that was not there before (23505), begins again.
pub(super) async fn execute(home: &Home, sql: &str) {
    let mut conn = home.database.pool.acquire().await.unwrap();
    for _ in 0..20 {
        match sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *conn).await {
            Ok(_) => return,
            Err(error) => {
                let code = error.as_database_error().and_then(|error| error.code());
                assert!(matches!(code.as_deref(), Some("40P01" | "23505")), "{error}");
                sqlx::raw_sql("ROLLBACK").execute(&mut *conn).await.unwrap();
            }
        }
    }
    panic!("somebody is always in the way of {sql}");
}
