//! What becomes of a text where rules hold: rules of words first, then the classifier, if
//! there is one, which may ask for more than they did and never for less.
//!
//! Invariant: what could not be classified does not pass. What is met at a door is counted
//! ([`super::tally`]); what is only looked at, or looked at again, is not.

use crate::chat::ChatError;
use crate::moderation::{Categories, Door, Finding, Outcome, Verdict, classified};

use super::rules::Rules;

/// What findings say of a text that the classifier said nothing of.
const UNCLASSIFIED: &str = "the classifier does not answer";

/// What becomes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::chat) enum Judged {
    /// It stands, as it is or with what was found covered.
    Stands(String),
    /// It waits for a moderator.
    Waits {
        /// As it would stand.
        text: String,
        /// Why it waits.
        why: String,
    },
}

impl Rules {
    /// What the rules and the classifier say of a text.
    ///
    /// # Errors
    /// It cannot be classified, where not only adults come in.
    pub async fn examine(&self, door: Door, text: &str) -> Result<Outcome, ChatError> {
        let mut outcomes = self.examine_all(door, &[text]).await?;
        Ok(outcomes.pop().expect("there is one for each text"))
    }

    /// The same of texts that come together: one that the rules refuse spares the others the
    /// classifier.
    async fn examine_all(&self, door: Door, texts: &[&str]) -> Result<Vec<Outcome>, ChatError> {
        let outcomes: Vec<Outcome> = texts.iter().map(|text| self.check(door, text)).collect();
        let is_over =
            |outcome: &Outcome| matches!(outcome.verdict, Verdict::Reroll | Verdict::Refuse);
        let Some(classifier) = &self.classifier else { return Ok(outcomes) };
        if outcomes.iter().any(is_over) {
            return Ok(outcomes);
        }
        let found = match classifier.classify(texts).await {
            Ok(found) => found.into_iter().map(Some).collect(),
            Err(_) if self.for_adults => vec![None; texts.len()],
            Err(_) => return Err(ChatError::refused(unclassified())),
        };
        let both = outcomes.into_iter().zip(texts).zip(found);
        Ok(both.map(|((outcome, text), it)| outcome.with(self.follows(door, text, it))).collect())
    }

    /// What follows from what the classifier said, or from its silence.
    fn follows(&self, door: Door, text: &str, found: Option<Categories>) -> Vec<Finding> {
        let themes = if door == Door::Reply { &self.reply_themes } else { &self.policy.themes };
        match found {
            Some(found) => classified(&found, text.len(), door, themes, self.facts),
            None => vec![Finding {
                rule: UNCLASSIFIED.to_owned(),
                theme: None,
                verdict: Verdict::Hold,
                span: 0..text.len(),
                dry_run: false,
            }],
        }
    }

    /// Whether growing replies are to be classified before more of them is shown.
    pub(in crate::chat) fn has_classifier(&self) -> bool {
        self.classifier.is_some()
    }

    /// Whether the beginning of a reply may be shown.
    pub(in crate::chat) async fn clears(&self, begun: &str) -> bool {
        let outcome = self.examine(Door::Reply, begun).await;
        outcome.is_ok_and(|outcome| outcome.verdict == Verdict::Allow)
    }

    /// The text as it may stand: as it is, or with what was found covered. Where nobody
    /// can wait for a moderator.
    ///
    /// # Errors
    /// It may not stand; says which rule was met.
    pub async fn pass(&self, door: Door, text: &str) -> Result<String, ChatError> {
        let outcome = self.examine(door, text).await?;
        self.count(&outcome);
        self.standing(outcome)
    }

    /// The same of texts that come together.
    ///
    /// # Errors
    /// One of them may not stand; says which rule was met.
    pub(in crate::chat) async fn pass_all(
        &self,
        door: Door,
        texts: &[&str],
    ) -> Result<Vec<String>, ChatError> {
        let outcomes = self.examine_all(door, texts).await?;
        outcomes.iter().for_each(|outcome| self.count(outcome));
        outcomes.into_iter().map(|outcome| self.standing(outcome)).collect()
    }

    /// The same of what came to a door before.
    ///
    /// # Errors
    /// One of them may not stand; says which rule was met.
    pub(super) async fn pass_all_uncounted(
        &self,
        door: Door,
        texts: &[&str],
    ) -> Result<(), ChatError> {
        let outcomes = self.examine_all(door, texts).await?;
        outcomes.into_iter().try_for_each(|outcome| self.standing(outcome).map(drop))
    }

    /// The same where somebody can.
    ///
    /// # Errors
    /// It may not stand; says which rule was met.
    pub(in crate::chat) async fn judge(&self, door: Door, text: &str) -> Result<Judged, ChatError> {
        let outcome = self.examine(door, text).await?;
        self.count(&outcome);
        match outcome.verdict {
            Verdict::Hold => {
                let why = self.reason(door, &outcome);
                Ok(Judged::Waits { text: outcome.text, why })
            }
            _ => self.standing(outcome).map(Judged::Stands),
        }
    }

    /// Why texts that come together wait, where one of them does.
    ///
    /// # Errors
    /// One of them may not stand; says which rule was met.
    pub(in crate::chat) async fn judge_all(
        &self,
        door: Door,
        texts: &[&str],
    ) -> Result<Option<String>, ChatError> {
        let mut why = None;
        let outcomes = self.examine_all(door, texts).await?;
        outcomes.iter().for_each(|outcome| self.count(outcome));
        for outcome in outcomes {
            match outcome.verdict {
                Verdict::Hold => why = why.or_else(|| Some(self.reason(door, &outcome))),
                _ => drop(self.standing(outcome)?),
            }
        }
        Ok(why)
    }

    /// Whether texts that come together may stand once a moderator has seen them.
    ///
    /// # Errors
    /// One of them may not, whoever says so; says which rule was met.
    pub(in crate::chat) async fn pass_all_seen(
        &self,
        door: Door,
        texts: &[&str],
    ) -> Result<(), ChatError> {
        let outcomes = self.examine_all(door, texts).await?;
        match outcomes.iter().find(|outcome| outcome.verdict == Verdict::Refuse) {
            Some(refused) => Err(ChatError::refused(self.refusal(refused))),
            None => Ok(()),
        }
    }

    /// The text as it may stand once a moderator has seen it.
    ///
    /// # Errors
    /// It may not stand whoever says so; says which rule was met.
    pub(in crate::chat) async fn pass_seen(
        &self,
        door: Door,
        text: &str,
    ) -> Result<String, ChatError> {
        let outcome = self.examine(door, text).await?;
        match outcome.verdict {
            Verdict::Refuse => Err(ChatError::refused(self.refusal(&outcome))),
            _ => Ok(outcome.text),
        }
    }

    fn standing(&self, outcome: Outcome) -> Result<String, ChatError> {
        match outcome.verdict {
            Verdict::Allow | Verdict::Redact => Ok(outcome.text),
            Verdict::Reroll | Verdict::Hold | Verdict::Refuse => {
                Err(ChatError::refused(self.refusal(&outcome)))
            }
        }
    }

    /// Why a text was not taken, without repeating it.
    pub(in crate::chat) fn refusal(&self, outcome: &Outcome) -> String {
        let is_held = outcome.verdict == Verdict::Hold;
        match &self.unread {
            Some(unread) if is_held => unread.clone(),
            _ if is_held && outcome.findings.iter().any(|it| it.rule == UNCLASSIFIED) => {
                unclassified()
            }
            _ => format!("the rules here do not allow that ({})", met(outcome)),
        }
    }

    /// Why a text waits: at which door which rules were met.
    pub(in crate::chat) fn reason(&self, door: Door, outcome: &Outcome) -> String {
        match &self.unread {
            Some(unread) => format!("{door}: {unread}"),
            None => format!("{door}: {}", met(outcome)),
        }
    }
}

/// What people are told of a text that could not be classified.
fn unclassified() -> String {
    "that cannot be checked at the moment, so it is not let through; try again in a while"
        .to_owned()
}

/// The rules that more follows from than a cover.
fn met(outcome: &Outcome) -> String {
    let mut met: Vec<String> = Vec::new();
    for finding in outcome.findings.iter().filter(|it| !it.dry_run && it.verdict > Verdict::Redact)
    {
        let name = finding.theme.map_or_else(|| finding.rule.clone(), |theme| theme.to_string());
        if !met.contains(&name) {
            met.push(name);
        }
    }
    met.join(", ")
}
