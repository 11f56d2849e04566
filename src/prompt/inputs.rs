//! What a prompt is made of, borrowed from whoever loaded the scene.
//!
//! Every text is as its author wrote it: macros are still unexpanded in what
//! cards, personas and scenes say, and nothing is neutralised yet.

use chrono::{DateTime, FixedOffset, TimeDelta};

use crate::domain::{Length, LorePosition, PromptRole, Speaker, Template, TurnId};

/// Everything that one reply's prompt depends on, the tokenizer and the budget
/// apart. The same inputs always make the same prompt.
#[derive(Debug, Clone, Copy)]
pub struct PromptInputs<'a> {
    /// How the model wants its prompts laid out.
    pub template: &'a Template,
    /// All characters of the scene. Keep their order from reply to reply, whoever
    /// answers, so that the prefix stays the same.
    pub cast: &'a [PromptCharacter<'a>],
    /// Who answers: an index into `cast`.
    pub answering: usize,
    /// Everyone who plays; keep their order, too. The first is `{{user}}` in
    /// example dialogue.
    pub people: &'a [PromptPerson<'a>],
    /// What happens in the story; macros are expanded.
    pub scenario: &'a str,
    /// What never happens in the story; each on one line, in people's words, which hold no
    /// macros.
    pub lines: &'a [&'a str],
    /// What happens in it out of sight alone; likewise.
    pub veils: &'a [&'a str],
    /// Replaces the role line unless blank; `{{original}}` stands for ours.
    pub system_prompt: &'a str,
    /// An instruction right before the reply, unless blank.
    pub post_history_instructions: &'a str,
    /// What lore is told. What stands in one place stands in this order.
    pub lore: &'a [PromptLore<'a>],
    /// Reminders between the turns. Those of one depth stand in this order, after the
    /// lore of that depth.
    pub notes: &'a [PromptNote<'a>],
    /// The line being played, oldest first, without the turn being written.
    pub turns: &'a [PromptTurn<'a>],
    /// The length asked of the reply; `None` leaves it to the model.
    pub length: Option<Length>,
    /// How the reply already begins, where the model is to go on with it. White
    /// space at its end is dropped, so join what comes to the trimmed text.
    pub continuation: Option<&'a str>,
    /// The anchor of the scene's last prompt: where its history began.
    pub anchor: Option<TurnId>,
    /// Makes `{{random}}`, `{{pick}}` and `{{roll}}` come out the same in every
    /// prompt of a scene: derive it from the scene's key.
    pub macro_seed: u64,
    /// What `{{time}}` and `{{date}}` say.
    pub now: DateTime<FixedOffset>,
    /// What `{{idle_duration}}` says: how long ago a person spoke last; `None` where
    /// nobody did.
    pub idle: Option<TimeDelta>,
}

impl<'a> PromptInputs<'a> {
    /// A LimaRP scene of nothing but these, in which the first of the cast answers.
    pub fn plain(
        cast: &'a [PromptCharacter<'a>],
        people: &'a [PromptPerson<'a>],
        turns: &'a [PromptTurn<'a>],
    ) -> Self {
        Self {
            template: &Template::Limarp,
            cast,
            answering: 0,
            people,
            scenario: "",
            lines: &[],
            veils: &[],
            system_prompt: "",
            post_history_instructions: "",
            lore: &[],
            notes: &[],
            turns,
            length: None,
            continuation: None,
            anchor: None,
            macro_seed: 0,
            // The same whenever it is asked for.
            now: DateTime::UNIX_EPOCH.fixed_offset(),
            idle: None,
        }
    }
}

/// A character, as far as a prompt needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptCharacter<'a> {
    /// The name that heads its turns.
    pub name: &'a str,
    /// Who it is; may be empty.
    pub description: &'a str,
    /// A summary of its manner, appended to the description; may be empty.
    pub personality: &'a str,
    /// Example dialogue as cards keep it, `<START>` before each example.
    pub example_dialogue: &'a str,
}

/// A person, under the name they play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptPerson<'a> {
    /// The name that heads their turns.
    pub name: &'a str,
    /// Who their persona is; may be empty.
    pub description: &'a str,
}

/// A piece of lore that fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptLore<'a> {
    /// What it says. Macros are expanded already, and never again here.
    pub text: &'a str,
    /// Where it stands.
    pub place: LorePosition,
    /// Which one it is, for people to read in receipts.
    pub label: &'a str,
    /// Where room is short the lowest falls out first; of equals the earliest.
    pub keep_rank: i64,
}

/// A reminder between the turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptNote<'a> {
    /// Whose reminder it is.
    pub author: NoteAuthor,
    /// What it says; macros are expanded.
    pub text: &'a str,
    /// How many turns stand after it; 0 puts it right before the reply.
    pub depth: usize,
    /// Who says it, where the template can tell; LimaRP has instructions only.
    pub role: PromptRole,
}

/// Whose reminder a note is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteAuthor {
    /// The scene's: the author's note, which lore may join. `{{char}}` is who answers.
    Scene,
    /// A character's, by its place in the cast: `{{char}}` is that character.
    Character(usize),
}

/// One turn that was played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptTurn<'a> {
    /// Its key; the anchor names one.
    pub id: TurnId,
    /// Who spoke, under the name of that time.
    pub speaker: &'a Speaker,
    /// What was said. No macros are expanded: people's text is data.
    pub text: &'a str,
}
