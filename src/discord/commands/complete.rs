//! What completes an option while it is typed.
//!
//! Whatever is offered is only an offer: what comes back is looked up again.

use super::super::api::Choice;
use super::super::call::{Call, Refusal};
use super::super::interaction::Command;
use super::super::{names, render};

/// Discord shows so many.
const MAX_CHOICES: usize = 25;
/// Discord takes so much of each.
const MAX_CHOICE: usize = 100;

/// Where the words for an option come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The guild's characters.
    Library,
    /// The same, several, separated by commas.
    Several,
    /// Those in the scene.
    Cast,
    Presets,
    /// A character's pictures.
    Pictures,
    Books,
    /// What is in the book that is named beside it.
    Entries,
    Topics,
}

impl Source {
    fn of(command: &Command, option: &str) -> Option<Self> {
        Some(match (command.name.as_str(), command.subcommand.as_str(), option) {
            ("cast", "remove" | "length", "character")
            | ("reply", _, "character")
            | ("length", _, "for") => Self::Cast,
            ("scene", "start", "with") => Self::Several,
            (_, _, "character") => Self::Library,
            (_, _, "preset") | ("preset", _, "name") => Self::Presets,
            ("character", "picture", "picture") => Self::Pictures,
            ("lore", _, "book") => Self::Books,
            ("lore", _, "entry") => Self::Entries,
            ("help", _, "topic") => Self::Topics,
            _ => return None,
        })
    }
}

/// The choices for what is typed.
pub(in super::super) async fn complete(
    call: &Call,
    command: &Command,
    option: &str,
    typed: &str,
) -> Result<Vec<Choice>, Refusal> {
    let chat = &call.bot.chat;
    let Some(source) = Source::of(command, option) else { return Ok(Vec::new()) };
    let words = match source {
        Source::Library => chat.complete_characters(call.guild, typed.trim()).await?,
        Source::Several => {
            let (before, last) = split_last(typed);
            let names = chat.complete_characters(call.guild, last).await?;
            names.into_iter().map(|name| format!("{before}{name}")).collect()
        }
        Source::Cast => matching(cast_names(call).await?, typed),
        Source::Presets => matching(chat.preset_names(call.guild).await?, typed),
        Source::Pictures => matching(pictures(call, command).await?, typed),
        Source::Books => {
            let books = chat.library().lorebooks(call.guild).await?;
            matching(books.into_iter().map(|book| book.name), typed)
        }
        Source::Entries => return entries(call, command, typed).await,
        Source::Topics => render::help_topics(typed, call.locale),
    };
    Ok(choices(words))
}

async fn pictures(call: &Call, command: &Command) -> Result<Vec<String>, Refusal> {
    let Some(name) = command.options.text("character") else { return Ok(Vec::new()) };
    let character = call.character(name).await?;
    Ok(call.bot.chat.library().picture_names(call.guild, character.id).await?)
}

/// The entries of the book that is named: shown by their titles, known by their keys in
/// the book.
async fn entries(call: &Call, command: &Command, typed: &str) -> Result<Vec<Choice>, Refusal> {
    let Some(name) = command.options.text("book") else { return Ok(Vec::new()) };
    let typed = typed.trim().to_lowercase();
    let book = call.bot.chat.library().find_lorebook(call.guild, name).await?;
    let titles = book.titles().into_iter();
    let titles = titles.filter(|(_, title)| title.to_lowercase().contains(&typed));
    Ok(titles
        .filter(|(uid, _)| !uid.is_empty() && names::length(uid) <= MAX_CHOICE)
        .take(MAX_CHOICES)
        .map(|(uid, title)| Choice { name: names::choice(&title), value: uid })
        .collect())
}

async fn cast_names(call: &Call) -> Result<Vec<String>, Refusal> {
    let Some(place) = call.bot.place(call.guild_id, call.channel).await? else {
        return Ok(Vec::new());
    };
    let cast = call.bot.chat.store().list_cast(place.guild, place.scene).await?;
    Ok(cast.into_iter().map(|member| member.character.sheet.stage_name().to_owned()).collect())
}

/// What stands before the name that is being typed, and that name so far.
fn split_last(typed: &str) -> (String, &str) {
    match typed.rsplit_once(',') {
        Some((before, last)) => (format!("{}, ", before.trim_end_matches([',', ' '])), last.trim()),
        None => (String::new(), typed.trim()),
    }
}

/// Those that hold what is typed, those that begin with it first.
fn matching(words: impl IntoIterator<Item = String>, typed: &str) -> Vec<String> {
    let typed = typed.trim().to_lowercase();
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for word in words {
        let lower = word.to_lowercase();
        if lower.starts_with(&typed) {
            first.push(word);
        } else if lower.contains(&typed) {
            rest.push(word);
        }
    }
    first.append(&mut rest);
    first
}

/// As Discord takes them. A word that is too long could not come back whole.
fn choices(words: Vec<String>) -> Vec<Choice> {
    words
        .into_iter()
        .filter(|word| !word.trim().is_empty() && names::length(word) <= MAX_CHOICE)
        .take(MAX_CHOICES)
        .map(|word| Choice { name: names::choice(&word), value: word })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::locale;
    use super::*;

    #[test]
    fn the_last_of_several_is_completed() {
        assert_eq!(split_last("Mar"), (String::new(), "Mar"));
        assert_eq!(split_last("Maren Holt,Tam"), ("Maren Holt, ".into(), "Tam"));
        assert_eq!(split_last("Maren Holt , "), ("Maren Holt, ".into(), ""));
    }

    #[test]
    fn what_begins_so_comes_first() {
        let words = ["limarp", "marble", "calm"].map(str::to_owned);
        assert_eq!(matching(words.clone(), "MAR"), ["marble", "limarp"]);
        assert_eq!(matching(words, ""), ["limarp", "marble", "calm"]);
    }

    #[test]
    fn discord_takes_what_is_offered() {
        let many: Vec<String> = (0..40).map(|i| format!("name {i}")).collect();
        assert_eq!(choices(many).len(), MAX_CHOICES);
        assert!(choices(vec!["x".repeat(101), " ".into()]).is_empty());
    }

    #[test]
    fn every_option_that_asks_for_completion_has_a_source() {
        let complete = |command: Command, options: &serde_json::Value| {
            for option in options.as_array().into_iter().flatten() {
                if option["autocomplete"] == true {
                    let name = option["name"].as_str().expect("a name");
                    assert!(Source::of(&command, name).is_some(), "{command:?} {name}");
                }
            }
        };
        for definition in locale::definitions() {
            let name = definition["name"].as_str().expect("a name").to_owned();
            complete(Command { name: name.clone(), ..Command::default() }, &definition["options"]);
            for sub in definition["options"].as_array().into_iter().flatten() {
                let subcommand = sub["name"].as_str().expect("a name").to_owned();
                let command = Command { name: name.clone(), subcommand, ..Command::default() };
                complete(command, &sub["options"]);
            }
        }
    }
}
