//! What an activation comes to: what fired, what did not, and why.

use std::fmt;

use super::source::LoreSource;
use super::timed::TimedEffects;
use crate::domain::{LoreEntry, LorePosition, SecondaryLogic};

/// What an activation comes to. It borrows the entries from their [`Lore`](super::Lore).
#[derive(Debug, Clone, PartialEq)]
pub struct Activation<'a> {
    /// What is told, in the order of the prompt.
    pub fired: Vec<FiredEntry<'a>>,
    /// All other entries, in the order in which they were considered.
    pub not_fired: Vec<SilentEntry<'a>>,
    /// What the next activation must be given.
    pub effects: TimedEffects,
    /// Our own prompts that a fired entry wants gone.
    pub disabled_prompts: Vec<UiPrompt>,
    /// What the told entries add up to.
    pub num_tokens: usize,
    /// What they might have added up to.
    pub budget_tokens: usize,
    /// Whether an entry did not fit, which ends the search.
    pub is_over_budget: bool,
    /// How often the entries were gone through.
    pub num_rounds: usize,
    /// How many searches by regular expressions were given up since they took too long;
    /// they count as not found.
    pub num_regexes_given_up: usize,
}

/// An entry that is told.
#[derive(Debug, Clone, PartialEq)]
pub struct FiredEntry<'a> {
    /// Its book.
    pub source: &'a LoreSource,
    /// The entry as it was written.
    pub entry: &'a LoreEntry,
    /// What it says: without decorators, placeholders replaced.
    pub content: String,
    /// Where it stands.
    pub place: LorePlace,
    /// Its size, the line break after it included.
    pub num_tokens: usize,
    /// What made it fire.
    pub cause: Cause,
    /// At which level of recursion: 0 if the messages alone made it fire.
    pub level: usize,
    /// Whether it goes first when the context is full (`@@ignore_on_max_context`).
    pub is_expendable: bool,
}

/// An entry that is not told.
#[derive(Debug, Clone, PartialEq)]
pub struct SilentEntry<'a> {
    /// Its book.
    pub source: &'a LoreSource,
    /// The entry as it was written.
    pub entry: &'a LoreEntry,
    /// Why.
    pub reason: NotFired,
}

/// Where a fired entry stands: where it says itself, or where a decorator puts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LorePlace {
    /// Where the entry's position says; `@@depth`, `@@reverse_depth` and `@@role`
    /// included.
    Position(LorePosition),
    /// Right before the character's description.
    BeforeDescription,
    /// Right after the character's description.
    AfterDescription,
    /// With the character's personality.
    Personality,
    /// With the scenario.
    Scenario,
}

/// A prompt of ours that an entry may switch off (`@@disable_ui_prompt`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UiPrompt {
    /// The system prompt.
    SystemPrompt,
    /// The instructions after the history.
    PostHistoryInstructions,
}

/// What made an entry fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It needs no key.
    Constant,
    /// It fired before and stays for some turns.
    Sticky,
    /// A decorator of this name.
    Decorator(&'static str),
    /// A key.
    Key {
        /// As it was written.
        key: String,
        /// The secondary key that was found, where one had to be.
        secondary: Option<String>,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant => f.write_str("it needs no key"),
            Self::Sticky => f.write_str("it fired before and stays for some turns"),
            Self::Decorator(name) => write!(f, "its @@{name} says so"),
            Self::Key { key, secondary: None } => write!(f, "key \"{key}\""),
            Self::Key { key, secondary: Some(secondary) } => {
                write!(f, "key \"{key}\" with \"{secondary}\"")
            }
        }
    }
}

/// Why an entry is not told. It displays as a sentence without its subject, such as
/// "is switched off".
#[derive(Debug, Clone, PartialEq)]
pub enum NotFired {
    /// It is switched off.
    Disabled,
    /// Its book is another character's, or its filter leaves the character out.
    CharacterFilter,
    /// It is for other kinds of generation.
    Trigger,
    /// There are too few turns yet.
    Delay {
        /// How many it waits for.
        turns_left: usize,
    },
    /// It rests after it fired.
    Cooldown {
        /// For how many more turns.
        turns_left: usize,
    },
    /// It fires by recursion alone, and its level was not reached.
    RecursionOnly {
        /// The level.
        level: u32,
    },
    /// Only what others say holds its keys, and that may not make it fire.
    ExcludedFromRecursion,
    /// A decorator of this name forbids it.
    Decorator(&'static str),
    /// It has no keys and is not constant.
    Keyless,
    /// None of its keys was found.
    NoKey,
    /// Its keys are no valid regular expressions.
    InvalidRegex,
    /// A key was found, but the secondary keys say no.
    Secondary {
        /// The key that was found.
        key: String,
        /// How the secondary keys count.
        logic: SecondaryLogic,
    },
    /// Another entry of its group won.
    GroupLost {
        /// The group.
        group: String,
        /// The winner's name, or its uid if it has none.
        to: String,
    },
    /// The lot was against it.
    Probability {
        /// How likely it is, in percent.
        percent: f32,
        /// What was drawn, out of 100.
        rolled: f64,
    },
    /// It does not fit into the budget of all lore.
    Budget {
        /// Its size in tokens.
        needed: usize,
        /// What was left.
        left: usize,
    },
    /// It does not fit into the budget of its book.
    BookBudget {
        /// Its size in tokens.
        needed: usize,
        /// The book's budget.
        budget: usize,
    },
    /// It fired, but it says nothing.
    Empty,
    /// It fired, but another entry that fired says the same.
    Duplicate {
        /// That entry's name, or its uid if it has none.
        of: String,
    },
}

impl NotFired {
    /// A stable label for metrics and tables.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::CharacterFilter => "character_filter",
            Self::Trigger => "trigger",
            Self::Delay { .. } => "delay",
            Self::Cooldown { .. } => "cooldown",
            Self::RecursionOnly { .. } => "recursion_only",
            Self::ExcludedFromRecursion => "excluded_from_recursion",
            Self::Decorator(_) => "decorator",
            Self::Keyless => "keyless",
            Self::NoKey => "no_key",
            Self::InvalidRegex => "invalid_regex",
            Self::Secondary { .. } => "secondary",
            Self::GroupLost { .. } => "group_lost",
            Self::Probability { .. } => "probability",
            Self::Budget { .. } => "budget",
            Self::BookBudget { .. } => "book_budget",
            Self::Empty => "empty",
            Self::Duplicate { .. } => "duplicate",
        }
    }
}

impl fmt::Display for NotFired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("is switched off"),
            Self::CharacterFilter => f.write_str("is not for this character"),
            Self::Trigger => f.write_str("is not for this kind of reply"),
            Self::Delay { turns_left } => {
                write!(f, "waits for {turns_left} more turns")
            }
            Self::Cooldown { turns_left } => {
                write!(f, "rests for {turns_left} more turns")
            }
            Self::RecursionOnly { level } => {
                write!(f, "waits for other lore to bring it up (level {level})")
            }
            Self::ExcludedFromRecursion => {
                f.write_str("was brought up by other lore only, which does not count for it")
            }
            Self::Decorator(name) => write!(f, "is held back by its @@{name}"),
            Self::Keyless => f.write_str("has no keys and is not constant"),
            Self::NoKey => f.write_str("has no key in what was said"),
            Self::InvalidRegex => f.write_str("has a key that is no valid regular expression"),
            Self::Secondary { key, logic } => {
                write!(f, "was brought up by \"{key}\", but {}", unmet(*logic))
            }
            Self::GroupLost { group, to } => {
                write!(f, "lost to \"{to}\" in the group \"{group}\"")
            }
            Self::Probability { percent, rolled } => {
                write!(f, "had bad luck: {rolled:.1} drawn, at most {percent} needed")
            }
            Self::Budget { needed, left } => {
                write!(f, "takes {needed} tokens, but {left} are left for lore")
            }
            Self::BookBudget { needed, budget } => {
                write!(f, "takes {needed} tokens more than its book's {budget} allow")
            }
            Self::Empty => f.write_str("says nothing"),
            Self::Duplicate { of } => write!(f, "says the same as \"{of}\""),
        }
    }
}

/// What the secondary keys missed.
fn unmet(logic: SecondaryLogic) -> &'static str {
    match logic {
        SecondaryLogic::AndAny => "none of its secondary keys was there",
        SecondaryLogic::NotAll => "all of its secondary keys were there",
        SecondaryLogic::NotAny => "one of its secondary keys was there",
        SecondaryLogic::AndAll => "not all of its secondary keys were there",
    }
}
