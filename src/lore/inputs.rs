//! What an activation looks at.

use serde::{Deserialize, Serialize};

use super::timed::TimedEffects;

/// The house's defaults, where neither an entry nor its book says otherwise. They
/// are SillyTavern's, under its names without `world_info_`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoreSettings {
    /// How many of the newest messages are scanned.
    pub scan_depth: usize,
    /// How much of the context lore may take, in percent.
    pub budget_percent: u32,
    /// The most tokens that lore may take; absent leaves it to the percentage.
    pub budget_cap_tokens: Option<usize>,
    /// Whether what fired may fire others.
    pub recursive: bool,
    /// How often the entries are gone through at most; 0 is as often as it takes.
    pub max_recursion_steps: usize,
    /// Whether letter case counts in keys.
    pub case_sensitive: bool,
    /// Whether a key of one word must stand as a whole word.
    pub match_whole_words: bool,
    /// Whether the entry with the most matching keys wins its groups.
    pub use_group_scoring: bool,
    /// Whether messages are scanned with `Name: ` before them.
    pub include_names: bool,
    /// How many entries should fire: older messages are scanned, one more at a time,
    /// until as many do; 0 asks for none.
    pub min_activations: usize,
    /// How far back `min_activations` looks, in messages; 0 is to the beginning.
    pub min_activations_max_depth: usize,
}

impl Default for LoreSettings {
    fn default() -> Self {
        Self {
            scan_depth: 2,
            budget_percent: 25,
            budget_cap_tokens: None,
            recursive: true,
            max_recursion_steps: 0,
            case_sensitive: false,
            match_whole_words: true,
            use_group_scoring: false,
            include_names: true,
            min_activations: 0,
            min_activations_max_depth: 0,
        }
    }
}

impl LoreSettings {
    /// How many tokens lore may take in a context of `context_tokens`: the percentage
    /// of it, rounded, at least 1 and at most the cap.
    pub fn budget_tokens(&self, context_tokens: usize) -> usize {
        let percent = usize::try_from(self.budget_percent).unwrap_or(usize::MAX);
        let share = context_tokens.saturating_mul(percent).saturating_add(50) / 100;
        let cap = self.budget_cap_tokens.filter(|cap| *cap > 0).unwrap_or(usize::MAX);
        share.max(1).min(cap)
    }
}

/// One message that is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoreMessage<'a> {
    /// The name that heads it.
    pub speaker: &'a str,
    /// What it says.
    pub text: &'a str,
}

/// What an activation looks at. The same inputs give the same activation.
#[derive(Clone, Copy)]
pub struct LoreInputs<'a> {
    /// The messages, newest last. Those that no depth reaches may be left out.
    pub messages: &'a [LoreMessage<'a>],
    /// How many turns the line has, those left out of `messages` included.
    pub num_turns: usize,
    /// How many of the turns are characters', greetings included.
    pub num_replies: usize,
    /// The house's defaults.
    pub settings: &'a LoreSettings,
    /// The context window.
    pub context_tokens: usize,
    /// The name of the character that answers.
    pub character: &'a str,
    /// That character's tags.
    pub tags: &'a [String],
    /// What is generated: `normal`, `continue`, `swipe`, `impersonate`, `regenerate` or
    /// `quiet`.
    pub trigger: &'a str,
    /// Texts that are scanned beside the messages, such as an author's note that asks
    /// for it.
    pub extras: &'a [&'a str],
    /// Which greeting the scene began with, 0 being the first; absent if that is not
    /// known.
    pub greeting: Option<usize>,
    /// The name of the icon that the person goes by; absent if there are none.
    pub user_icon: Option<&'a str>,
    /// Whether the context is full, so that turns already fall out of it.
    pub is_context_full: bool,
    /// How many tokens a text has.
    pub count_tokens: &'a dyn Fn(&str) -> usize,
    /// Replaces the placeholders of a text.
    pub expand: &'a dyn Fn(&str) -> String,
    /// Where the lots of probabilities and groups come from.
    pub seed: u64,
    /// What the activation before left behind.
    pub effects: &'a TimedEffects,
}
