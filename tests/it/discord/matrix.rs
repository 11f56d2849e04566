//! Every command, menu and button × everybody × every state of a place × two policies,
//! through the real binary: the table beside this file says who gets through and what others
//! are told.
//!
//! `INSTA_UPDATE=always` writes it anew.

mod court;

use std::time::{Duration, Instant};

use dramatis::domain::GuildId;
use serde_json::{Map, Value, json};

use self::court::{Court, execute, keep};
use super::serve::{Home, PATIENCE};
use crate::support::discord::answer::{Answer, AnswerKind};
use crate::support::discord::people::Person;
use crate::support::discord::permissions::{MANAGE_GUILD, MANAGE_MESSAGES};
use crate::support::discord::{Discord, MessageId};

/// What people are told who do not get through, by a letter.
const TOLD: [(char, &str, &str); 20] = [
    ('n', "nothing is played here", "/scene start begins one"),
    ('p', "for those who play in it", "for those who play in the scene"),
    ('o', "for whoever began it", "for the person who began the scene"),
    ('a', "for its author", "somebody else wrote that"),
    ('c', "for whoever made the character", "somebody else made that character"),
    ('l', "for whoever made the book", "somebody else made that lorebook"),
    ('r', "for whoever brought the preset", "that preset is not yours"),
    ('y', "the policy says moderators", "leaves that to moderators"),
    ('m', "for moderators", "that is for moderators"),
    ('g', "for Manage Server", "the permission manage server"),
    ('f', "frozen by a moderator", "moderator froze this scene"),
    ('s', "everything is stopped", "stopped all scenes"),
    ('b', "they are blocked", "have you not heard"),
    ('u', "the scene is paused", "is paused"),
    ('k', "nobody of that kind is there", "there is no case"),
    ('q', "not frozen", "is not frozen"),
    ('t', "something is played here already", "being played here already"),
    ('x', "the message is no turn of what is played here", "is no turn of"),
    ('h', "for characters' turns", "only a character's turn"),
    ('w', "no model wrote that", "no model wrote that"),
];

/// Commands that change nothing for the next one.
const READS: [&str; 32] = [
    "scene status",
    "scene export",
    "cast list",
    "persona show",
    "queue",
    "preset export",
    "lore list",
    "lore export",
    "lore test",
    "context",
    "why",
    "help",
    "character show",
    "character list",
    "character export",
    "setup show",
    "mod history",
    "mod case",
    "mod queue",
    "training status",
    "privacy show",
    "privacy export",
    "lines show",
    "policy show",
    "policy export",
    "policy test",
    "policy hits",
    // These ask first.
    "scene end",
    "character delete",
    "privacy delete",
    "mod purge",
    "lore remove",
];

const STATES: [&str; 6] = ["none", "active", "paused", "frozen", "ended", "stopped"];
const ROLES: [&str; 6] = ["reader", "player", "opener", "moderator", "manager", "blocked"];

/// The buttons under what the bot said or is saying.
const BUTTONS: [&str; 8] =
    ["previous", "next", "again", "continue", "shorter", "longer", "report", "stop"];

/// What somebody may ask for.
enum Wish {
    Command(Form),
    /// An entry of a message's menu.
    Menu(String, On),
    /// A button under what the bot said.
    Button(&'static str),
}

/// Whose message a menu is on.
#[derive(Clone, Copy)]
enum On {
    Own,
    Others,
    Bots,
}

/// One command.
pub(super) struct Form {
    pub(super) path: String,
    pub(super) options: Vec<Value>,
    /// What somebody must be allowed for Discord to show it to them.
    pub(super) shown_to: Option<u64>,
}

impl Form {
    /// Every command there is.
    pub(super) fn all() -> Vec<Self> {
        let mut found = Vec::new();
        commands(&definitions(), "", None, &mut found);
        assert!(found.len() > 70, "{}", found.len());
        found
    }
}

/// What Discord is told of commands and menus.
fn definitions() -> Value {
    Value::from(dramatis::discord::definitions())
}

impl Wish {
    fn all() -> Vec<Self> {
        let on =
            |menu: String| [On::Own, On::Others, On::Bots].map(|on| Self::Menu(menu.clone(), on));
        let commands = Form::all().into_iter().map(Self::Command);
        commands.chain(menus().into_iter().flat_map(on)).chain(BUTTONS.map(Self::Button)).collect()
    }

    fn name(&self) -> String {
        match self {
            Self::Command(form) => form.path.clone(),
            Self::Menu(name, On::Own) => format!("{name} (own)"),
            Self::Menu(name, On::Others) => format!("{name} (others')"),
            Self::Menu(name, On::Bots) => format!("{name} (bot's)"),
            Self::Button(name) => format!("[{name}]"),
        }
    }

    fn only_reads(&self) -> bool {
        match self {
            Self::Command(form) => READS.contains(&form.path.as_str()),
            Self::Menu(name, _) => name == "What did it see",
            Self::Button(_) => false,
        }
    }
}

/// The entries of the menu on messages.
pub(super) fn menus() -> Vec<String> {
    let definitions = definitions();
    let menus = definitions.as_array().unwrap().iter().filter(|it| it["type"] == 3);
    menus.map(|menu| menu["name"].as_str().unwrap().to_owned()).collect()
}

/// Every command with its options.
fn commands(definitions: &Value, at: &str, above: Option<u64>, found: &mut Vec<Form>) {
    for one in definitions.as_array().into_iter().flatten() {
        // Slash commands, and what is below them.
        if one.get("type").is_some_and(|kind| !matches!(kind.as_u64(), Some(1 | 2))) {
            continue;
        }
        let path = format!("{at} {}", one["name"].as_str().unwrap());
        let shown_to = one["default_member_permissions"].as_str().map(|it| it.parse().unwrap());
        let shown_to = shown_to.or(above);
        let options = one["options"].as_array().cloned().unwrap_or_default();
        let is_leaf = options.iter().all(|it| !matches!(it["type"].as_u64(), Some(1 | 2)));
        if is_leaf {
            found.push(Form { path: path.trim().to_owned(), options, shown_to });
        } else {
            commands(&one["options"], &path, shown_to, found);
        }
    }
}

fn fill(court: &Court, person: &Person, form: &Form) -> Value {
    let mut options = Map::new();
    for option in form.options.iter().filter(|option| option["required"] == true) {
        let name = option["name"].as_str().unwrap();
        let first_choice = option["choices"].get(0).map(|choice| choice["value"].clone());
        let value = match (name, option["type"].as_u64().unwrap()) {
            _ if first_choice.is_some() => first_choice.unwrap(),
            ("character", _) if form.path == "cast add" => "Una".into(),
            ("character", _) => "Tam".into(),
            ("book", _) => "Book".into(),
            ("name", _) => "Calm".into(),
            ("dice", _) => "d6".into(),
            ("length", _) => "medium".into(),
            (_, 4) => json!(1),
            (_, 6) => court.people[1].id.to_string().into(),
            (_, 7) => court.places[0].channel.0.to_string().into(),
            (_, 11) => person.attach("x.txt", b"nothing that could be read"),
            _ => "something".into(),
        };
        options.insert(name.into(), value);
    }
    options.into()
}

/// What becomes of a wish.
async fn outcome(home: &Home, court: &Court, role: usize, place: usize, wish: &Wish) -> char {
    let (person, place) = (&court.people[role], &court.places[place]);
    let answer = match wish {
        Wish::Command(form) => {
            let has = [0, 0, 0, MANAGE_MESSAGES, MANAGE_GUILD, 0][role];
            if form.shown_to.is_some_and(|needed| has & needed == 0) {
                return '-';
            }
            let options = fill(court, person, form);
            let answer = person.command(place.channel, &form.path, options).await;
            if answer.kind() == AnswerKind::Modal {
                return '·';
            }
            answer
        }
        Wish::Menu(name, on) => {
            let others = if role == 1 { 2 } else { 1 };
            let message = match on {
                On::Own => place.said[role],
                On::Others => place.said[others],
                On::Bots => place.reply,
            };
            filled_in(person, person.message_menu(message, name).await).await
        }
        Wish::Button("report") => {
            filled_in(person, person.press(place.reply, "report").await).await
        }
        Wish::Button(name) => return pressed(home, court.guild, person, place.reply, name).await,
    };
    letter(&answer.settled(PATIENCE).await.content)
}

/// By which letter a table says what somebody is told.
fn letter(told: &str) -> char {
    let told = told.to_lowercase();
    TOLD.iter().find(|(_, _, text)| told.contains(text)).map_or('·', |(letter, ..)| *letter)
}

/// What comes of a form, if that is the answer.
async fn filled_in(person: &Person, answer: Answer) -> Answer {
    if answer.kind() != AnswerKind::Modal {
        return answer;
    }
    let field = answer.fields()[0].custom_id.clone();
    person.submit(&answer, &[(field.as_str(), "Ill met.")]).await
}

/// What comes of a button: a word to whoever pressed it, or what they wanted.
async fn pressed(
    home: &Home,
    guild: GuildId,
    person: &Person,
    message: MessageId,
    button: &str,
) -> char {
    let before = standing(home, guild).await;
    let answer = person.press(message, button).await;
    assert_eq!(answer.kind(), AnswerKind::DeferredUpdate, "{button}");
    let since = Instant::now();
    loop {
        let is_done = standing(home, guild).await != before;
        if let Some(told) = answer.followups().first() {
            assert!(!is_done, "{button} is refused and done: {}", told.content);
            let letter = letter(&told.content);
            assert_ne!(letter, '·', "{button}: {}", told.content);
            return letter;
        }
        if is_done {
            // What follows the first change is to be over when it is taken back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            return '·';
        }
        assert!(since.elapsed() < PATIENCE, "nothing comes of {button}\n{}", home.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What buttons change: which replies are asked for or called off, which texts stand.
async fn standing(home: &Home, guild: GuildId) -> String {
    sqlx::query_scalar(
        "SELECT concat_ws(' ',
             (SELECT count(*) FROM job WHERE guild_id = $1 AND work ->> 'kind' <> 'show'),
             (SELECT count(*) FROM job WHERE guild_id = $1 AND state = 'cancelled'),
             (SELECT string_agg(swipe_id::text, ',' ORDER BY id) FROM turn WHERE guild_id = $1))",
    )
    .bind(guild.0)
    .fetch_one(&home.database.pool)
    .await
    .unwrap()
}

/// What becomes of every wish in one server.
async fn try_all(home: &Home, court: &Court, all: &[Wish]) -> String {
    let back = keep(home, court.guild).await;
    let freeze = format!("UPDATE guild SET frozen_at = now() WHERE id = {}", court.guild.0);
    let mut table = format!("{:26}", "");
    table.extend(STATES.map(|state| format!("{state:9}")));
    for wish in all {
        table.push_str(&format!("\n{:26}", wish.name()));
        for (place, state) in STATES.iter().enumerate() {
            if *state == "stopped" {
                execute(home, &freeze).await;
            }
            let mut cells = String::new();
            for role in 0..ROLES.len() {
                let cell = outcome(home, court, role, place, wish).await;
                cells.push(cell);
                if cell == '·' && !wish.only_reads() {
                    execute(home, &back).await;
                    if *state == "stopped" {
                        execute(home, &freeze).await;
                    }
                }
            }
            table.push_str(&format!("{cells:9}"));
        }
        execute(home, &back).await;
    }
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_do_what_where_is_as_the_table_says() {
    let discord = Discord::start().await;
    let home = Home::new().await;
    let store = &home.database.store;
    let strict = json!({ "starters": "moderators", "characters": "moderators" });
    let open = Court::open(&discord, store, "Open", json!({})).await;
    let strict = Court::open(&discord, store, "Strict", strict).await;
    let serve = home.serve(&discord).await;
    // Nobody writes replies here.
    execute(&home, "UPDATE lane SET lease_until = now() + interval '1 day'").await;
    for court in [&open, &strict] {
        court.put_buttons(&discord, store).await;
    }
    let all = Wish::all();
    let (open, strict) = tokio::join!(try_all(&home, &open, &all), try_all(&home, &strict, &all));

    let mut table =
        format!("In each place: {}\n· gets through\n- does not see it\n", ROLES.join(", "));
    for (letter, meaning, _) in TOLD {
        table.push_str(&format!("{letter} {meaning}\n"));
    }
    table.push_str(&format!("\nWhere everything is allowed\n{open}\n"));
    table.push_str(&format!("\nWhere scenes and characters are for moderators\n{strict}\n"));
    let table: Vec<&str> = table.lines().map(str::trim_end).collect();
    insta::assert_snapshot!("who_may_do_what", table.join("\n"));
    serve.stop().await;
}
