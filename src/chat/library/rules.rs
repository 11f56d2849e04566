//! The rules that hold in a guild and its scenes, and what they say of a text.
//!
//! Of all policies around a scene the stricter word counts. Rules that cannot be read
//! let nothing through.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::classifier::Classifier;
use crate::domain::{Boundary, BoundaryKind, CharacterSheet, GuildId, SceneId};
use crate::moderation::{
    Arrivals, Checker, Door, Outcome, Policy, Rating, Reading, Retention, RuleError, SceneFacts,
    Theme, Verdict, WordRule, declares_minor, line_rule, veil_rule,
};
use crate::store::{Noun, PlacePolicy, SceneGround, StoreError, Surroundings};

use super::tally::Tally;
use super::{Library, PLATFORM};
use crate::chat::ChatError;

/// The most compiled rule sets that are kept.
const MAX_COMPILED: usize = 64;

/// The rules of one scene, or of a guild as a whole.
#[derive(Debug, Clone)]
pub struct Rules {
    /// What they are made of.
    pub policy: Policy,
    pub(in crate::chat) checker: Arc<Checker>,
    /// The same with the lines and veils of a scene, which bind replies alone.
    replies: Arc<Checker>,
    /// What follows at a reply where a theme is met, lines and veils included.
    pub(super) reply_themes: BTreeMap<Theme, Verdict>,
    /// What is asked beside them.
    pub(super) classifier: Option<Arc<Classifier>>,
    /// Whether what cannot be classified waits for a moderator, rather than being refused.
    pub(super) for_adults: bool,
    pub(in crate::chat) facts: SceneFacts,
    /// Why what was written down cannot be read, among adults: all that this house does
    /// not refuse anyway waits for a moderator.
    pub(in crate::chat) unread: Option<String>,
    /// Whose they are.
    guild: GuildId,
    /// Where it is counted what is met.
    tally: Arc<Tally>,
}

impl Rules {
    /// What the rules alone say of a text.
    pub fn check(&self, door: Door, text: &str) -> Outcome {
        let checker = if door == Door::Reply { &self.replies } else { &self.checker };
        let mut outcome = checker.check(door, text, self.facts);
        if self.unread.is_some() {
            outcome.verdict = outcome.verdict.max(Verdict::Hold);
        }
        outcome
    }

    /// Counts what a text met that came to a door.
    pub(in crate::chat) fn count(&self, outcome: &Outcome) {
        self.tally.add(self.guild, &outcome.findings);
    }

    /// Whether the model may read a prompt.
    ///
    /// # Errors
    /// It sexualises a minor.
    pub(in crate::chat) fn pass_prompt(&self, prompt: &str) -> Result<(), ChatError> {
        let outcome = self.checker.check_prompt(prompt, self.facts);
        self.count(&outcome);
        match outcome.verdict {
            Verdict::Allow => Ok(()),
            _ => Err(ChatError::refused(self.refusal(&outcome))),
        }
    }

    /// Up to where a growing reply may be shown, in bytes.
    pub(in crate::chat) fn showable(&self, reply: &str, reading: &mut Reading) -> usize {
        match self.unread {
            Some(_) => 0,
            None => self.replies.showable(reply, self.facts, reading),
        }
    }
}

impl Library {
    /// The rules of a scene, or of a guild where none is named.
    ///
    /// # Errors
    /// There is no such scene, a policy cannot be read, or the database fails.
    pub async fn rules(&self, guild: GuildId, scene: Option<SceneId>) -> Result<Rules, ChatError> {
        let Some(scene) = scene else {
            // A library is for every place of its guild: each scene has its own word later.
            let around = Surroundings { age_restricted: true, ..Surroundings::default() };
            return self.rules_at(guild, &around, "", SceneFacts::default()).await;
        };
        let ground = self.store.get_scene_ground(guild, scene).await?;
        self.rules_on(guild, &ground.ok_or(StoreError::NotFound(Noun::Scene))?)
    }

    /// The rules of a scene, of what they are made of.
    ///
    /// # Errors
    /// A policy cannot be read.
    pub(in crate::chat) fn rules_on(
        &self,
        guild: GuildId,
        ground: &SceneGround,
    ) -> Result<Rules, ChatError> {
        let facts = facts_of(ground.cast.iter().map(|member| &member.character.sheet));
        let is_own = ground.platform == PLATFORM;
        let SceneGround { policies, around, channel, .. } = ground;
        let rules = self.rules_of(guild, policies, is_own, around, channel, facts)?;
        self.within(rules, &ground.boundaries)
    }

    /// The same rules with the lines and veils of a scene.
    ///
    /// # Errors
    /// One cannot be looked for.
    pub(in crate::chat) fn within(
        &self,
        rules: Rules,
        boundaries: &[Boundary],
    ) -> Result<Rules, ChatError> {
        let mut words: Vec<WordRule> = Vec::new();
        for Boundary { kind, text, .. } in boundaries {
            match kind {
                BoundaryKind::Line => words.push(line_rule(text).map_err(refused_line)?),
                BoundaryKind::Veil => words.extend(veil_rule(text)),
            }
        }
        let mut reply_themes = rules.policy.themes.clone();
        for (theme, verdict) in words.iter().filter_map(|rule| Some((rule.theme?, rule.verdict))) {
            let known = reply_themes.entry(theme).or_default();
            *known = verdict.max(*known);
        }
        Ok(Rules { replies: self.compiled(&rules.policy, &words)?, reply_themes, ..rules })
    }

    /// What is allowed in a place, whether a scene is played there or not.
    ///
    /// # Errors
    /// A policy cannot be read, or the database fails.
    pub async fn policy_at(
        &self,
        guild: GuildId,
        around: &Surroundings,
        channel: &str,
    ) -> Result<Policy, ChatError> {
        let rules = self.rules_at(guild, around, channel, SceneFacts::default()).await?;
        match rules.unread {
            Some(unread) => Err(ChatError::refused(unread)),
            None => Ok(rules.policy),
        }
    }

    /// The rules of a scene that stands there, with such a cast.
    ///
    /// # Errors
    /// A policy cannot be read, or the database fails.
    pub(in crate::chat) async fn rules_at(
        &self,
        guild: GuildId,
        around: &Surroundings,
        channel: &str,
        facts: SceneFacts,
    ) -> Result<Rules, ChatError> {
        let policies = self.store.list_policies(guild).await?;
        let known = self.store.get_guild(guild).await?;
        let is_own = known.is_some_and(|guild| guild.platform == PLATFORM);
        self.rules_of(guild, &policies, is_own, around, channel, facts)
    }

    /// The rules that those policies make; one's own machine is nobody else's business.
    fn rules_of(
        &self,
        guild: GuildId,
        policies: &[PlacePolicy],
        is_own: bool,
        around: &Surroundings,
        channel: &str,
        facts: SceneFacts,
    ) -> Result<Rules, ChatError> {
        let written = effective(policies, around, channel, is_own || around.age_restricted);
        let made = written.and_then(|policy| Ok((self.compiled(&policy, &[])?, policy)));
        let (checker, policy, unread) = match made {
            Ok((checker, policy)) => (checker, policy, None),
            Err(error) if around.age_restricted => {
                let policy = Policy::floor(true);
                (self.compiled(&policy, &[])?, policy, Some(error.to_string()))
            }
            Err(error) => return Err(error),
        };
        Ok(Rules {
            replies: checker.clone(),
            checker,
            reply_themes: policy.themes.clone(),
            policy,
            facts,
            unread,
            classifier: self.classifier.clone(),
            for_adults: around.age_restricted,
            guild,
            tally: self.tally.clone(),
        })
    }

    /// The guild's rules where that character is in the scene.
    async fn rules_of_sheet(
        &self,
        guild: GuildId,
        sheet: &CharacterSheet,
    ) -> Result<Rules, ChatError> {
        let rules = self.rules(guild, None).await?;
        Ok(Rules { facts: facts_of([sheet]), ..rules })
    }

    /// Whether a character may come into the guild's library. What is met was counted when
    /// the sheet was judged, where somebody judged it.
    ///
    /// # Errors
    /// The rules do not allow what its sheet says, or the database fails.
    pub(in crate::chat) async fn check_sheet(
        &self,
        guild: GuildId,
        sheet: &CharacterSheet,
    ) -> Result<(), ChatError> {
        let rules = self.rules_of_sheet(guild, sheet).await?;
        rules.pass_all_uncounted(Door::Card, &[&words_of(sheet)]).await
    }

    /// Why a character waits for a moderator, who brings and changes them without being
    /// one; `None` where it does not.
    ///
    /// # Errors
    /// The rules do not allow what its sheet says, or the database fails.
    pub(in crate::chat) async fn judge_sheet(
        &self,
        guild: GuildId,
        sheet: &CharacterSheet,
        by_moderator: bool,
    ) -> Result<Option<String>, ChatError> {
        let rules = self.rules_of_sheet(guild, sheet).await?;
        let is_reviewed = rules.policy.characters == Arrivals::Reviewed && !by_moderator;
        let why = rules.judge_all(Door::Card, &[&words_of(sheet)]).await?;
        let review = || format!("{}: the policy has characters reviewed", Door::Card);
        Ok(why.or_else(|| is_reviewed.then(review)))
    }

    /// Whether a character may come that a moderator has seen.
    ///
    /// # Errors
    /// It may not, whoever says so, or the database fails.
    pub(in crate::chat) async fn check_seen_sheet(
        &self,
        guild: GuildId,
        sheet: &CharacterSheet,
    ) -> Result<(), ChatError> {
        let rules = self.rules_of_sheet(guild, sheet).await?;
        rules.pass_all_seen(Door::Card, &[&words_of(sheet)]).await
    }

    /// Whether a lorebook may come into the guild's library, by its file's text, where nobody
    /// can wait for a moderator, or it was judged before.
    ///
    /// # Errors
    /// The rules do not allow what it says, or the database fails.
    pub(in crate::chat) async fn check_book(
        &self,
        guild: GuildId,
        body: &str,
    ) -> Result<(), ChatError> {
        let body = parsed(body);
        self.rules(guild, None).await?.pass_all_uncounted(Door::Card, &texts_in(&body)).await
    }

    /// Why a lorebook waits for a moderator, where it does.
    ///
    /// # Errors
    /// The rules do not allow what it says, or the database fails.
    pub(in crate::chat) async fn judge_book(
        &self,
        guild: GuildId,
        body: &str,
    ) -> Result<Option<String>, ChatError> {
        let body = parsed(body);
        self.rules(guild, None).await?.judge_all(Door::Card, &texts_in(&body)).await
    }

    /// Whether a lorebook may come that a moderator has seen.
    ///
    /// # Errors
    /// It may not, whoever says so, or the database fails.
    pub(in crate::chat) async fn check_seen_book(
        &self,
        guild: GuildId,
        body: &str,
    ) -> Result<(), ChatError> {
        let body = parsed(body);
        self.rules(guild, None).await?.pass_all_seen(Door::Card, &texts_in(&body)).await
    }

    fn compiled(&self, policy: &Policy, more: &[WordRule]) -> Result<Arc<Checker>, ChatError> {
        let key = json!([policy, more]).to_string();
        if let Some(known) = self.compiled.lock().expect("nothing panics here").get(&key) {
            return Ok(known.clone());
        }
        let checker =
            Checker::with_words(policy, more).map_err(|error| unreadable(&error.to_string()))?;
        let checker = Arc::new(checker);
        let mut compiled = self.compiled.lock().expect("nothing panics here");
        if compiled.len() >= MAX_COMPILED {
            compiled.clear();
        }
        compiled.insert(key, checker.clone());
        Ok(checker)
    }
}

/// How long what is said in a place is kept.
pub(in crate::chat) fn retention_at(
    policies: &[PlacePolicy],
    around: &Surroundings,
    channel: &str,
) -> Result<Retention, ChatError> {
    Ok(effective(policies, around, channel, true)?.retention)
}

/// The stricter of all that hold in a place.
fn effective(
    policies: &[PlacePolicy],
    around: &Surroundings,
    channel: &str,
    for_adults: bool,
) -> Result<Policy, ChatError> {
    let holds = |place: &str| {
        place.is_empty() || place == channel || around.places.iter().any(|it| it == place)
    };
    let mut policies = policies.iter().filter(|policy| holds(&policy.place)).peekable();
    let begin = match policies.peek() {
        Some(_) => Policy::default(),
        None => Policy::default_for(if for_adults { Rating::Mature } else { Rating::Teen }),
    };
    let written = policies.try_fold(begin, |policy, of_place| {
        Ok::<_, ChatError>(policy.stricter(&read_policy(of_place)?.with_themes()))
    })?;
    Ok(written.stricter(&Policy::floor(for_adults)))
}

/// A place's policy as it was written down.
pub(in crate::chat) fn read_policy(of_place: &PlacePolicy) -> Result<Policy, ChatError> {
    serde_json::from_value(of_place.body.clone()).map_err(|error| unreadable(&error.to_string()))
}

/// What somebody is told whose line nothing could be told by.
pub(in crate::chat) fn refused_line(error: RuleError) -> ChatError {
    ChatError::refused(error.to_string())
}

fn unreadable(error: &str) -> ChatError {
    ChatError::refused(format!(
        "the rules of this place cannot be read, so nothing is let through: {error}; \
         /policy preset or /policy import writes them anew"
    ))
}

/// All that a sheet says of somebody.
fn words_of(sheet: &CharacterSheet) -> String {
    let mut words = vec![
        sheet.name.as_str(),
        &sheet.description,
        &sheet.personality,
        &sheet.scenario,
        &sheet.greeting,
        &sheet.example_dialogue,
        &sheet.system_prompt,
        &sheet.post_history_instructions,
    ];
    words.extend(sheet.nickname.as_deref());
    words.extend(sheet.depth_prompt.as_ref().map(|prompt| prompt.text.as_str()));
    let greetings = sheet.alternate_greetings.iter().chain(&sheet.group_only_greetings);
    words.extend(greetings.map(String::as_str));
    words.join("\n\n")
}

/// What a file holds; nothing where it is no JSON.
fn parsed(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_default()
}

/// Every text of a file, wherever it stands.
fn texts_in(file: &Value) -> Vec<&str> {
    let mut texts = Vec::new();
    collect_texts(file, &mut texts);
    texts
}

fn collect_texts<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(values) => values.iter().for_each(|value| collect_texts(value, texts)),
        Value::Object(fields) => fields.values().for_each(|value| collect_texts(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a sheet says that somebody is under age.
fn is_minor(sheet: &CharacterSheet) -> bool {
    declares_minor(&sheet.description) || declares_minor(&sheet.personality)
}

/// What the rules need to know of a cast.
pub(in crate::chat) fn facts_of<'a>(
    cast: impl IntoIterator<Item = &'a CharacterSheet>,
) -> SceneFacts {
    SceneFacts { minor_present: cast.into_iter().any(is_minor) }
}
