//! The commands as Discord is told of them, in every language that we have.
//!
//! `config/discord/commands.json` holds them in Discord's own shape and in English.
//! A file of `config/discord/locales/` adds one language, by path: `/scene start
//! character` is an option, `/scene export format=json` one of its choices, `menu
//! Edit` an entry of the message menu, `length=micro` a length wherever one is
//! chosen, `button again` a button. Where a file says nothing, English stands.
//!
//! Where the data says `"choices": "lengths"` or `"lengths or auto"`, the lengths
//! are filled in from [`Length::ALL`].

#[cfg(test)]
mod rules;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::domain::Length;
use crate::fetch::Digest;

const COMMANDS: &str = include_str!("../../config/discord/commands.json");

/// Discord's code of each language, and its file.
const LANGUAGES: [(&str, &str); 2] = [
    ("de", include_str!("../../config/discord/locales/de.json")),
    ("fr", include_str!("../../config/discord/locales/fr.json")),
];

/// What leaves the length to the model, among the choices of a length.
pub(super) const AUTO: &str = "auto";

/// A language's words for one path.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    description: Option<String>,
}

#[derive(Debug)]
struct Language {
    code: &'static str,
    entries: BTreeMap<String, Entry>,
}

static TRANSLATIONS: LazyLock<Vec<Language>> = LazyLock::new(|| {
    let read = |(code, file)| Language {
        code,
        entries: serde_json::from_str(file).expect("the committed languages can be read"),
    };
    LANGUAGES.into_iter().map(read).collect()
});

static DEFINITIONS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let mut commands: Vec<Value> =
        serde_json::from_str(COMMANDS).expect("the committed commands can be read");
    for command in &mut commands {
        let top = if command["type"] == MESSAGE_COMMAND { "menu " } else { "/" };
        localise(command, &format!("{top}{}", name_of(command)));
    }
    commands
});

/// Discord's type of the commands in a message's menu.
const MESSAGE_COMMAND: u64 = 3;

/// Every command, as Discord's bulk overwrite takes them.
pub fn definitions() -> &'static [Value] {
    &DEFINITIONS
}

/// A digest of [`definitions`]: they are sent only when it is another one than
/// the last time.
pub fn definitions_hash() -> String {
    let text = serde_json::to_vec(definitions()).expect("JSON values can be written");
    Digest::of(&text).to_string()
}

/// A language that people read; English until told otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Locale(Option<&'static Language>);

impl Locale {
    /// The language of a code of Discord's, such as `de` or `en-GB`.
    pub(super) fn of(code: &str) -> Self {
        let language = code.split('-').next().unwrap_or(code);
        let known = |wanted: &str| TRANSLATIONS.iter().find(|known| known.code == wanted);
        Self(known(code).or_else(|| known(language)))
    }

    /// What is called `english` at `path`, in this language.
    pub(super) fn name<'a>(self, path: &str, english: &'a str) -> &'a str {
        self.entry(path).map_or(english, |entry| &entry.name)
    }

    /// What is described as `english` at `path`, in this language.
    pub(super) fn description<'a>(self, path: &str, english: &'a str) -> &'a str {
        self.entry(path).and_then(|entry| entry.description.as_deref()).unwrap_or(english)
    }

    fn entry(self, path: &str) -> Option<&'static Entry> {
        self.0?.entries.get(path)
    }
}

fn name_of(value: &Value) -> &str {
    value["name"].as_str().expect("everything in the commands has a name")
}

/// Adds every language to a command or an option, and to all that is in it.
fn localise(value: &mut Value, path: &str) {
    fill_in_lengths(value);
    add_translations(value, path);
    for option in list(value, "options") {
        let path = format!("{path} {}", name_of(option));
        localise(option, &path);
    }
    for choice in list(value, "choices") {
        let chosen = choice["value"].as_str().expect("choices are texts");
        let path = choice_path(path, chosen);
        add_translations(choice, &path);
    }
}

fn list<'a>(value: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

/// The path of a choice. Lengths are called alike wherever they are chosen.
fn choice_path(option: &str, chosen: &str) -> String {
    let is_length = option.ends_with(" length");
    if is_length { format!("length={chosen}") } else { format!("{option}={chosen}") }
}

fn fill_in_lengths(option: &mut Value) {
    let with_auto = match option["choices"].as_str() {
        Some("lengths") => false,
        Some("lengths or auto") => true,
        _ => return,
    };
    let auto = with_auto.then(|| json!({ "name": "auto: the model chooses", "value": AUTO }));
    let tags = Length::ALL.into_iter().map(|length| {
        let tag = length.as_str();
        json!({ "name": tag, "value": tag })
    });
    option["choices"] = auto.into_iter().chain(tags).collect();
}

/// Puts the translations next to what they translate.
fn add_translations(value: &mut Value, path: &str) {
    let object = value.as_object_mut().expect("everything in the commands is an object");
    let mut names = Map::new();
    let mut descriptions = Map::new();
    for language in TRANSLATIONS.iter() {
        let Some(entry) = language.entries.get(path) else { continue };
        names.insert(language.code.to_owned(), entry.name.clone().into());
        if let Some(description) = &entry.description {
            descriptions.insert(language.code.to_owned(), description.clone().into());
        }
    }
    for (key, translations) in
        [("name_localizations", names), ("description_localizations", descriptions)]
    {
        if !translations.is_empty() {
            object.insert(key.to_owned(), translations.into());
        }
    }
}
