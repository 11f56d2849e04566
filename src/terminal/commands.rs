//! The slash commands of `play`: one table that parsing, help and completion read.
//!
//! Pure. What a command does is the player's business; here is only what it says.

use crate::chat::story_text;
use crate::domain::{Length, ParseLengthError};

/// What a line means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Words of the story.
    Say(String),
    /// Words beside the story: shown, never in the transcript.
    OutOfCharacter,
    /// Show or choose the length; `Some(None)` leaves it to the model.
    Length(Option<Option<Length>>),
    /// Another text for the latest reply.
    Swipe(SwipeChoice),
    /// The latest reply goes on.
    Continue,
    /// Somebody speaks, without a turn of the person's before.
    Reply(Option<String>),
    /// Back to before the person's last turn.
    Undo,
    /// Takes the last undo back.
    Redo,
    /// Change a text; without words, in an editor line.
    Edit(EditTarget, Option<String>),
    /// What the model sees.
    Context {
        /// The whole text, not only the table.
        full: bool,
    },
    /// How the latest reply was made.
    Why,
    /// The latest turns once more.
    History,
    /// Show or change what happens in the story.
    Scenario(Option<String>),
    /// Show or change whom the person plays.
    Persona(Option<(String, String)>),
    /// Show, change or clear the note to the model.
    Note(NoteChange),
    /// Show or change the cast.
    Cast(CastChange),
    /// Show or choose the sampling preset.
    Preset(Option<String>),
    /// Show the lorebooks, or what a text would call.
    Lore(Option<String>),
    /// Whether scenes may train a model.
    Training(TrainingChange),
    /// Dice fall.
    Roll {
        /// Which.
        dice: String,
        /// What for.
        reason: Option<String>,
    },
    /// What the commands are.
    Help(Option<String>),
    /// Leave; the scene stays.
    Quit,
}

/// Which alternative of the latest reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SwipeChoice {
    /// One that the model writes now.
    New,
    /// The one before.
    Previous,
    /// The one after; a new one after the last.
    Next,
    /// By number, from 1.
    Number(u32),
}

/// Which turn an edit changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EditTarget {
    /// The latest turn, whoever spoke.
    Latest,
    /// The person's own latest turn.
    Mine,
}

/// What happens to the note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoteChange {
    /// Nothing: it is shown.
    Show,
    /// It goes.
    Clear,
    /// It says this, so many turns before the end.
    Set {
        /// Turns that stand after it.
        depth: Option<usize>,
        /// What it says.
        text: String,
    },
}

/// What happens to the cast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CastChange {
    /// Nothing: it is shown.
    Show,
    /// Somebody enters.
    Add(String),
    /// Somebody leaves.
    Remove(String),
}

/// What is said of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrainingChange {
    /// Nothing: it is shown how things stand.
    Show,
    /// The person agrees.
    Agree,
    /// They do no more.
    Withdraw,
    /// The scene may be used as it stands.
    Approve,
    /// It may not.
    Unapprove,
}

/// What completes a command's first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completes {
    Nothing,
    Words(&'static [&'static str]),
    Lengths,
    Presets,
    Cast,
    Commands,
}

/// One command, as people learn of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommandSpec {
    pub(crate) name: &'static str,
    pub(crate) usage: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) completes: Completes,
}

const fn spec(
    name: &'static str,
    usage: &'static str,
    summary: &'static str,
    completes: Completes,
) -> CommandSpec {
    CommandSpec { name, usage, summary, completes }
}

/// Every command, in the order in which help lists them.
pub(crate) const COMMANDS: [CommandSpec; 20] = [
    spec(
        "length",
        "/length [tag | auto]",
        "how long replies are, from micro to unlimited; auto lets the model choose",
        Completes::Lengths,
    ),
    spec(
        "swipe",
        "/swipe [prev | next | NUMBER]",
        "another text for the latest reply; nothing is lost",
        Completes::Words(&["next", "prev"]),
    ),
    spec("continue", "/continue", "the latest reply goes on where it stopped", Completes::Nothing),
    spec("reply", "/reply [NAME]", "somebody speaks without you saying anything", Completes::Cast),
    spec("undo", "/undo", "back to before your last turn", Completes::Nothing),
    spec("redo", "/redo", "takes the last undo back", Completes::Nothing),
    spec(
        "edit",
        "/edit [me] [TEXT]",
        "change the latest turn, or your own with `me`",
        Completes::Words(&["me"]),
    ),
    spec(
        "context",
        "/context [full]",
        "what the model sees: tokens by section, what was trimmed",
        Completes::Words(&["full"]),
    ),
    spec(
        "why",
        "/why",
        "how the latest reply was made: timings, seed, settings",
        Completes::Nothing,
    ),
    spec("history", "/history", "the story so far", Completes::Nothing),
    spec("scenario", "/scenario [TEXT]", "what happens in the story", Completes::Nothing),
    spec("persona", "/persona [NAME: DESCRIPTION]", "whom you play", Completes::Nothing),
    spec(
        "note",
        "/note [DEPTH] [TEXT | clear]",
        "a reminder to the model, DEPTH turns before the end",
        Completes::Words(&["clear"]),
    ),
    spec(
        "cast",
        "/cast [add NAME | remove NAME]",
        "who is in the scene",
        Completes::Words(&["add", "remove"]),
    ),
    spec("preset", "/preset [NAME]", "how words are chosen", Completes::Presets),
    spec(
        "lore",
        "/lore [TEXT]",
        "the lorebooks here, or what a text would call of them",
        Completes::Nothing,
    ),
    spec(
        "training",
        "/training [agree | withdraw | approve | unapprove]",
        "whether scenes may be used to train a model",
        Completes::Words(&["agree", "withdraw", "approve", "unapprove", "status"]),
    ),
    spec("roll", "/roll DICE [WHAT FOR]", "dice fall, and the story knows", Completes::Nothing),
    spec("help", "/help [COMMAND]", "this list", Completes::Commands),
    spec("quit", "/quit", "leave; the scene waits for you", Completes::Nothing),
];

/// A line that means nothing, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("there is no command /{word}{}", nearest(word))]
    Unknown { word: String },
    #[error(transparent)]
    Length(#[from] ParseLengthError),
    #[error("{problem}; write {usage}")]
    Usage { problem: String, usage: &'static str },
}

fn nearest(word: &str) -> String {
    COMMANDS
        .iter()
        .map(|spec| (strsim::osa_distance(word, spec.name), spec.name))
        .min()
        .filter(|(distance, _)| *distance <= 2)
        .map_or_else(
            || "; /help lists them".to_owned(),
            |(_, name)| format!("; did you mean /{name}?"),
        )
}

impl Command {
    /// Reads a line; `None` if there is nothing in it.
    ///
    /// # Errors
    /// An unknown command or an argument that it cannot take, with what it could.
    pub(crate) fn parse(line: &str) -> Result<Option<Self>, CommandError> {
        let line = line.trim();
        if line.is_empty() {
            return Ok(None);
        }
        let Some(rest) = line.strip_prefix('/').filter(|rest| !rest.starts_with('/')) else {
            return Ok(Some(story_text(line).map_or(Self::OutOfCharacter, Self::Say)));
        };
        let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        Self::from_words(&word.to_lowercase(), argument.trim()).map(Some)
    }

    fn from_words(word: &str, argument: &str) -> Result<Self, CommandError> {
        let text = (!argument.is_empty()).then(|| argument.to_owned());
        Ok(match word {
            "length" => Self::Length(length(argument)?),
            "swipe" => Self::Swipe(swipe(argument)?),
            "continue" => Self::Continue,
            "reply" => Self::Reply(text),
            "undo" => Self::Undo,
            "redo" => Self::Redo,
            "edit" => edit(argument),
            "context" => Self::Context { full: argument == "full" },
            "why" => Self::Why,
            "history" => Self::History,
            "scenario" => Self::Scenario(text),
            "persona" => Self::Persona(persona(argument)),
            "note" => Self::Note(note(argument)),
            "cast" => Self::Cast(cast(argument)?),
            "preset" => Self::Preset(text),
            "lore" => Self::Lore(text),
            "training" => Self::Training(training(argument)?),
            "roll" => roll(argument)?,
            "help" => Self::Help(text.map(|name| name.trim_start_matches('/').to_owned())),
            "quit" | "exit" => Self::Quit,
            _ => return Err(CommandError::Unknown { word: word.to_owned() }),
        })
    }
}

fn usage_error(command: &str, problem: String) -> CommandError {
    let usage = COMMANDS
        .iter()
        .find(|spec| spec.name == command)
        .expect("usage errors name commands of the table")
        .usage;
    CommandError::Usage { problem, usage }
}

fn length(argument: &str) -> Result<Option<Option<Length>>, ParseLengthError> {
    match argument {
        "" => Ok(None),
        "auto" => Ok(Some(None)),
        tag => tag.parse().map(|length| Some(Some(length))),
    }
}

fn roll(argument: &str) -> Result<Command, CommandError> {
    let (dice, reason) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
    if dice.is_empty() {
        let problem = "say which dice, like d20 or 2d6+1".to_owned();
        return Err(CommandError::Usage { problem, usage: "/roll DICE [WHAT FOR]" });
    }
    let reason = reason.trim();
    let reason = (!reason.is_empty()).then(|| reason.to_owned());
    Ok(Command::Roll { dice: dice.to_owned(), reason })
}

fn swipe(argument: &str) -> Result<SwipeChoice, CommandError> {
    Ok(match argument {
        "" | "new" => SwipeChoice::New,
        "prev" | "previous" | "<" => SwipeChoice::Previous,
        "next" | ">" => SwipeChoice::Next,
        number => match number.parse() {
            Ok(number) if number > 0 => SwipeChoice::Number(number),
            _ => return Err(usage_error("swipe", format!("“{number}” is not a swipe"))),
        },
    })
}

fn edit(argument: &str) -> Command {
    let (target, text) = match argument.split_once(char::is_whitespace) {
        Some(("me", text)) => (EditTarget::Mine, text.trim()),
        None if argument == "me" => (EditTarget::Mine, ""),
        _ => (EditTarget::Latest, argument),
    };
    Command::Edit(target, (!text.is_empty()).then(|| text.to_owned()))
}

fn persona(argument: &str) -> Option<(String, String)> {
    if argument.is_empty() {
        return None;
    }
    let (name, description) = argument.split_once(':').unwrap_or((argument, ""));
    Some((name.trim().to_owned(), description.trim().to_owned()))
}

fn note(argument: &str) -> NoteChange {
    match argument {
        "" => NoteChange::Show,
        "clear" => NoteChange::Clear,
        text => {
            let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            match first.parse() {
                Ok(depth) if !rest.trim().is_empty() => {
                    NoteChange::Set { depth: Some(depth), text: rest.trim().to_owned() }
                }
                _ => NoteChange::Set { depth: None, text: text.to_owned() },
            }
        }
    }
}

fn cast(argument: &str) -> Result<CastChange, CommandError> {
    if argument.is_empty() || argument == "list" {
        return Ok(CastChange::Show);
    }
    match argument.split_once(char::is_whitespace) {
        Some(("add", name)) => Ok(CastChange::Add(name.trim().to_owned())),
        Some(("remove", name)) => Ok(CastChange::Remove(name.trim().to_owned())),
        _ => Err(usage_error("cast", format!("“{argument}” says neither who comes nor who goes"))),
    }
}

fn training(argument: &str) -> Result<TrainingChange, CommandError> {
    Ok(match argument {
        "" | "status" => TrainingChange::Show,
        "agree" => TrainingChange::Agree,
        "withdraw" => TrainingChange::Withdraw,
        "approve" => TrainingChange::Approve,
        "unapprove" => TrainingChange::Unapprove,
        other => {
            return Err(usage_error("training", format!("“{other}” says nothing of training")));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Command {
        Command::parse(line).expect("a good line").expect("not empty")
    }

    #[test]
    fn words_are_story_and_slashes_are_commands() {
        assert_eq!(parsed("  Hello there.  "), Command::Say("Hello there.".into()));
        assert_eq!(parsed("/length short"), Command::Length(Some(Some(Length::Short))));
        assert_eq!(parsed("/length auto"), Command::Length(Some(None)));
        assert_eq!(parsed("/LENGTH"), Command::Length(None));
        assert_eq!(parsed("/swipe 2"), Command::Swipe(SwipeChoice::Number(2)));
        assert_eq!(parsed("/edit me Well, no."), {
            Command::Edit(EditTarget::Mine, Some("Well, no.".into()))
        });
        assert_eq!(parsed("/edit Mean words"), {
            Command::Edit(EditTarget::Latest, Some("Mean words".into()))
        });
        assert_eq!(parsed("/persona Ash: a tall stranger: quiet"), {
            Command::Persona(Some(("Ash".into(), "a tall stranger: quiet".into())))
        });
        assert_eq!(parsed("/note 3 It rains."), {
            Command::Note(NoteChange::Set { depth: Some(3), text: "It rains.".into() })
        });
        assert_eq!(parsed("/note 3"), {
            Command::Note(NoteChange::Set { depth: None, text: "3".into() })
        });
        assert_eq!(parsed("/training"), Command::Training(TrainingChange::Show));
        assert_eq!(parsed("/training agree"), Command::Training(TrainingChange::Agree));
        assert_eq!(parsed("// brb"), Command::OutOfCharacter);
        assert_eq!(parsed("((brb))"), Command::OutOfCharacter);
        assert_eq!(parsed("Hello ((brb)) there."), Command::Say("Hello there.".into()));
        assert_eq!(Command::parse("   "), Ok(None));
    }

    #[test]
    fn what_cannot_be_read_says_what_could() {
        let message = |line| Command::parse(line).expect_err("a bad line").to_string();
        assert_eq!(message("/swpie"), "there is no command /swpie; did you mean /swipe?");
        assert_eq!(message("/dance"), "there is no command /dance; /help lists them");
        assert!(message("/length lnog").starts_with("“lnog” is not a length; choose one of micro"));
        assert_eq!(message("/swipe 0"), "“0” is not a swipe; write /swipe [prev | next | NUMBER]");
        assert!(message("/cast Maren").ends_with("write /cast [add NAME | remove NAME]"));
    }

    #[test]
    fn every_command_of_the_table_is_known() {
        for spec in COMMANDS {
            let parsed = Command::parse(&format!("/{}", spec.name));
            assert!(!matches!(parsed, Err(CommandError::Unknown { .. })), "/{}", spec.name);
            assert!(spec.usage.starts_with(&format!("/{}", spec.name)));
        }
    }
}
