//! The buttons under the latest reply, and while one is being written.
//!
//! Plain data. The same buttons always stand in the same places, so that a hand
//! finds them; those that could do nothing are greyed out. The first row turns
//! between the texts that there are, the second asks for more words.

use crate::domain::{JobId, Length, PersonId, TurnId};

use super::api;
pub(super) use super::api::ButtonStyle;
use super::custom_id::{CaseDeed, Confirm, CustomId, ReplyAction, Says};
use super::locale::Locale;

/// A button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Button {
    /// What comes back when it is pressed.
    pub(super) custom_id: CustomId,
    /// Its words; may be empty where there is an emoji.
    pub(super) label: String,
    /// A Unicode emoji before the words.
    pub(super) emoji: Option<&'static str>,
    /// Its colour.
    pub(super) style: ButtonStyle,
    /// Whether it is greyed out.
    pub(super) disabled: bool,
}

/// The same for Discord.
pub(super) fn rows(rows: Vec<Vec<Button>>) -> Vec<api::Row> {
    let button = |button: Button| api::Button {
        custom_id: button.custom_id.encode(),
        label: button.label,
        emoji: button.emoji.map(str::to_owned),
        style: button.style,
        disabled: button.disabled,
    };
    let row = |row: Vec<Button>| api::Row::Buttons(row.into_iter().map(button).collect());
    rows.into_iter().map(row).collect()
}

/// What the buttons under the latest reply depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// The outbox row of the post that carries them.
    pub(super) outbox: i64,
    /// The turn that it shows.
    pub(super) turn: TurnId,
    /// Which of the turn's texts stands, from 0.
    pub(super) ordinal: u32,
    /// How many texts it has.
    pub(super) num_swipes: u32,
    /// Whether it is the greeting that began the scene: there is nothing to write
    /// again.
    pub(super) is_greeting: bool,
    /// The length that the text was asked for; `None` left it to the model.
    pub(super) length: Option<Length>,
}

/// The words on a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Again,
    Continue,
    Shorter,
    Longer,
    Report,
    Stop,
    Confirm,
    Cancel,
    Agree,
    Decline,
    Approve,
    Edit,
    Reject,
    Warn,
    Mute,
    Freeze,
}

impl Label {
    /// All of them.
    #[cfg(test)]
    pub(super) const ALL: [Self; 16] = [
        Self::Again,
        Self::Continue,
        Self::Shorter,
        Self::Longer,
        Self::Report,
        Self::Stop,
        Self::Confirm,
        Self::Cancel,
        Self::Agree,
        Self::Decline,
        Self::Approve,
        Self::Edit,
        Self::Reject,
        Self::Warn,
        Self::Mute,
        Self::Freeze,
    ];

    fn english(self) -> &'static str {
        match self {
            Self::Again => "Again",
            Self::Continue => "Continue",
            Self::Shorter => "Shorter",
            Self::Longer => "Longer",
            Self::Report => "Report",
            Self::Stop => "Stop",
            Self::Confirm => "Yes, really",
            Self::Cancel => "Rather not",
            Self::Agree => "I agree",
            Self::Decline => "No thanks",
            Self::Approve => "Approve",
            Self::Edit => "Edit",
            Self::Reject => "Reject",
            Self::Warn => "Warn",
            Self::Mute => "Mute",
            Self::Freeze => "Freeze the scene",
        }
    }

    /// Where the files of languages have it.
    pub(super) fn path(self) -> String {
        format!("button {}", format!("{self:?}").to_lowercase())
    }

    fn text(self, locale: Locale) -> String {
        locale.name(&self.path(), self.english()).to_owned()
    }
}

/// The buttons under the latest reply.
pub(super) fn reply_rows(standing: &Standing, locale: Locale) -> Vec<Vec<Button>> {
    let Standing { outbox, turn, ordinal, num_swipes, is_greeting, length } = *standing;
    let button = |action, emoji, label: String, disabled| Button {
        custom_id: CustomId::Reply { action, outbox, turn },
        label,
        emoji,
        style: ButtonStyle::Secondary,
        disabled,
    };
    let word = |label: Label| label.text(locale);
    let position = format!("{}/{num_swipes}", u64::from(ordinal) + 1);
    // Without a length of its own a text has neighbours on both sides: what they
    // are is found by how long it came out.
    let has_shorter = length.is_none_or(|length| length.shorter().is_some());
    let has_longer = length.is_none_or(|length| length.longer().is_some());
    let is_last = u64::from(ordinal) + 1 >= u64::from(num_swipes);
    vec![
        vec![
            button(ReplyAction::SwipePrevious, Some("◀️"), String::new(), ordinal == 0),
            button(ReplyAction::Position, None, position, true),
            button(ReplyAction::SwipeNext, Some("▶️"), String::new(), is_last),
            button(ReplyAction::Again, Some("🔄"), word(Label::Again), is_greeting),
            button(ReplyAction::Report, Some("⚠️"), word(Label::Report), false),
        ],
        vec![
            button(ReplyAction::Continue, Some("⏩"), word(Label::Continue), false),
            button(
                ReplyAction::Shorter,
                Some("➖"),
                word(Label::Shorter),
                is_greeting || !has_shorter,
            ),
            button(
                ReplyAction::Longer,
                Some("➕"),
                word(Label::Longer),
                is_greeting || !has_longer,
            ),
        ],
    ]
}

/// The button under a reply that is being written.
pub(super) fn stop_rows(outbox: i64, job: JobId, locale: Locale) -> Vec<Vec<Button>> {
    vec![vec![Button {
        custom_id: CustomId::Stop { outbox, job },
        label: Label::Stop.text(locale),
        emoji: Some("⏹️"),
        style: ButtonStyle::Secondary,
        disabled: false,
    }]]
}

/// The two buttons under a question whose answer cannot be taken back.
pub(super) fn confirm_rows(confirm: Confirm, locale: Locale) -> Vec<Vec<Button>> {
    let button = |custom_id, label: Label, style| Button {
        custom_id,
        label: label.text(locale),
        emoji: None,
        style,
        disabled: false,
    };
    vec![vec![
        button(CustomId::Confirm(confirm), Label::Confirm, ButtonStyle::Danger),
        button(CustomId::Cancel, Label::Cancel, ButtonStyle::Secondary),
    ]]
}

/// The two buttons under what people agree to; `waiting` is the message that waits, or 0.
pub(super) fn consent_rows(person: PersonId, waiting: u64, locale: Locale) -> Vec<Vec<Button>> {
    // Neither is made to look like the better one.
    let button = |says, label: Label| Button {
        custom_id: CustomId::Consent { person, says },
        label: label.text(locale),
        emoji: None,
        style: ButtonStyle::Secondary,
        disabled: false,
    };
    vec![vec![button(Says::Agree { waiting }, Label::Agree), button(Says::Decline, Label::Decline)]]
}

/// What can be done with a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CaseFacts {
    /// Its number.
    pub(super) case: i64,
    /// Whether it is of words that a form can hold.
    pub(super) has_words: bool,
    /// Whether it is about somebody.
    pub(super) has_person: bool,
    /// Whether it is about a scene.
    pub(super) has_scene: bool,
}

/// The buttons under what waits for moderators.
pub(super) fn case_rows(facts: &CaseFacts, locale: Locale) -> Vec<Vec<Button>> {
    let button = |deed, label: Label, style, can: bool| Button {
        custom_id: CustomId::Case { deed, case: facts.case },
        label: label.text(locale),
        emoji: None,
        style,
        disabled: !can,
    };
    let (plain, danger) = (ButtonStyle::Secondary, ButtonStyle::Danger);
    vec![
        vec![
            button(CaseDeed::Approve, Label::Approve, plain, true),
            button(CaseDeed::Edit, Label::Edit, plain, facts.has_words),
            button(CaseDeed::Reject, Label::Reject, danger, true),
        ],
        vec![
            button(CaseDeed::Warn, Label::Warn, plain, facts.has_person),
            button(CaseDeed::Mute, Label::Mute, danger, facts.has_person),
            button(CaseDeed::Freeze, Label::Freeze, danger, facts.has_scene),
        ],
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::SceneId;

    fn standing() -> Standing {
        Standing {
            outbox: 7,
            turn: TurnId(40),
            ordinal: 1,
            num_swipes: 3,
            is_greeting: false,
            length: Some(Length::Medium),
        }
    }

    /// The buttons as one line for each row; greyed out ones in parentheses.
    fn shown(rows: &[Vec<Button>]) -> String {
        let show = |button: &Button| {
            let text = format!("{} {}", button.emoji.unwrap_or(""), button.label);
            let text = text.trim();
            if button.disabled { format!("({text})") } else { format!("[{text}]") }
        };
        let line = |row: &Vec<Button>| row.iter().map(show).collect::<Vec<_>>().join(" ");
        rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_can_do_nothing_is_greyed_out() {
        let rows = |standing: Standing| shown(&reply_rows(&standing, Locale::default()));
        insta::assert_snapshot!(rows(standing()), @r"
        [◀️] (2/3) [▶️] [🔄 Again] [⚠️ Report]
        [⏩ Continue] [➖ Shorter] [➕ Longer]
        ");
        let only = Standing { ordinal: 0, num_swipes: 1, length: None, ..standing() };
        insta::assert_snapshot!(rows(only), @r"
        (◀️) (1/1) (▶️) [🔄 Again] [⚠️ Report]
        [⏩ Continue] [➖ Shorter] [➕ Longer]
        ");
        let shortest = Standing { ordinal: 2, length: Some(Length::Micro), ..standing() };
        insta::assert_snapshot!(rows(shortest), @r"
        [◀️] (3/3) (▶️) [🔄 Again] [⚠️ Report]
        [⏩ Continue] (➖ Shorter) [➕ Longer]
        ");
        let greeting = Standing { is_greeting: true, ordinal: 0, num_swipes: 2, ..standing() };
        insta::assert_snapshot!(rows(greeting), @r"
        (◀️) (1/2) [▶️] (🔄 Again) [⚠️ Report]
        [⏩ Continue] (➖ Shorter) (➕ Longer)
        ");
    }

    #[test]
    fn other_buttons_are_few() {
        insta::assert_snapshot!(shown(&stop_rows(7, JobId(3), Locale::of("de"))), @"[⏹️ Stopp]");
        let confirm = Confirm::EndScene(SceneId(1));
        insta::assert_snapshot!(shown(&confirm_rows(confirm, Locale::of("fr"))), @"[Oui, vraiment] [Non, finalement]");
    }

    #[test]
    fn discord_takes_them_all() {
        let locales = ["en-US", "de", "fr"].map(Locale::of);
        for locale in locales {
            let extreme = Standing { ordinal: u32::MAX, num_swipes: u32::MAX, ..standing() };
            for rows in [
                reply_rows(&extreme, locale),
                stop_rows(7, JobId(3), locale),
                confirm_rows(Confirm::EndScene(SceneId(1)), locale),
                consent_rows(PersonId(i64::MAX), u64::MAX, locale),
                case_rows(
                    &CaseFacts { case: 7, has_words: true, has_person: true, has_scene: true },
                    locale,
                ),
            ] {
                assert!(rows.len() <= 5 && rows.iter().all(|row| (1..=5).contains(&row.len())));
                let ids: Vec<String> =
                    rows.iter().flatten().map(|button| button.custom_id.encode()).collect();
                assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "unique");
                for button in rows.iter().flatten() {
                    assert!(button.label.encode_utf16().count() <= 80);
                    assert!(!button.label.is_empty() || button.emoji.is_some());
                }
            }
        }
    }
}
