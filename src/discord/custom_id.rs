//! What a button or a modal says of itself when it comes back.
//!
//! A `custom_id` is a few words joined by colons: a version, the action, ids in
//! base 36. It names things and proves nothing: whoever presses is looked up and
//! asked for permission again, and an id of another guild finds nothing. Anything
//! that this version has not written reads as `None`, whoever made it up.
//!
//! A button that names an outbox row is also the marker by which a post is known
//! again after a crash (see [`outbox_of`]).

use crate::chat::Whom;
use crate::domain::{CharacterId, JobId, LorebookId, PersonId, SceneId, TurnId};

/// The most that Discord takes.
pub(super) const MAX_CUSTOM_ID: usize = 100;

/// Begins every id of ours; another number when the shape changes.
const VERSION: &str = "d1";

/// Everything that can come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum CustomId {
    /// A button under the latest reply.
    Reply {
        /// What it does.
        action: ReplyAction,
        /// The outbox row of the post that carries it.
        outbox: i64,
        /// The turn that the post shows.
        turn: TurnId,
    },
    /// The button under a reply that is being written: it ends there.
    Stop {
        /// The outbox row of the placeholder.
        outbox: i64,
        /// The job that writes.
        job: JobId,
    },
    /// A button under what waits for moderators.
    Case {
        /// What it does.
        deed: CaseDeed,
        /// The number of the case.
        case: i64,
    },
    /// A form.
    Form(Form),
    /// The second press that something irreversible needs.
    Confirm(Confirm),
    /// The way out of a question like that.
    Cancel,
    /// What somebody says who was asked whether their words may be taken.
    Consent {
        /// Who was asked: nobody answers for another.
        person: PersonId,
        /// What they say.
        says: Says,
    },
}

/// Yes or no to one's words being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Says {
    /// They may be.
    Agree {
        /// The message that waits to be taken in; 0 where none does.
        waiting: u64,
    },
    /// They may not.
    Decline,
}

/// What a button under a reply does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ReplyAction {
    /// The text before stands again.
    SwipePrevious,
    /// Nothing: it shows which text of how many stands.
    Position,
    /// The text after stands.
    SwipeNext,
    /// One more text is written.
    Again,
    /// The text goes on where it stopped.
    Continue,
    /// One more text, a tag shorter.
    Shorter,
    /// One more text, a tag longer.
    Longer,
    /// Tells the guild's moderators.
    Report,
}

/// What a moderator does with a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum CaseDeed {
    /// It stands, or comes where it belongs.
    Approve,
    /// It does with other words.
    Edit,
    /// It does not.
    Reject,
    /// Its person is warned.
    Warn,
    /// Its person is not heard any more.
    Mute,
    /// Its scene is frozen.
    Freeze,
}

impl CaseDeed {
    /// All of them, as they stand under a case.
    pub(super) const ALL: [Self; 6] =
        [Self::Approve, Self::Edit, Self::Reject, Self::Warn, Self::Mute, Self::Freeze];

    /// The word that stands in an id, and in the files of languages.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Edit => "edit",
            Self::Reject => "reject",
            Self::Warn => "warn",
            Self::Mute => "mute",
            Self::Freeze => "freeze",
        }
    }
}

/// A form, and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// Another text for a turn, by hand.
    EditTurn(TurnId),
    /// A new character.
    NewCharacter,
    /// What is known of a character.
    EditCharacter(CharacterId),
    /// What happens in the story.
    Scenario,
    /// Whom the person plays.
    Persona(PersonaScope),
    /// The author's note.
    Note,
    /// What is wrong with a turn.
    Report(TurnId),
    /// Other words for what a case is about.
    EditCase(i64),
}

/// Where a persona is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum PersonaScope {
    /// In every scene of the guild that has none of its own.
    Server,
    /// In the scene where it was asked.
    Here,
}

/// What is asked twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Confirm {
    /// The character leaves the guild's library.
    DeleteCharacter(CharacterId),
    /// The lorebook leaves the guild's library.
    DeleteLorebook(LorebookId),
    /// The scene is over.
    EndScene(SceneId),
    /// Whoever presses is forgotten.
    ForgetMe {
        /// With their messages on the platform.
        messages: bool,
    },
    /// Turns of a scene go.
    Purge {
        /// Of which.
        scene: SceneId,
        /// Whose.
        whom: Whom,
        /// The most of them.
        last: u32,
        /// Said in the last so many hours; 0 is whenever.
        hours: u32,
    },
}

impl ReplyAction {
    /// All of them, as they stand under a reply.
    pub(super) const ALL: [Self; 8] = [
        Self::SwipePrevious,
        Self::Position,
        Self::SwipeNext,
        Self::Again,
        Self::Continue,
        Self::Shorter,
        Self::Longer,
        Self::Report,
    ];

    /// The word that stands in an id, and in the files of languages.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::SwipePrevious => "previous",
            Self::Position => "position",
            Self::SwipeNext => "next",
            Self::Again => "again",
            Self::Continue => "continue",
            Self::Shorter => "shorter",
            Self::Longer => "longer",
            Self::Report => "report",
        }
    }
}

impl CustomId {
    /// The text that Discord keeps; at most [`MAX_CUSTOM_ID`] characters, all of
    /// them ASCII.
    pub(super) fn encode(self) -> String {
        match self {
            Self::Reply { action, outbox, turn } => {
                join(&[action.as_str(), &base36(outbox), &base36(turn.0)])
            }
            Self::Stop { outbox, job } => join(&["stop", &base36(outbox), &base36(job.0)]),
            Self::Form(form) => form.encode(),
            Self::Confirm(Confirm::DeleteCharacter(id)) => join(&["delete", &base36(id.0)]),
            Self::Confirm(Confirm::DeleteLorebook(id)) => join(&["delore", &base36(id.0)]),
            Self::Confirm(Confirm::ForgetMe { messages: true }) => join(&["forget", "all"]),
            Self::Confirm(Confirm::ForgetMe { messages: false }) => join(&["forget", "here"]),
            Self::Confirm(Confirm::EndScene(id)) => join(&["end", &base36(id.0)]),
            Self::Confirm(Confirm::Purge { scene, whom, last, hours }) => {
                let (kind, id) = match whom {
                    Whom::Characters => ("all", 0),
                    Whom::Character(id) => ("character", id.0),
                    Whom::Person(id) => ("person", id.0),
                };
                let numbers = [scene.0, id, last.into(), hours.into()].map(base36);
                let [scene, id, last, hours] = numbers.each_ref().map(String::as_str);
                join(&["purge", kind, scene, id, last, hours])
            }
            Self::Case { deed, case } => join(&["case", deed.as_str(), &base36(case)]),
            Self::Cancel => join(&["cancel"]),
            Self::Consent { person, says: Says::Agree { waiting } } => {
                join(&["agree", &base36(person.0), &base36(waiting.cast_signed())])
            }
            Self::Consent { person, says: Says::Decline } => join(&["decline", &base36(person.0)]),
        }
    }

    /// Reads what came back; `None` for everything that [`encode`](Self::encode)
    /// does not write.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_CUSTOM_ID {
            return None;
        }
        let words: Vec<&str> = text.split(':').collect();
        let (version, words) = words.split_first()?;
        let parsed = if *version == VERSION { Self::from_words(words)? } else { return None };
        // One way to write a number: `+a`, `0a` and `A` are not ours.
        (parsed.encode() == text).then_some(parsed)
    }

    fn from_words(words: &[&str]) -> Option<Self> {
        Some(match *words {
            ["stop", outbox, job] => Self::Stop { outbox: id(outbox)?, job: JobId(id(job)?) },
            ["delete", character] => {
                Self::Confirm(Confirm::DeleteCharacter(CharacterId(id(character)?)))
            }
            ["forget", "all"] => Self::Confirm(Confirm::ForgetMe { messages: true }),
            ["forget", "here"] => Self::Confirm(Confirm::ForgetMe { messages: false }),
            ["delore", book] => Self::Confirm(Confirm::DeleteLorebook(LorebookId(id(book)?))),
            ["end", scene] => Self::Confirm(Confirm::EndScene(SceneId(id(scene)?))),
            ["purge", kind, scene, whose, last, hours] => Self::Confirm(Confirm::Purge {
                scene: SceneId(id(scene)?),
                whom: match (kind, id(whose)?) {
                    ("all", 0) => Whom::Characters,
                    ("character", id) => Whom::Character(CharacterId(id)),
                    ("person", id) => Whom::Person(PersonId(id)),
                    _ => return None,
                },
                last: u32::try_from(id(last)?).ok()?,
                hours: u32::try_from(id(hours)?).ok()?,
            }),
            ["case", deed, case] => {
                let deed = CaseDeed::ALL.into_iter().find(|known| known.as_str() == deed)?;
                Self::Case { deed, case: id(case)? }
            }
            ["cancel"] => Self::Cancel,
            ["agree", person, waiting] => Self::Consent {
                person: PersonId(id(person)?),
                says: Says::Agree { waiting: id(waiting)?.cast_unsigned() },
            },
            ["decline", person] => {
                Self::Consent { person: PersonId(id(person)?), says: Says::Decline }
            }
            ["form", ref rest @ ..] => Self::Form(Form::from_words(rest)?),
            [action, outbox, turn] => {
                let action = ReplyAction::ALL.into_iter().find(|known| known.as_str() == action)?;
                Self::Reply { action, outbox: id(outbox)?, turn: TurnId(id(turn)?) }
            }
            _ => return None,
        })
    }

    /// The outbox row of the post that carries it.
    pub(super) fn outbox(self) -> Option<i64> {
        match self {
            Self::Reply { outbox, .. } | Self::Stop { outbox, .. } => Some(outbox),
            Self::Case { .. }
            | Self::Form(_)
            | Self::Confirm(_)
            | Self::Cancel
            | Self::Consent { .. } => None,
        }
    }
}

impl Form {
    fn encode(self) -> String {
        match self {
            Self::EditTurn(turn) => join(&["form", "turn", &base36(turn.0)]),
            Self::NewCharacter => join(&["form", "character"]),
            Self::EditCharacter(id) => join(&["form", "character", &base36(id.0)]),
            Self::Scenario => join(&["form", "scenario"]),
            Self::Persona(PersonaScope::Server) => join(&["form", "persona", "server"]),
            Self::Persona(PersonaScope::Here) => join(&["form", "persona", "here"]),
            Self::Note => join(&["form", "note"]),
            Self::Report(turn) => join(&["form", "report", &base36(turn.0)]),
            Self::EditCase(case) => join(&["form", "case", &base36(case)]),
        }
    }

    fn from_words(words: &[&str]) -> Option<Self> {
        Some(match *words {
            ["turn", turn] => Self::EditTurn(TurnId(id(turn)?)),
            ["character"] => Self::NewCharacter,
            ["character", character] => Self::EditCharacter(CharacterId(id(character)?)),
            ["scenario"] => Self::Scenario,
            ["persona", "server"] => Self::Persona(PersonaScope::Server),
            ["persona", "here"] => Self::Persona(PersonaScope::Here),
            ["note"] => Self::Note,
            ["report", turn] => Self::Report(TurnId(id(turn)?)),
            ["case", case] => Self::EditCase(id(case)?),
            _ => return None,
        })
    }
}

/// The outbox row that a button's id names: the marker by which a post of ours is
/// known again, when it is not known whether it was posted.
pub(super) fn outbox_of(custom_id: &str) -> Option<i64> {
    CustomId::parse(custom_id)?.outbox()
}

fn join(words: &[&str]) -> String {
    let text = format!("{VERSION}:{}", words.join(":"));
    debug_assert!(text.len() <= MAX_CUSTOM_ID);
    text
}

/// A number in base 36, as short as it can be written in letters that Discord
/// keeps apart. Nonces are written so too.
pub(super) fn base36(number: i64) -> String {
    let mut rest = number.unsigned_abs();
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((rest % 36) as u32, 36).expect("less than 36"));
        rest /= 36;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        digits.push('-');
    }
    digits.iter().rev().collect()
}

fn id(text: &str) -> Option<i64> {
    i64::from_str_radix(text, 36).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_id() -> impl Strategy<Value = CustomId> {
        let action = proptest::sample::select(&ReplyAction::ALL[..]);
        let form = prop_oneof![
            any::<i64>().prop_map(|id| Form::EditTurn(TurnId(id))),
            Just(Form::NewCharacter),
            any::<i64>().prop_map(|id| Form::EditCharacter(CharacterId(id))),
            Just(Form::Scenario),
            Just(Form::Persona(PersonaScope::Server)),
            Just(Form::Persona(PersonaScope::Here)),
            Just(Form::Note),
            any::<i64>().prop_map(|id| Form::Report(TurnId(id))),
            any::<i64>().prop_map(Form::EditCase),
        ];
        let whom = prop_oneof![
            Just(Whom::Characters),
            any::<i64>().prop_map(|id| Whom::Character(CharacterId(id))),
            any::<i64>().prop_map(|id| Whom::Person(PersonId(id))),
        ];
        let deed = proptest::sample::select(&CaseDeed::ALL[..]);
        prop_oneof![
            (action, any::<i64>(), any::<i64>()).prop_map(|(action, outbox, turn)| {
                CustomId::Reply { action, outbox, turn: TurnId(turn) }
            }),
            (any::<i64>(), any::<i64>())
                .prop_map(|(outbox, job)| CustomId::Stop { outbox, job: JobId(job) }),
            form.prop_map(CustomId::Form),
            any::<i64>()
                .prop_map(|id| CustomId::Confirm(Confirm::DeleteCharacter(CharacterId(id)))),
            any::<i64>().prop_map(|id| CustomId::Confirm(Confirm::DeleteLorebook(LorebookId(id)))),
            any::<bool>().prop_map(|messages| CustomId::Confirm(Confirm::ForgetMe { messages })),
            any::<i64>().prop_map(|id| CustomId::Confirm(Confirm::EndScene(SceneId(id)))),
            (any::<i64>(), whom, any::<u32>(), any::<u32>()).prop_map(
                |(scene, whom, last, hours)| {
                    let scene = SceneId(scene);
                    CustomId::Confirm(Confirm::Purge { scene, whom, last, hours })
                }
            ),
            (deed, any::<i64>()).prop_map(|(deed, case)| CustomId::Case { deed, case }),
            Just(CustomId::Cancel),
            any::<(i64, u64)>().prop_map(|(person, waiting)| CustomId::Consent {
                person: PersonId(person),
                says: Says::Agree { waiting },
            }),
            any::<i64>().prop_map(|person| CustomId::Consent {
                person: PersonId(person),
                says: Says::Decline,
            }),
        ]
    }

    #[test]
    fn ids_are_short_and_speak_for_themselves() {
        let again =
            CustomId::Reply { action: ReplyAction::Again, outbox: 35, turn: TurnId(36 * 36) };
        assert_eq!(again.encode(), "d1:again:z:100");
        assert_eq!(outbox_of("d1:again:z:100"), Some(35));
        assert_eq!(outbox_of("d1:stop:1:2"), Some(1));
        assert_eq!(outbox_of("d1:form:turn:2"), None);
        assert_eq!(base36(0), "0");
        assert_eq!(i64::from_str_radix(&base36(i64::MIN), 36), Ok(i64::MIN));
    }

    #[test]
    fn what_others_wrote_is_nobodys() {
        let strangers = [
            "",
            "d1",
            "d1:",
            "d0:again:1:2",
            "d1:again:1",
            "d1:again:1:2:3",
            "d1:again:+1:2",
            "d1:again:01:2",
            "d1:again:A:2",
            "d1:again::2",
            "d1:again:zzzzzzzzzzzzzz:2",
            "d1:dance:1:2",
            "d1:form:dance",
            "confirm",
        ];
        for stranger in strangers {
            assert_eq!(CustomId::parse(stranger), None, "{stranger}");
        }
    }

    proptest! {
        #[test]
        fn every_id_reads_back(id in any_id()) {
            let text = id.encode();
            prop_assert!(text.is_ascii() && text.len() <= MAX_CUSTOM_ID);
            prop_assert_eq!(CustomId::parse(&text), Some(id));
            prop_assert_eq!(outbox_of(&text), id.outbox());
        }

        #[test]
        fn anything_else_is_refused_in_peace(text in "\\PC{0,120}") {
            prop_assert_eq!(CustomId::parse(&text), None);
        }

        #[test]
        fn a_damaged_id_is_no_other_spelling(id in any_id(), at in 0usize..100, with in "[ -~é]") {
            let mut text: Vec<char> = id.encode().chars().collect();
            let at = at % text.len();
            text[at] = with.chars().next().expect("one");
            let text: String = text.into_iter().collect();
            if let Some(parsed) = CustomId::parse(&text) {
                prop_assert_eq!(parsed.encode(), text);
            }
        }
    }
}
