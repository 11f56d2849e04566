//! The scene, its people, its characters, and how a guild is set up.

use std::fmt::Write;

use super::super::names::length;
use super::super::split::{MAX_MESSAGE, split};
use super::queue::standing;
use super::{count, lines_within, plain};
use crate::domain::{
    CastMember, Character, CharacterSheet, Length, Participant, Persona, Scene, SceneState,
};
use crate::store::{ChannelSettings, Consent, GuildSettings, QueuePlace, SceneOpening};

/// How much of a long text is shown beside other things.
const EXCERPT: usize = 300;

/// How much of a text stands behind a name.
const SUMMARY: usize = 90;

/// What `/scene status` tells.
#[derive(Debug, Clone, Copy)]
pub(in crate::discord) struct Status<'a> {
    /// The scene.
    pub(in crate::discord) scene: &'a Scene,
    /// Who plays in it.
    pub(in crate::discord) cast: &'a [CastMember],
    /// Who writes in it.
    pub(in crate::discord) people: &'a [Participant],
    /// Replies that wait or are being written.
    pub(in crate::discord) num_jobs: usize,
    /// Where the scene stands in the queue.
    pub(in crate::discord) place: &'a QueuePlace,
}

/// How a scene stands.
pub(in crate::discord) fn status(status: &Status<'_>) -> String {
    let scene = status.scene;
    let state = match scene.state {
        SceneState::Active => "being played",
        SceneState::Paused => "paused: turns are kept, nobody answers",
        SceneState::Frozen => "frozen by a moderator: nothing is taken or changed",
        SceneState::Ended => "over",
    };
    let mut begin = format!("**{}** · {state}\n", plain(&scene.title, 100));
    let _ = writeln!(begin, "Length {} · preset {}", named(scene.length), plain(&scene.preset, 60));
    match (status.num_jobs, standing(status.place)) {
        (0, _) => {}
        (_, Some(standing)) => {
            let _ = writeln!(begin, "{standing}");
        }
        (num_jobs, None) => {
            let _ = writeln!(begin, "Being shown: {}", count(num_jobs, "change"));
        }
    }
    if let Some(note) = &scene.note {
        let place = match note.depth {
            0 => "right before the reply".to_owned(),
            depth => format!("{} before the end", count(depth, "turn")),
        };
        let _ = writeln!(begin, "Note, {place}: {}", plain(&note.text, SUMMARY));
    }
    if !scene.scenario.trim().is_empty() {
        let _ = writeln!(begin, "Scenario: {}", plain(&scene.scenario, EXCERPT));
    }
    lines_within(&begin, everybody(status.cast, status.people), "")
}

/// Everybody in a scene.
pub(in crate::discord) fn cast(cast: &[CastMember], people: &[Participant]) -> String {
    lines_within("**In this scene**\n", everybody(cast, people), "")
}

fn everybody<'a>(
    cast: &'a [CastMember],
    people: &'a [Participant],
) -> impl Iterator<Item = String> + 'a {
    let cast = cast.iter().map(|member| {
        let sheet = &member.character.sheet;
        let length = member.length.map_or_else(String::new, |length| format!(" ({length})"));
        about(&format!("🎭 **{}**{length}", plain(sheet.stage_name(), 80)), &sheet.description)
    });
    let people = people.iter().map(|person| {
        let name = plain(person.name(), 80);
        let person_name = plain(&person.person.display_name, 80);
        let player = match person.persona {
            Some(_) if name != person_name => format!(", played by {person_name}"),
            _ => String::new(),
        };
        about(&format!("✍️ **{name}**{player}"), person.description())
    });
    cast.chain(people)
}

fn about(name: &str, text: &str) -> String {
    if text.trim().is_empty() {
        name.to_owned()
    } else {
        format!("{name} · {}", plain(text, SUMMARY))
    }
}

fn named(length: Option<Length>) -> &'static str {
    length.map_or("auto", Length::as_str)
}

/// Whom somebody plays.
#[derive(Debug, Clone, Copy)]
pub(in crate::discord) struct Personas<'a> {
    /// Their own name.
    pub(in crate::discord) display_name: &'a str,
    /// In this scene, if it has one for them.
    pub(in crate::discord) here: Option<&'a Persona>,
    /// Everywhere else in the guild.
    pub(in crate::discord) server: Option<&'a Persona>,
}

/// Whom somebody plays, here and elsewhere.
pub(in crate::discord) fn personas(personas: &Personas<'_>) -> String {
    let own = plain(personas.display_name, 80);
    let told = |place: &str, persona: Option<&Persona>, otherwise: String| match persona {
        Some(persona) => {
            let description = match persona.description.trim() {
                "" => "no description; /persona set gives one".to_owned(),
                description => plain(description, 800),
            };
            format!("{place}: **{}**\n> {description}", plain(&persona.name, 80))
        }
        None => format!("{place}: {otherwise}"),
    };
    let here = match personas.server {
        Some(_) => "the same as on this server".to_owned(),
        None => format!("yourself, **{own}**"),
    };
    let lines = [
        told("In this scene", personas.here, here),
        told("On this server", personas.server, format!("yourself, **{own}**")),
    ];
    lines_within("", lines.into_iter(), "")
}

/// All that is known of a character, as far as one message holds it.
pub(in crate::discord) fn character(sheet: &CharacterSheet) -> String {
    let greetings = sheet.greetings().count();
    let mut text = format!("**{}**", plain(&sheet.name, 100));
    if let Some(nickname) = &sheet.nickname {
        let _ = write!(text, ", called {}", plain(nickname, 100));
    }
    let talkativeness = (sheet.talkativeness * 100.0).round();
    let _ = writeln!(
        text,
        " · speaks unasked {talkativeness} % of the time · {}",
        count(greetings, "greeting")
    );
    let fields = [
        ("Description", &sheet.description),
        ("Personality", &sheet.personality),
        ("Scenario", &sheet.scenario),
        ("Greeting", &sheet.greeting),
        ("Example dialogue", &sheet.example_dialogue),
        ("System prompt", &sheet.system_prompt),
        ("Instructions after the history", &sheet.post_history_instructions),
    ];
    let fields: Vec<_> = fields.into_iter().filter(|(_, text)| !text.trim().is_empty()).collect();
    // Every field gets the same room, so that a long one hides no other.
    let room = 1_700 / fields.len().max(1);
    for (title, field) in fields {
        let _ = write!(text, "\n**{title}**\n{}", quoted(field, room));
    }
    split(&text, MAX_MESSAGE).into_iter().next().unwrap_or(text)
}

/// The beginning of a text, as a quote of about `room` characters.
fn quoted(text: &str, room: usize) -> String {
    let mut out = String::new();
    let mut left = room;
    for paragraph in text.lines().filter(|paragraph| !paragraph.trim().is_empty()) {
        let whole = plain(paragraph, usize::MAX);
        let size = length(&whole) + 3;
        if size > left {
            // What is escaped is at most twice as long.
            let _ = writeln!(out, "> {}", plain(paragraph, (left / 2).max(10)));
            break;
        }
        left -= size;
        let _ = writeln!(out, "> {whole}");
    }
    out
}

/// The characters of a guild.
pub(in crate::discord) fn characters(characters: &[Character]) -> String {
    if characters.is_empty() {
        return "There is no character yet; /character create makes one.".to_owned();
    }
    let lines = characters.iter().map(|character| {
        let sheet = &character.sheet;
        about(&format!("🎭 **{}**", plain(&sheet.name, 80)), &sheet.description)
    });
    lines_within("**Characters of this server**\n", lines, "")
}

/// The presets that can be chosen, and the one that is.
pub(in crate::discord) fn presets(names: &[String], chosen: &str) -> String {
    let lines = names.iter().map(|name| {
        let mark = if name.eq_ignore_ascii_case(chosen) { " ← chosen" } else { "" };
        format!("- {}{mark}", plain(name, 80))
    });
    lines_within("**How words are chosen**\n", lines, "")
}

/// How a guild is set up; `name` finds a character's name.
pub(in crate::discord) fn setup(
    settings: &GuildSettings,
    consent: Consent,
    channels: &[ChannelSettings],
    name: impl Fn(crate::domain::CharacterId) -> Option<String>,
) -> String {
    let roles = mentions(&settings.moderator_roles);
    let moderators = match roles.as_str() {
        "" => "people who may manage messages".to_owned(),
        roles => format!("people who may manage messages, and {roles}"),
    };
    let reports = match &settings.reports_channel {
        Some(channel) => format!("in <#{channel}>"),
        None => "nowhere; /setup reports names a channel".to_owned(),
    };
    let asked = match consent {
        Consent::Asked => "People are asked before their words are taken",
        Consent::Assumed => {
            "Nobody is asked before their words are taken; /setup consent changes it"
        }
    };
    let mut begin = format!("Moderators: {moderators}\nReports appear {reports}\n{asked}\n");
    if channels.is_empty() {
        begin.push_str("Scenes may begin everywhere; /setup channel says where and how\n");
    }
    let lines = channels.iter().map(|channel| {
        let opens = match channel.opens {
            SceneOpening::Never => "no scenes",
            SceneOpening::Command => "scenes by /scene start",
            SceneOpening::Post => "a scene with every new post",
            SceneOpening::Channel => "the channel itself is one scene",
        };
        let mut line = format!("<#{}>: {opens}", channel.channel);
        if !channel.starter_roles.is_empty() {
            let _ = write!(line, ", begun by {}", mentions(&channel.starter_roles));
        }
        if let Some(name) = channel.character.and_then(&name) {
            let _ = write!(line, ", with {}", plain(&name, 80));
        }
        if let Some(length) = channel.length {
            let _ = write!(line, ", length {length}");
        }
        if let Some(preset) = &channel.preset {
            let _ = write!(line, ", preset {}", plain(preset, 60));
        }
        line
    });
    lines_within(&begin, lines, "")
}

fn mentions(roles: &[String]) -> String {
    roles.iter().map(|role| format!("<@&{role}>")).collect::<Vec<_>>().join(", ")
}
