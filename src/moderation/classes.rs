//! What a classifier says of a text, and what follows from it where a policy holds.
//!
//! The categories are those of OpenAI's moderation endpoint. A classifier does not say where
//! in a text something stands, so nothing can be covered: the verdict `redact` counts as
//! `reroll`.

use std::collections::{BTreeMap, BTreeSet};

use super::checker::SceneFacts;
use super::minors;
use super::themes::Theme;
use super::verdict::{Door, Finding, Verdict};

/// What a classifier tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Meant to arouse.
    Sexual,
    /// The same with somebody under age.
    SexualMinors,
    /// Language that harasses somebody.
    Harassment,
    /// The same with a threat.
    HarassmentThreatening,
    /// Hate of a group.
    Hate,
    /// The same with a threat.
    HateThreatening,
    /// Self-harm, promoted or depicted.
    SelfHarm,
    /// Somebody who means to harm themselves.
    SelfHarmIntent,
    /// How it is done.
    SelfHarmInstructions,
    /// Death, violence, injury.
    Violence,
    /// The same in detail.
    ViolenceGraphic,
    /// How something illicit is done.
    Illicit,
    /// The same with violence or a weapon.
    IllicitViolent,
}

/// What a text was found to be.
pub type Categories = BTreeSet<Category>;

impl Category {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Sexual,
        Self::SexualMinors,
        Self::Harassment,
        Self::HarassmentThreatening,
        Self::Hate,
        Self::HateThreatening,
        Self::SelfHarm,
        Self::SelfHarmIntent,
        Self::SelfHarmInstructions,
        Self::Violence,
        Self::ViolenceGraphic,
        Self::Illicit,
        Self::IllicitViolent,
    ];

    /// Its name in the endpoint's answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sexual => "sexual",
            Self::SexualMinors => "sexual/minors",
            Self::Harassment => "harassment",
            Self::HarassmentThreatening => "harassment/threatening",
            Self::Hate => "hate",
            Self::HateThreatening => "hate/threatening",
            Self::SelfHarm => "self-harm",
            Self::SelfHarmIntent => "self-harm/intent",
            Self::SelfHarmInstructions => "self-harm/instructions",
            Self::Violence => "violence",
            Self::ViolenceGraphic => "violence/graphic",
            Self::Illicit => "illicit",
            Self::IllicitViolent => "illicit/violent",
        }
    }

    /// Its name in settings, where only letters and `_` can stand.
    fn setting(self) -> String {
        self.as_str().replace(['/', '-'], "_")
    }

    /// The theme whose verdict decides. None for a plain fight, which every story may have,
    /// nor for what no policy decides.
    pub fn theme(self) -> Option<Theme> {
        match self {
            Self::Sexual => Some(Theme::Sexual),
            Self::Harassment | Self::HarassmentThreatening => Some(Theme::Harassment),
            Self::Hate | Self::HateThreatening => Some(Theme::Slurs),
            Self::SelfHarm | Self::SelfHarmIntent | Self::SelfHarmInstructions => {
                Some(Theme::SelfHarm)
            }
            Self::ViolenceGraphic => Some(Theme::GraphicViolence),
            // Instructions for crimes: drugs are the one crime that policies know.
            Self::Illicit | Self::IllicitViolent => Some(Theme::Drugs),
            Self::Violence | Self::SexualMinors => None,
        }
    }
}

/// From which score on a text counts as something.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    default: f64,
    own: BTreeMap<Category, f64>,
}

impl Thresholds {
    /// What the threshold of all others is called in settings.
    const DEFAULT: &str = "default";

    /// Reads settings: by category, with `_` for `/` and `-`, and `default`.
    ///
    /// # Errors
    /// A name that no category has, or there is no default; says which names there are.
    pub fn new(settings: &BTreeMap<String, f64>) -> Result<Self, String> {
        let names = || Category::ALL.map(Category::setting).join(", ");
        let (mut default, mut own) = (None, BTreeMap::new());
        for (name, &score) in settings {
            match Category::ALL.into_iter().find(|it| it.setting() == *name) {
                Some(category) => drop(own.insert(category, score)),
                None if name == Self::DEFAULT => default = Some(score),
                None => return Err(format!("there is no “{name}”, only default, {}", names())),
            }
        }
        let default = default.ok_or_else(|| "“default” is missing".to_owned())?;
        Ok(Self { default, own })
    }

    /// Whether a text with that score counts as something.
    pub fn is_reached(&self, category: Category, score: f64) -> bool {
        score >= self.own.get(&category).copied().unwrap_or(self.default)
    }
}

/// What follows at a door from what a text of that length was found to be, where these
/// themes have these verdicts.
pub fn classified(
    categories: &Categories,
    len: usize,
    door: Door,
    themes: &BTreeMap<Theme, Verdict>,
    facts: SceneFacts,
) -> Vec<Finding> {
    let finding = |&category: &Category| {
        let sexualises_minors = match category {
            Category::SexualMinors => true,
            Category::Sexual => facts.minor_present,
            _ => false,
        };
        let (rule, theme, verdict) = match category.theme() {
            _ if sexualises_minors => (minors::NAME, None, Verdict::Refuse),
            None => return None,
            Some(theme) => {
                let verdict = match themes.get(&theme).copied().unwrap_or_default() {
                    Verdict::Redact => Verdict::Reroll,
                    verdict => verdict,
                };
                (category.as_str(), Some(theme), verdict.at(door))
            }
        };
        let finding =
            Finding { rule: rule.to_owned(), theme, verdict, span: 0..len, dry_run: false };
        (verdict > Verdict::Allow).then_some(finding)
    };
    categories.iter().filter_map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moderation::Policy;

    const ADULTS: SceneFacts = SceneFacts { minor_present: false };

    fn verdicts(found: &[Category], door: Door, preset: &str, facts: SceneFacts) -> Vec<Verdict> {
        let themes = Policy::preset(preset).unwrap().themes;
        let found = classified(&found.iter().copied().collect(), 4, door, &themes, facts);
        found.into_iter().map(|finding| finding.verdict).collect()
    }

    #[test]
    fn the_themes_verdict_decides_and_the_door() {
        let of = |category, door, preset| verdicts(&[category], door, preset, ADULTS);
        assert_eq!(of(Category::Sexual, Door::Reply, "teen"), [Verdict::Reroll]);
        assert_eq!(of(Category::Sexual, Door::Message, "teen"), [Verdict::Refuse]);
        assert_eq!(of(Category::Sexual, Door::Message, "mature"), []);
        assert_eq!(of(Category::HateThreatening, Door::Reply, "mature"), [Verdict::Reroll]);
        assert_eq!(of(Category::SelfHarmIntent, Door::Message, "mature"), [Verdict::Hold]);
        assert_eq!(of(Category::Violence, Door::Message, "family"), []);
        // Nothing says what there would be to cover.
        assert_eq!(of(Category::Illicit, Door::Reply, "teen"), [Verdict::Reroll]);
        assert_eq!(of(Category::Illicit, Door::Message, "teen"), [Verdict::Refuse]);
    }

    #[test]
    fn no_policy_allows_to_sexualise_minors() {
        for door in [Door::Message, Door::Card, Door::Prompt, Door::Reply] {
            let none = BTreeMap::new();
            let minors = Categories::from([Category::SexualMinors]);
            let found = classified(&minors, 4, door, &none, ADULTS);
            assert_eq!(found[0].verdict, Verdict::Refuse);
            assert_eq!((found[0].rule.as_str(), found[0].span.clone()), ("minors", 0..4));
            let present = SceneFacts { minor_present: true };
            let sexual = verdicts(&[Category::Sexual], door, "mature", present);
            assert_eq!(sexual, [Verdict::Refuse]);
        }
    }

    #[test]
    fn each_category_has_its_threshold_or_the_one_of_all() {
        let settings = |pairs: &[(&str, f64)]| {
            Thresholds::new(&pairs.iter().map(|&(name, score)| (name.to_owned(), score)).collect())
        };
        let thresholds = settings(&[("default", 0.5), ("sexual_minors", 0.2)]).unwrap();
        assert!(thresholds.is_reached(Category::SexualMinors, 0.2));
        assert!(!thresholds.is_reached(Category::Sexual, 0.49));
        assert!(thresholds.is_reached(Category::SelfHarmIntent, 0.5));
        let wrong = settings(&[("default", 0.5), ("self_ham", 0.2)]).unwrap_err();
        assert!(wrong.contains("“self_ham”") && wrong.contains("self_harm_intent"), "{wrong}");
        assert!(settings(&[]).unwrap_err().contains("default"));
    }
}
