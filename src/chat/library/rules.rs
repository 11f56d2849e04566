//! The rules that hold in a guild and its scenes, and what they say of a text.
//!
//! Of all policies around a scene the stricter word counts. Rules that cannot be read
//! let nothing through.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::domain::{Boundary, BoundaryKind, CharacterSheet, GuildId, SceneId};
use crate::moderation::{
    Checker, Door, Outcome, Policy, Rating, Reading, Retention, RuleError, SceneFacts, Verdict,
    WordRule, declares_minor, line_rule, veil_rule,
};
use crate::store::{Noun, PlacePolicy, StoreError, Surroundings};

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
    pub(in crate::chat) facts: SceneFacts,
}

impl Rules {
    /// What the rules say of a text.
    pub fn check(&self, door: Door, text: &str) -> Outcome {
        let checker = if door == Door::Reply { &self.replies } else { &self.checker };
        checker.check(door, text, self.facts)
    }

    /// Whether the model may read a prompt.
    ///
    /// # Errors
    /// It sexualises a minor.
    pub(in crate::chat) fn pass_prompt(&self, prompt: &str) -> Result<(), ChatError> {
        let outcome = self.checker.check_prompt(prompt, self.facts);
        match outcome.verdict {
            Verdict::Allow => Ok(()),
            _ => Err(ChatError::refused(refusal(&outcome))),
        }
    }

    /// Up to where a growing reply may be shown, in bytes.
    pub(in crate::chat) fn showable(&self, reply: &str, reading: &mut Reading) -> usize {
        self.replies.showable(reply, self.facts, reading)
    }

    /// The text as it may stand: as it is, or with what was found covered.
    ///
    /// # Errors
    /// It may not stand; says which rule was met.
    pub fn pass(&self, door: Door, text: &str) -> Result<String, ChatError> {
        let outcome = self.check(door, text);
        match outcome.verdict {
            Verdict::Allow | Verdict::Redact => Ok(outcome.text),
            Verdict::Reroll | Verdict::Hold | Verdict::Refuse => {
                Err(ChatError::refused(refusal(&outcome)))
            }
        }
    }
}

/// Why a text was not taken, without repeating it.
pub(in crate::chat) fn refusal(outcome: &Outcome) -> String {
    let mut met: Vec<String> = Vec::new();
    for finding in outcome.findings.iter().filter(|it| !it.dry_run && it.verdict > Verdict::Redact)
    {
        let name = finding.theme.map_or_else(|| finding.rule.clone(), |theme| theme.to_string());
        if !met.contains(&name) {
            met.push(name);
        }
    }
    format!("the rules here do not allow that ({})", met.join(", "))
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
        let found = self.store.get_scene(guild, scene).await?;
        let found = found.ok_or(StoreError::NotFound(Noun::Scene))?;
        let cast = self.store.list_cast(guild, scene).await?;
        let facts = facts_of(cast.iter().map(|member| &member.character.sheet));
        let around = self.store.get_surroundings(guild, scene).await?;
        let rules = self.rules_at(guild, &around, &found.channel, facts).await?;
        self.within(rules, &self.store.list_boundaries_in(guild, scene).await?)
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
        let mut words = Vec::new();
        for Boundary { kind, text, .. } in boundaries {
            match kind {
                BoundaryKind::Line => words.push(line_rule(text).map_err(refused_line)?),
                BoundaryKind::Veil => words.extend(veil_rule(text)),
            }
        }
        Ok(Rules { replies: self.compiled(&rules.policy, &words)?, ..rules })
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
        Ok(self.rules_at(guild, around, channel, SceneFacts::default()).await?.policy)
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
        // One's own machine is nobody else's business.
        let known = self.store.get_guild(guild).await?;
        let is_own = known.is_some_and(|guild| guild.platform == PLATFORM);
        let policy = effective(&policies, around, channel, is_own || around.age_restricted)?;
        let checker = self.compiled(&policy, &[])?;
        Ok(Rules { replies: checker.clone(), checker, policy, facts })
    }

    /// Whether a character may come into the guild's library.
    ///
    /// # Errors
    /// The rules do not allow what its sheet says, or the database fails.
    pub(in crate::chat) async fn check_sheet(
        &self,
        guild: GuildId,
        sheet: &CharacterSheet,
    ) -> Result<(), ChatError> {
        let mut rules = self.rules(guild, None).await?;
        rules.facts = facts_of([sheet]);
        rules.pass(Door::Card, &words_of(sheet)).map(drop)
    }

    /// Whether a lorebook may come into the guild's library, by its file's text.
    ///
    /// # Errors
    /// The rules do not allow what it says, or the database fails.
    pub(in crate::chat) async fn check_book(
        &self,
        guild: GuildId,
        body: &str,
    ) -> Result<(), ChatError> {
        let rules = self.rules(guild, None).await?;
        let parsed: Value = serde_json::from_str(body).unwrap_or_default();
        let mut texts = Vec::new();
        collect_texts(&parsed, &mut texts);
        texts.iter().try_for_each(|text| rules.pass(Door::Card, text).map(drop))
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

/// Every text of a file, wherever it stands.
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
