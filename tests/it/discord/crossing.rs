//! Three servers whose people do whatever comes to their minds, also with what is another
//! server's, through the real binary: nothing of one comes to another, and a server that
//! rests meanwhile stays as it is.
//!
//! Chance is seeded: `CROSSING_SEED` plays a failure again.

mod forged;

use std::io::Read as _;
use std::time::{Duration, Instant};

use dramatis::domain::{BoundaryKind, BoundaryOf, CharacterSheet, GuildId};
use dramatis::store::{NewCase, Preset, Store};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

use self::forged::Ids;
use super::matrix::{Form, menus};
use super::scene::replies;
use super::serve::{Home, PATIENCE};
use crate::support::discord::answer::{Answer, AnswerKind};
use crate::support::discord::call::id_of;
use crate::support::discord::guild::Guild;
use crate::support::discord::people::Person;
use crate::support::discord::permissions::{MANAGE_GUILD, MANAGE_MESSAGES};
use crate::support::discord::world::World;
use crate::support::discord::{ChannelId, Discord, MessageId};
use crate::support::script::Script;

/// A word that every text of a server holds, and none of another's.
const CANARIES: [&str; 3] = ["Velmora", "Ostrick", "Quenby"];
/// How much the people of a server do while one of the others rests.
const DEEDS: usize = 100;

/// What is forbidden there, so that there are cases.
const RULES: &str = "rating = 'teen'\n[[words]]\nterms = ['black salt']\nverdict = 'hold'\n\
                     [[words]]\nterms = ['grey wool']\nverdict = 'refuse'\n";

/// A server with its people.
struct Town {
    canary: &'static str,
    guild: GuildId,
    server: Guild,
    lobby: ChannelId,
    log: ChannelId,
    role: u64,
    /// With what Discord lets them do.
    people: Vec<(Person, u64)>,
}

impl Town {
    async fn found(discord: &Discord, store: &Store, canary: &'static str) -> Self {
        let server = discord.guild("Town");
        let (mods, staff) =
            (server.role("mods", MANAGE_MESSAGES), server.role("staff", MANAGE_GUILD));
        let people = vec![
            (server.member("ann"), 0),
            (server.member("ben"), 0),
            (server.member("cat"), 0),
            (server.member_with("mo", &[mods]), MANAGE_MESSAGES),
            (server.member_with("ma", &[staff]), MANAGE_GUILD),
            (server.member("blo"), 0),
            (server.member("out"), 0),
        ];
        let guild = store.upsert_guild("discord", &server.id.to_string(), "Town").await.unwrap().id;
        let known = async |person: &Person| {
            store.upsert_person(guild, &person.id.to_string(), "Somebody").await.unwrap().id
        };
        let ann = known(&people[0].0).await;
        store.set_person_blocked(guild, known(&people[5].0).await, true).await.unwrap();
        store.set_person_opted_out(guild, known(&people[6].0).await, true).await.unwrap();
        let sheet = CharacterSheet {
            name: format!("{canary} Tam"),
            description: format!("A ferryman of {canary}."),
            greeting: format!("Welcome to {canary}."),
            ..CharacterSheet::default()
        };
        store.insert_character(guild, &sheet).await.unwrap();
        let entries = json!({ "entries": { "0": {
            "uid": 0, "key": ["tide"], "content": format!("The tides of {canary} are high."),
            "constant": true, "order": 100, "position": 0, "disable": false,
        } } });
        let name = format!("{canary} lore");
        store.insert_lorebook(guild, &name, &entries.to_string()).await.unwrap();
        let preset = Preset { name: format!("{canary} calm"), params: json!({}), source: None };
        store.upsert_preset(guild, &preset).await.unwrap();
        let (of, line) = (BoundaryOf::Person(ann), format!("spiders of {canary}"));
        store.insert_boundary(guild, of, BoundaryKind::Line, &line).await.unwrap();
        let reason = format!("a warning in {canary}");
        let case = NewCase { kind: "warn", person: Some(ann), reason, ..NewCase::default() };
        store.insert_case(guild, &case).await.unwrap();
        let (lobby, log) = (server.text_channel("lobby"), server.text_channel("log"));
        Self { canary, guild, server, lobby, log, role: mods, people }
    }

    /// What somebody writes there.
    fn words(&self, rng: &mut ChaCha8Rng) -> String {
        let said = ["the tide", "black salt", "grey wool", "a lamp", "d6", "@everyone", "**rain**"];
        format!("{} {}", said.choose(rng).unwrap(), self.canary)
    }

    /// Where people can write now.
    fn channels(&self, world: &World) -> Vec<ChannelId> {
        let is_open = |channel: &&crate::support::discord::model::Channel| {
            channel.guild == Some(self.server.id)
                && channel.id != self.log.0
                && channel.thread.as_ref().is_none_or(|it| !it.archived && !it.locked)
        };
        world.channels.values().filter(is_open).map(|channel| ChannelId(channel.id)).collect()
    }

    /// Begins a scene with rules and a log, by commands.
    async fn begin(&self) {
        let (mo, ma) = (&self.people[3].0, &self.people[4].0);
        let file = ma.attach("policy.toml", RULES.as_bytes());
        done(ma.command(self.lobby, "policy import", json!({ "file": file })).await).await;
        let log = json!({ "channel": self.log.0.to_string() });
        done(ma.command(self.lobby, "setup reports", log).await).await;
        let with = json!({ "character": format!("{} Tam", self.canary) });
        done(mo.command(self.lobby, "scene start", with).await).await;
    }

    /// Lets go on what somebody stopped, so that there is something to do.
    async fn go_on(&self) {
        let mo = &self.people[3].0;
        done(mo.command(self.lobby, "mod resume-all", json!({})).await).await;
        for (person, _) in &self.people[..3] {
            let on = json!({ "person": person.id.to_string() });
            done(mo.command(self.lobby, "mod unblock", on).await).await;
            done(person.command(self.lobby, "privacy optin", json!({})).await).await;
        }
        self.begin().await;
    }
}

/// Waits until something is answered.
async fn done(answer: Answer) {
    assert_ne!(answer.kind(), AnswerKind::Silence, "nothing answers");
    if matches!(answer.kind(), AnswerKind::Deferred | AnswerKind::Message) {
        answer.settled(PATIENCE).await;
    }
}

/// How much was done of what.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    said: usize,
    asked: usize,
    pressed: usize,
    forged: usize,
}

/// What there is elsewhere.
struct Abroad<'a> {
    ids: &'a Ids,
    town: &'a Town,
}

/// Has the people of a server do something, one after another.
async fn live(discord: &Discord, here: &Town, abroad: &Abroad<'_>, seed: u64) -> Count {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (forms, menus) = (Form::all(), menus());
    let mut count = Count::default();
    // Answers that only one person sees, with their buttons.
    let mut shown: Vec<(Person, MessageId)> = Vec::new();
    for _ in 0..DEEDS {
        let (person, may) = here.people.choose(&mut rng).unwrap();
        let channels = here.channels(&discord.lock().world);
        let channel = *channels.choose(&mut rng).unwrap();
        let answer = match rng.random_range(0..100) {
            0..15 => {
                person.say(channel, &here.words(&mut rng));
                count.said += 1;
                continue;
            }
            15..47 => {
                let form = forms.choose(&mut rng).unwrap();
                if form.shown_to.is_some_and(|needed| may & needed == 0) {
                    continue;
                }
                count.asked += 1;
                let options = fill(here, abroad, person, form, &mut rng);
                person.command(channel, &form.path, options).await
            }
            47..53 => {
                let found: Vec<(&str, &str)> = forms.iter().flat_map(completed).collect();
                let (path, option) = *found.choose(&mut rng).unwrap();
                let form = forms.iter().find(|form| form.path == path).unwrap();
                if form.shown_to.is_none_or(|needed| may & needed != 0) {
                    count.asked += 1;
                    person.autocomplete(channel, path, option, "").await;
                }
                continue;
            }
            53..66 => {
                let posts = replies(discord, channel).into_iter().map(|post| (person, post));
                let own = shown.iter().filter_map(|(person, id)| {
                    let world = &discord.lock().world;
                    let message = world.messages.get(&(id.channel.0, id.id))?;
                    Some((person, world.seen_message(message)))
                });
                let all: Vec<_> = posts.chain(own).collect();
                let Some((person, message)) = all.choose(&mut rng) else { continue };
                let buttons: Vec<_> = message.buttons.iter().filter(|it| !it.disabled).collect();
                let Some(button) = buttons.choose(&mut rng) else { continue };
                count.pressed += 1;
                person.press_raw(message.id, &button.custom_id).await
            }
            66..74 => {
                let messages = discord.messages(channel);
                let Some(message) = messages.choose(&mut rng) else { continue };
                count.pressed += 1;
                person.menu_raw(channel, menus.choose(&mut rng).unwrap(), message.id.id).await
            }
            74..88 => {
                let messages = discord.messages(channel);
                let Some(message) = messages.choose(&mut rng) else { continue };
                count.forged += 1;
                person.press_raw(message.id, &abroad.ids.button(&mut rng)).await
            }
            88..94 => {
                count.forged += 1;
                let words = here.words(&mut rng);
                let fields = ["text", "reason", "name", "description"];
                let fields = fields.map(|field| (field, words.as_str()));
                person.submit_raw(channel, &abroad.ids.form(&mut rng), &fields).await
            }
            _ => {
                let theirs = {
                    let world = &discord.lock().world;
                    let theirs = abroad.town.channels(world);
                    theirs.iter().flat_map(|channel| world.seen(*channel)).collect::<Vec<_>>()
                };
                let Some(message) = theirs.choose(&mut rng) else { continue };
                count.forged += 1;
                let menu = menus.choose(&mut rng).unwrap();
                person.menu_raw(channel, menu, message.id.id).await
            }
        };
        let answer = filled_in(here, person, answer, &mut rng).await;
        if answer.kind() == AnswerKind::Deferred {
            let message = answer.settled(PATIENCE).await;
            if message.buttons.iter().any(|button| !button.disabled) {
                shown.push((person.clone(), message.id));
            }
        }
        assert_ne!(answer.kind(), AnswerKind::Silence, "nothing answers");
    }
    count
}

/// The options of a command that are completed while somebody types.
fn completed(form: &Form) -> impl Iterator<Item = (&str, &str)> {
    let options = form.options.iter().filter(|option| option["autocomplete"] == true);
    options.map(|option| (form.path.as_str(), option["name"].as_str().unwrap()))
}

/// What comes of a form, if that is the answer.
async fn filled_in(here: &Town, person: &Person, answer: Answer, rng: &mut ChaCha8Rng) -> Answer {
    if answer.kind() != AnswerKind::Modal {
        return answer;
    }
    let words: Vec<(String, String)> = answer
        .fields()
        .into_iter()
        .map(|field| (field.custom_id, here.words(rng).chars().take(field.max_length).collect()))
        .collect();
    let fields: Vec<_> = words.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
    person.submit(&answer, &fields).await
}

/// Options for a command: mostly such as there are here, now and then another server's.
fn fill(
    here: &Town,
    abroad: &Abroad<'_>,
    person: &Person,
    form: &Form,
    rng: &mut ChaCha8Rng,
) -> Value {
    let mut options = Map::new();
    for option in &form.options {
        if option["required"] != true && rng.random_bool(0.6) {
            continue;
        }
        let name = option["name"].as_str().unwrap();
        let is_foreign = rng.random_bool(0.4);
        let choices = option["choices"].as_array().filter(|all| !all.is_empty());
        let value = match option["type"].as_u64().unwrap() {
            _ if choices.is_some() => choices.unwrap().choose(rng).unwrap()["value"].clone(),
            3 => {
                let text = match name {
                    _ if is_foreign => abroad.ids.any(rng).to_string(),
                    "character" | "with" | "for" => format!("{} Tam", here.canary),
                    "book" => format!("{} lore", here.canary),
                    "name" | "preset" => format!("{} calm", here.canary),
                    "dice" => "2d6".to_owned(),
                    "keys" => "tide".to_owned(),
                    _ => here.words(rng),
                };
                let most = option["max_length"].as_u64().unwrap_or(100) as usize;
                json!(text.chars().take(most).collect::<String>())
            }
            4 => {
                let number = if is_foreign { abroad.ids.any(rng) } else { rng.random_range(0..9) };
                let bound = |key: &str, none: i64| option[key].as_i64().unwrap_or(none);
                json!(number.clamp(bound("min_value", 0), bound("max_value", i64::from(u32::MAX))))
            }
            5 => rng.random::<bool>().into(),
            6 => {
                let town = if is_foreign { abroad.town } else { here };
                town.people.choose(rng).unwrap().0.id.to_string().into()
            }
            7 => {
                let town = if is_foreign { abroad.town } else { here };
                town.lobby.0.to_string().into()
            }
            8 => here.role.to_string().into(),
            11 => {
                let name = format!("{} Una", here.canary);
                let card = json!({ "spec": "chara_card_v2", "spec_version": "2.0", "data": {
                    "name": name, "description": here.words(rng), "first_mes": here.words(rng),
                } });
                person.attach("x.json", card.to_string().as_bytes())
            }
            kind => panic!("{}: there are options of kind {kind}", form.path),
        };
        options.insert(name.into(), value);
    }
    options.into()
}

/// The rows of a server, once nothing of it is being written any more. Counts of what rules
/// met are written down a few seconds later.
async fn resting(home: &Home, town: &Town) -> Value {
    let since = Instant::now();
    let mut before = Value::Null;
    loop {
        let mut rows = home.database.rows_of(town.guild).await;
        rows.as_object_mut().unwrap().remove("rule_hit").expect("it is a table of guilds");
        let is_open = |job: &Value| {
            let state = job["state"].as_str().unwrap();
            !matches!(state, "sent" | "failed" | "cancelled") && job["resting"] == false
        };
        // What the log is still to tell of a case.
        let has_log = !rows["guild_settings"][0]["reports_channel"].is_null();
        let is_untold = |case: &Value| {
            let waits = ["report", "hold"].contains(&case["kind"].as_str().unwrap())
                && (case["decision"].is_null() || !case["log_message"].is_null());
            has_log && waits && case["logged_revision"].as_i64() < case["revision"].as_i64()
        };
        let any = |table: &str, is: &dyn Fn(&Value) -> bool| {
            rows[table].as_array().unwrap().iter().any(is)
        };
        if rows == before && !any("job", &is_open) && !any("moderation_case", &is_untold) {
            return rows;
        }
        before = rows;
        assert!(since.elapsed() < PATIENCE, "{} never rests\n{}", town.canary, home.log());
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
}

/// To which server a request goes, by its path; `None` where it goes to none.
fn reached(world: &World, path: &str) -> Option<u64> {
    let path = path.split('?').next().unwrap();
    let mut parts = path.split('/').skip(1);
    let (what, id) = (parts.next()?, parts.next()?);
    let of_interaction = |id: u64| world.interactions.get(&id).map(|it| it.guild);
    let id: u64 = id.parse().ok()?;
    match what {
        "channels" => world.guild_of(id),
        "guilds" => Some(id),
        "interactions" => of_interaction(id),
        "webhooks" if id == world.application => {
            of_interaction(parts.next()?.split('-').next()?.parse().ok()?)
        }
        "webhooks" => world.webhooks.get(&id).map(|webhook| webhook.guild),
        _ => None,
    }
}

/// What a file says, and what the files in it say.
fn texts_of(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if let Ok(mut zip) = zip::ZipArchive::new(std::io::Cursor::new(bytes)) {
        for number in 0..zip.len() {
            let mut inner = Vec::new();
            zip.by_index(number).unwrap().read_to_end(&mut inner).unwrap();
            text.push_str(&String::from_utf8_lossy(&inner));
        }
    }
    text
}

/// Fails where a word of one server came to another. Says how many of its own came to each.
fn assert_nothing_crossed(discord: &Discord, towns: &[Town]) -> [usize; 3] {
    let mut own = [0; 3];
    let mut look = |reached: Option<u64>, text: &str, what: &str| {
        for (number, town) in towns.iter().enumerate() {
            if !text.contains(town.canary) {
                continue;
            }
            assert_eq!(reached, Some(town.server.id), "a word of {}: {what}", town.canary);
            own[number] += 1;
        }
    };
    let requests = discord.requests();
    let state = discord.lock();
    let world = &state.world;
    for request in requests {
        let text = format!("{} {} {:?}", request.path, request.body, request.files);
        let what = format!("{} {}", request.method, request.path);
        look(reached(world, &request.path), &text, &what);
    }
    for message in world.messages.values() {
        for described in &message.attachments {
            let bytes = world.file(described).map(|file| file.bytes.clone()).unwrap_or_default();
            let what = format!("file {:?}", id_of(&described["id"]));
            look(world.guild_of(message.channel), &texts_of(&bytes), &what);
        }
    }
    own
}

#[allow(clippy::print_stdout, reason = "figures for whoever runs it with --nocapture")]
fn print_figures(figures: &str) {
    println!("{figures}");
}

/// What chance begins with, by the clock unless somebody says.
#[allow(clippy::disallowed_methods, reason = "a test's own variable")]
fn seed() -> u64 {
    let given = std::env::var("CROSSING_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_secs()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_crosses_from_one_server_to_another_whatever_people_do() {
    let seed = seed();
    print_figures(&format!("CROSSING_SEED={seed}"));
    // Whoever reads a prompt says which of the words are in it.
    let script = Script::saying(|asked| {
        let prompt = asked["prompt"].as_str().unwrap();
        let known = CANARIES.into_iter().filter(|canary| prompt.contains(canary));
        format!("The tide goes out over {}.", known.collect::<Vec<_>>().join(" and "))
    })
    .await;
    let discord = Discord::start().await;
    let mut home = Home::new().await;
    home.set(&format!("workers.on={}", script.url()));
    home.set("model.context_tokens=1024");
    let mut towns = Vec::new();
    for canary in CANARIES {
        towns.push(Town::found(&discord, &home.database.store, canary).await);
    }
    // Somebody lives in two of them.
    let ann = towns[1].server.invite(&towns[0].people[0].0);
    towns[1].people.push((ann, 0));
    let serve = home.serve(&discord).await;
    for town in &towns {
        town.begin().await;
    }
    let began = Instant::now();
    let mut counts = Vec::new();
    for rests in 0..3 {
        let [one, other] = [(rests + 1) % 3, (rests + 2) % 3];
        for town in [one, other] {
            towns[town].go_on().await;
        }
        let before = resting(&home, &towns[rests]).await;
        let ids = Ids::of(&home.database.pool, towns[rests].guild).await;
        let abroad = Abroad { ids: &ids, town: &towns[rests] };
        let seed = seed.wrapping_add(2 * rests as u64);
        let (a, b) = tokio::join!(
            live(&discord, &towns[one], &abroad, seed),
            live(&discord, &towns[other], &abroad, seed.wrapping_add(1))
        );
        counts.extend([a, b]);
        let after = resting(&home, &towns[rests]).await;
        for (table, rows) in before.as_object().unwrap() {
            assert_eq!(&after[table], rows, "{table} of {}", towns[rests].canary);
        }
    }
    for town in &towns {
        resting(&home, town).await;
    }
    let own = assert_nothing_crossed(&discord, &towns);
    let sum = |of: fn(&Count) -> usize| counts.iter().map(of).sum::<usize>();
    let all = [sum(|it| it.said), sum(|it| it.asked), sum(|it| it.pressed), sum(|it| it.forged)];
    let written = script.asked().len();
    print_figures(&format!(
        "{all:?} said, asked, pressed, forged in {:?}; {written} replies; {own:?} came home",
        began.elapsed()
    ));
    assert!(all.into_iter().all(|some| some > 20), "all of it is done: {all:?}");
    assert!(written > 5 && own.into_iter().all(|some| some > 20), "{written} {own:?}");
    let log = home.log();
    for wrong in ["panicked", "discord.interaction.broken", " ERROR "] {
        assert!(!log.contains(wrong), "{wrong}\n{log}");
    }
    for canary in CANARIES {
        assert!(!log.contains(canary), "the log holds what people say: {canary}");
    }
    let (status, _) = serve.stop().await;
    assert!(status.success(), "{status}");
}
