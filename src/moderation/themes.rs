//! The themes that can be told by their words, and the lists they are told by.
//!
//! The lists are data (`config/moderation/themes.toml`); profanity's has the `censor` crate's
//! words too. What words do not show, such as a cruel story in mild words, is no theme here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::rules::WordRule;
use super::verdict::Verdict;

/// What a text may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// Curses.
    Profanity,
    /// Slurs against groups.
    Slurs,
    /// Threats and calls to harm oneself.
    Harassment,
    /// Explicitly sexual.
    Sexual,
    /// Cruelty in detail.
    GraphicViolence,
    /// Suicide and self-harm.
    SelfHarm,
    /// Illegal drugs.
    Drugs,
    /// Gambling for money.
    Gambling,
    /// Horror.
    Horror,
}

impl Theme {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Profanity,
        Self::Slurs,
        Self::Harassment,
        Self::Sexual,
        Self::GraphicViolence,
        Self::SelfHarm,
        Self::Drugs,
        Self::Gambling,
        Self::Horror,
    ];

    /// The word that settings use for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Profanity => "profanity",
            Self::Slurs => "slurs",
            Self::Harassment => "harassment",
            Self::Sexual => "sexual",
            Self::GraphicViolence => "graphic_violence",
            Self::SelfHarm => "self_harm",
            Self::Drugs => "drugs",
            Self::Gambling => "gambling",
            Self::Horror => "horror",
        }
    }

    /// What it is, for people.
    pub fn description(self) -> &'static str {
        match self {
            Self::Profanity => "curses and swear words",
            Self::Slurs => "words that demean people for what they are",
            Self::Harassment => "threats, and telling somebody to harm themselves",
            Self::Sexual => "explicit words for sexual acts and parts of the body",
            Self::GraphicViolence => "cruelty and wounds in detail; a plain fight is none",
            Self::SelfHarm => "suicide and self-harm",
            Self::Drugs => "illegal drugs by name; ale and potions are none",
            Self::Gambling => "gambling for real money; a game of dice in a tavern is none",
            Self::Horror => "gruesome horror",
        }
    }

    /// Its words as a rule with this verdict.
    pub fn rule(self, verdict: Verdict) -> WordRule {
        let List { terms, allow } = LISTS.themes.get(&self).cloned().unwrap_or_default();
        WordRule {
            name: self.as_str().to_owned(),
            terms,
            allow,
            verdict,
            theme: Some(self),
            dry_run: false,
        }
    }
}

impl fmt::Display for Theme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A theme's words.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    terms: Vec<String>,
    #[serde(default)]
    allow: Vec<String>,
}

/// What the rule on minors looks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MinorLists {
    /// Enough by itself.
    pub(super) alone: Vec<String>,
    /// Sexual, beside the theme's own words.
    pub(super) explicit: Vec<String>,
    /// Phrases that hold such a word and are none.
    pub(super) innocent: Vec<String>,
    /// Somebody under age.
    pub(super) minor: Vec<String>,
    /// Phrases that hold such a word and are none.
    pub(super) adult: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Lists {
    minors: MinorLists,
    #[serde(flatten)]
    themes: BTreeMap<Theme, List>,
}

static LISTS: LazyLock<Lists> = LazyLock::new(|| {
    const SHIPPED: &str = include_str!("../../config/moderation/themes.toml");
    let mut lists: Lists = toml::from_str(SHIPPED).expect("the shipped lists can be read");
    add_curses(&mut lists.themes);
    lists
});

/// Adds the crate's words to profanity, but for those that another theme claims.
fn add_curses(themes: &mut BTreeMap<Theme, List>) {
    let mut claimed: Vec<String> = themes.values().flat_map(|list| list.terms.clone()).collect();
    let mut curses: Vec<&String> = censor::Censor::Standard.list().collect();
    curses.sort_unstable();
    claimed.iter_mut().for_each(|term| *term = term.trim_matches('*').to_owned());
    let list = themes.entry(Theme::Profanity).or_default();
    list.terms.extend(curses.into_iter().filter(|word| !claimed.contains(word)).cloned());
}

/// The lists for the rule on minors.
pub(super) fn minor_lists() -> &'static MinorLists {
    &LISTS.minors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_theme_has_words_and_a_description() {
        for theme in Theme::ALL {
            assert!(theme.rule(Verdict::Refuse).terms.len() >= 10, "{theme}");
            assert!(theme.description().len() > 5);
            assert_eq!(toml::Value::try_from(theme).unwrap().as_str(), Some(theme.as_str()));
        }
        assert!(minor_lists().alone.len() > 3 && minor_lists().minor.len() > 20);
        assert!(Theme::Profanity.rule(Verdict::Hold).terms.contains(&"whore".to_owned()));
    }
}
