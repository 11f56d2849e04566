//! What a place allows, as its staff writes it down, and how two such words are joined.
//!
//! Nouns, read and written as TOML. Invariant: [`Policy::stricter`] allows nothing that
//! either of its two forbids, whatever their order.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use super::limits::Limits;
use super::retention::Retention;
use super::rules::{PatternRule, RuleError, WordRule, check_patterns, check_words};
use super::themes::Theme;
use super::verdict::Verdict;

/// For whom a place is, the strictest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rating {
    /// For everybody.
    General,
    /// From thirteen years on, as the platform itself.
    Teen,
    /// For adults, and only where the platform lets nobody else in.
    Mature,
}

impl Rating {
    /// The word that settings use for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Teen => "teen",
            Self::Mature => "mature",
        }
    }
}

/// Who may do something, the most open first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Whoever {
    /// Everybody whom other settings let.
    #[default]
    Everyone,
    /// Moderators alone.
    Moderators,
}

impl Whoever {
    fn is_everyone(&self) -> bool {
        *self == Self::Everyone
    }
}

/// How characters come into the library, the most open way first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Everybody brings them and changes their own.
    #[default]
    Everyone,
    /// The same, and what is new or changed waits until a moderator has seen it.
    Reviewed,
    /// Moderators alone bring and change them.
    Moderators,
}

impl Arrivals {
    fn is_everyone(&self) -> bool {
        *self == Self::Everyone
    }
}

/// When nothing is said, by the clock of a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// From this time on, as `HH:MM`.
    pub from: String,
    /// Until this time; before `from` it is the next day's.
    pub to: String,
    /// How far the place's clock is ahead of UTC, in minutes.
    #[serde(default)]
    pub utc_offset_minutes: i32,
}

impl QuietHours {
    /// Whether it is quiet at that moment. Times that cannot be read are quiet.
    pub fn is_quiet(&self, now: DateTime<Utc>) -> bool {
        let (Some(from), Some(to)) = (time(&self.from), time(&self.to)) else { return true };
        let there = (now + Duration::minutes(i64::from(self.utc_offset_minutes))).time();
        if from <= to { from <= there && there < to } else { from <= there || there < to }
    }
}

fn time(text: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(text, "%H:%M").ok()
}

/// What a place allows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// For whom it is; themes that are not named below follow from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<Rating>,
    /// Who may begin scenes.
    #[serde(skip_serializing_if = "Whoever::is_everyone")]
    pub starters: Whoever,
    /// Who may bring characters and change them, and whether a moderator sees them first.
    #[serde(skip_serializing_if = "Arrivals::is_everyone")]
    pub characters: Arrivals,
    /// The longest reply, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_reply_tokens: Option<usize>,
    /// When nothing is said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quiet_hours: Vec<QuietHours>,
    /// How long what was said is kept.
    #[serde(skip_serializing_if = "Retention::is_endless")]
    pub retention: Retention,
    /// How much one person, and the guild, may have.
    #[serde(skip_serializing_if = "Limits::is_endless")]
    pub limits: Limits,
    /// What follows where a theme is met.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub themes: BTreeMap<Theme, Verdict>,
    /// Lists of words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<WordRule>,
    /// Regular expressions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<PatternRule>,
}

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A file that cannot be read.
    #[error("the policy cannot be read: {0}")]
    Unreadable(String),
    /// A rule that cannot be used.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A time that is none.
    #[error("“{0}” is no time of day; write it as 22:30")]
    Time(String),
    /// An offset that no place has.
    #[error("no place is {0} minutes ahead of UTC; write from -720 to 840")]
    Offset(i32),
    /// A length that no reply has.
    #[error("max_reply_tokens is 0; write at least 16, or leave it out")]
    NoTokens,
    /// A time that nothing can be kept for.
    #[error("nothing is kept for {0} days; write from 1 to 36500, or leave it out")]
    Days(u32),
    /// A limit that lets nothing through.
    #[error("limits.{0} is 0; write at least 1, or leave it out")]
    NoRoom(&'static str),
}

impl Policy {
    /// The names of those that a place can begin with.
    pub const PRESETS: [&str; 4] = ["family", "teen", "mature", "strict"];

    /// One that a place can begin with.
    pub fn preset(name: &str) -> Option<Self> {
        let text = match name {
            "family" => include_str!("../../config/moderation/presets/family.toml"),
            "teen" => include_str!("../../config/moderation/presets/teen.toml"),
            "mature" => include_str!("../../config/moderation/presets/mature.toml"),
            "strict" => include_str!("../../config/moderation/presets/strict.toml"),
            _ => return None,
        };
        Some(Self::from_toml(text).expect("the shipped policies can be read"))
    }

    /// What holds where only this is known.
    pub fn default_for(rating: Rating) -> Self {
        let name = match rating {
            Rating::General => "family",
            Rating::Teen => "teen",
            Rating::Mature => "mature",
        };
        Self::preset(name).expect("every rating has a preset")
    }

    /// What holds in every place, whatever is written down: where not only adults come in,
    /// nothing is explicit.
    pub fn floor(age_restricted: bool) -> Self {
        let rating = if age_restricted { Rating::Mature } else { Rating::Teen };
        let themes = BTreeMap::from([(Theme::Sexual, Verdict::Reroll)]);
        let themes = if age_restricted { BTreeMap::new() } else { themes };
        Self { rating: Some(rating), themes, ..Self::default() }
    }

    /// The same with what its rating says of the themes that it does not name.
    pub fn with_themes(mut self) -> Self {
        if let Some(rating) = self.rating {
            for (theme, verdict) in Self::default_for(rating).themes {
                self.themes.entry(theme).or_insert(verdict);
            }
        }
        self
    }

    /// What both allow.
    pub fn stricter(&self, other: &Self) -> Self {
        let mut themes = self.themes.clone();
        for (&theme, &verdict) in &other.themes {
            let known = themes.entry(theme).or_default();
            *known = verdict.max(*known);
        }
        Self {
            rating: least(self.rating, other.rating),
            starters: self.starters.max(other.starters),
            characters: self.characters.max(other.characters),
            max_reply_tokens: least(self.max_reply_tokens, other.max_reply_tokens),
            quiet_hours: all(&self.quiet_hours, &other.quiet_hours),
            retention: self.retention.stricter(other.retention),
            limits: self.limits.stricter(other.limits),
            themes,
            words: all(&self.words, &other.words),
            patterns: all(&self.patterns, &other.patterns),
        }
    }

    /// Whether nothing is said at that moment.
    pub fn is_quiet(&self, now: DateTime<Utc>) -> bool {
        self.quiet_hours.iter().any(|hours| hours.is_quiet(now))
    }

    /// Reads a policy's file.
    ///
    /// # Errors
    /// It is no TOML, has a key that is not known, or says something impossible.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        let policy: Self =
            toml::from_str(text).map_err(|error| PolicyError::Unreadable(error.to_string()))?;
        policy.validate()?;
        Ok(policy)
    }

    /// The policy as a file.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("a policy is plain data")
    }

    /// Whether it can be used.
    ///
    /// # Errors
    /// It says something impossible; the error says what and what to write instead.
    pub fn validate(&self) -> Result<(), PolicyError> {
        check_words(self.words.iter())?;
        check_patterns(self.patterns.iter())?;
        for hours in &self.quiet_hours {
            for text in [&hours.from, &hours.to] {
                time(text).ok_or_else(|| PolicyError::Time(text.clone()))?;
            }
            if !(-720..=840).contains(&hours.utc_offset_minutes) {
                return Err(PolicyError::Offset(hours.utc_offset_minutes));
            }
        }
        if let Some(days) = self.retention.days().find(|days| !(1..=36_500).contains(days)) {
            return Err(PolicyError::Days(days));
        }
        if let Some(name) = self.limits.impossible() {
            return Err(PolicyError::NoRoom(name));
        }
        match self.max_reply_tokens {
            Some(0) => Err(PolicyError::NoTokens),
            _ => Ok(()),
        }
    }
}

pub(super) fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// What either has, each once, in an order that does not tell which had it.
fn all<T: Ord + Clone>(one: &[T], other: &[T]) -> Vec<T> {
    let mut all: Vec<T> = one.iter().chain(other).cloned().collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies() -> Vec<Policy> {
        let mut policies: Vec<Policy> =
            Policy::PRESETS.iter().map(|name| Policy::preset(name).unwrap()).collect();
        policies.push(Policy::default());
        let quiet = QuietHours { from: "22:00".into(), to: "07:00".into(), utc_offset_minutes: 60 };
        let words = WordRule { terms: vec!["xyzzy".into()], ..WordRule::default() };
        policies.push(Policy {
            quiet_hours: vec![quiet],
            words: vec![words],
            max_reply_tokens: Some(100),
            retention: Retention { texts_days: Some(90), ..Retention::default() },
            characters: Arrivals::Reviewed,
            ..Policy::default()
        });
        let retention =
            Retention { texts_days: Some(30), ended_scenes_days: Some(7), ..Retention::default() };
        policies.push(Policy { max_reply_tokens: Some(50), retention, ..Policy::floor(false) });
        let limits = Limits {
            turns_per_person_per_hour: Some(60),
            replies_per_guild_per_hour: Some(200),
            ..Limits::default()
        };
        policies.push(Policy { limits, ..Policy::default() });
        let limits = Limits {
            turns_per_person_per_hour: Some(90),
            scenes_per_person: Some(2),
            replies_in_a_row: Some(3),
            ..Limits::default()
        };
        policies.push(Policy { limits, ..Policy::default() });
        policies
    }

    #[test]
    fn the_stricter_word_counts_in_any_order() {
        let policies = policies();
        for a in &policies {
            assert_eq!(a.stricter(a), *a);
            for b in &policies {
                let both = a.stricter(b);
                assert_eq!(both, b.stricter(a));
                for theme in Theme::ALL {
                    let of = |it: &Policy| it.themes.get(&theme).copied().unwrap_or_default();
                    assert_eq!(of(&both), of(a).max(of(b)));
                }
                for c in &policies {
                    assert_eq!(both.stricter(c), a.stricter(&b.stricter(c)));
                }
            }
        }
    }

    #[test]
    fn files_say_the_same_again_and_wrong_ones_say_what_is_wrong() {
        for policy in policies() {
            assert_eq!(Policy::from_toml(&policy.to_toml()).unwrap(), policy);
        }
        for (text, wanted) in [
            ("ratng = 'teen'", "unknown field `ratng`, expected one of `rating`"),
            ("rating = 'adult'", "expected one of `general`, `teen`, `mature`"),
            ("max_reply_tokens = 0", "write at least 16"),
            ("quiet_hours = [{ from = '25:00', to = '07:00' }]", "“25:00” is no time of day"),
            ("retention = { texts_days = 0 }", "nothing is kept for 0 days"),
            ("limits = { scenes_per_person = 0 }", "limits.scenes_per_person is 0"),
            ("limits = { scenes = 1 }", "unknown field `scenes`"),
            ("words = [{ terms = [] }]", "has no terms"),
        ] {
            let error = Policy::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_rating_fills_in_what_is_not_named() {
        let policy = Policy {
            rating: Some(Rating::General),
            themes: BTreeMap::from([(Theme::Profanity, Verdict::Allow)]),
            ..Policy::default()
        };
        let whole = policy.with_themes();
        assert_eq!(whole.themes[&Theme::Profanity], Verdict::Allow);
        assert_eq!(whole.themes[&Theme::Sexual], Verdict::Reroll);
        assert!(Policy::floor(true).themes.is_empty());
        let open = Policy::preset("mature").unwrap().stricter(&Policy::floor(false));
        assert_eq!(
            (open.rating, open.themes[&Theme::Sexual]),
            (Some(Rating::Teen), Verdict::Reroll)
        );
    }

    #[test]
    fn quiet_hours_go_over_midnight_by_the_places_clock() {
        let hours = QuietHours { from: "22:00".into(), to: "07:00".into(), utc_offset_minutes: 60 };
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert!(hours.is_quiet(at("2026-01-01T21:00:00Z")));
        assert!(hours.is_quiet(at("2026-01-01T05:59:00Z")));
        assert!(!hours.is_quiet(at("2026-01-01T06:00:00Z")));
        assert!(!hours.is_quiet(at("2026-01-01T20:59:00Z")));
    }
}
