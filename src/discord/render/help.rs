//! How to play, and what the commands do.
//!
//! What is said of commands comes from their definitions, in the reader's
//! language; a few topics explain what no single command is about.

use serde_json::Value;

use super::super::locale::{Locale, definitions};
use super::{lines_within, plain};

/// What can be asked for beside the commands.
const TOPICS: [(&str, &str); 9] = [
    (
        "playing",
        "**Playing**\nWrite in the scene as in any other channel: what you write is your turn, and \
         somebody answers. Mention a character's name to be answered by it. Replies are written \
         as you watch; ⏹️ ends one early.\n\nPeople's edits count: change your message and the \
         story changes; delete it and the turn goes. /undo takes the latest change back, /redo \
         takes that back.",
    ),
    (
        "scenes",
        "**Scenes**\nA scene is one story in one place: a thread, a forum post, or a whole \
         channel. /scene start begins one; in a forum that was set up for it, every new post does: \
         its text is the scenario, its tags choose the character or the length.\n\n/scene pause \
         keeps turns without answering, /scene end closes the story, /scene branch plays on \
         elsewhere as if in another world, /scene export gives it to you as a file.",
    ),
    (
        "lengths",
        "**Lengths**\nThe model was taught ten words for how long a reply is: micro, tiny, short, \
         medium, long, massive, huge, enormous, humongous, unlimited. /length chooses one for the \
         scene or for one character; auto leaves it to the model. /reply length: is for once. ➖ \
         and ➕ under a reply tell it again a step shorter or longer.",
    ),
    (
        "buttons",
        "**Buttons**\n◀️ ▶️ turn between the texts of the latest reply; none is ever lost. 🔄 \
         writes one more. ⏩ lets it go on where it stopped. ➖ and ➕ tell it shorter or longer. \
         ⚠️ tells the moderators.\n\nThe menu of any message (Apps) can do more: edit it, rewind to \
         it, branch from it, and show what the model saw.",
    ),
    (
        "out of character",
        "**Out of character**\nLines that begin with // and words in ((double parentheses)) are \
         beside the story: everybody sees them, the characters never do.",
    ),
    (
        "personas",
        "**Personas**\nYou are yourself until you say otherwise. /persona set chooses whom you \
         play, in this scene or on the whole server; its name heads your turns and its description \
         is known to the characters. Posts by PluralKit and Tupperbox count as the one who speaks.",
    ),
    (
        "lines and veils",
        "**Lines and veils**\nA line never happens in your scenes; a veil happens off-screen alone, \
         where the scene fades to black. /lines add draws one for yourself, wherever you take part, \
         or for the scene. Name a few words or a theme of /policy. Others see it as someone's, \
         never whose it is. A reply that crosses a line is written anew before anybody sees it. It \
         is a filter of words: what it misses, ⚠️ tells the moderators.",
    ),
    (
        "permissions",
        "**Permissions**\nEverybody who can write in a scene's channel can play in it. Players \
         change its length, note, scenario and cast; the one who began it pauses and ends it. \
         Characters, lorebooks and presets are changed by those who brought them. What others \
         wrote or brought is changed by moderators: people who may manage messages, and roles \
         named with /setup roles. Managers of the server set up where scenes live.",
    ),
    (
        "moderators",
        "**Moderators**\nWhere the rules of a place say so, moderators look at a message, an edit, a \
         reply or a character first: 🔎 stands on a message that waits. Nothing of it is lost; you \
         are told if it is not taken, and /appeal says something to it. Change your message and \
         what waits changes; delete it and it is taken back.\n\nFor moderators: /setup reports \
         names the channel where that and reports are posted with buttons; /mod queue lists the \
         same.",
    ),
];

/// All commands; or one, or a topic; or what there is.
pub(in crate::discord) fn help(topic: Option<&str>, locale: Locale) -> String {
    let Some(topic) = topic.map(str::trim).filter(|topic| !topic.is_empty()) else {
        return overview(locale);
    };
    let wanted = topic.trim_start_matches('/').to_lowercase();
    if let Some((_, text)) = TOPICS.iter().find(|(name, _)| *name == wanted) {
        return (*text).to_owned();
    }
    let is_wanted = |command: &&Value| {
        let name = text(command, "name");
        let path = path(command);
        name.to_lowercase() == wanted || locale.name(&path, name).to_lowercase() == wanted
    };
    match definitions().iter().find(is_wanted) {
        Some(command) => one_command(command, locale),
        None => {
            let topics = help_topics("", locale).join(", ");
            let end = format!("There is no help about “{}”. There is: {topics}.", plain(topic, 60));
            lines_within("", std::iter::empty(), &end)
        }
    }
}

/// Up to 25 topics that begin with these letters, or hold them.
pub(in crate::discord) fn help_topics(written: &str, locale: Locale) -> Vec<String> {
    let written = written.trim().to_lowercase();
    let commands = definitions().iter().filter(|command| is_chat_input(command));
    let commands =
        commands.map(|command| format!("/{}", locale.name(&path(command), text(command, "name"))));
    let topics = TOPICS.iter().map(|(name, _)| (*name).to_owned());
    let mut found: Vec<String> =
        topics.chain(commands).filter(|topic| topic.contains(&written)).collect();
    found.sort_by_key(|topic| !topic.trim_start_matches('/').starts_with(&written));
    found.truncate(25);
    found
}

fn overview(locale: Locale) -> String {
    let lines = definitions().iter().filter(|command| is_chat_input(command)).map(|command| {
        let path = path(command);
        let name = locale.name(&path, text(command, "name"));
        format!("`/{name}` {}", locale.description(&path, text(command, "description")))
    });
    let topics: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
    let menus: Vec<&str> = definitions()
        .iter()
        .filter(|command| !is_chat_input(command))
        .map(|command| locale.name(&path(command), text(command, "name")))
        .collect();
    let end = format!(
        "In a message's menu, under Apps: {}.\nMore: /help topic: {}, or any command.",
        menus.join(", "),
        topics.join(", ")
    );
    lines_within("Write in a scene, and somebody answers.\n", lines, &end)
}

fn one_command(command: &Value, locale: Locale) -> String {
    let path = path(command);
    if !is_chat_input(command) {
        let name = locale.name(&path, text(command, "name"));
        return format!("**{name}** is in the menu of every message of a scene, under Apps.");
    }
    let name = locale.name(&path, text(command, "name"));
    let description = locale.description(&path, text(command, "description"));
    let begin = format!("**/{name}** · {description}\n");
    lines_within(&begin, options(command, &path, name, locale).into_iter(), "")
}

/// A line for each subcommand and each option; `[…]` can be left out.
fn options(value: &Value, path: &str, said: &str, locale: Locale) -> Vec<String> {
    let mut lines = Vec::new();
    for option in value["options"].as_array().into_iter().flatten() {
        let path = format!("{path} {}", text(option, "name"));
        let name = locale.name(&path, text(option, "name"));
        let description = locale.description(&path, text(option, "description"));
        if option["type"] == SUBCOMMAND {
            let said = format!("{said} {name}");
            lines.push(format!("`/{said}` {description}"));
            lines.extend(options(option, &path, &said, locale));
        } else if option["required"] == true {
            lines.push(format!("- `{name}:` {description}"));
        } else {
            lines.push(format!("- `[{name}:]` {description}"));
        }
    }
    lines
}

const SUBCOMMAND: u64 = 1;

fn is_chat_input(command: &Value) -> bool {
    command["type"] == 1
}

fn path(command: &Value) -> String {
    let begin = if is_chat_input(command) { "/" } else { "menu " };
    format!("{begin}{}", text(command, "name"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
