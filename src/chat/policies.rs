//! The policies of a guild's places: reading, changing, and trying them out on what was said.

use std::collections::BTreeMap;

use serde_json::json;

use crate::domain::{GuildId, PersonId, SceneId};
use crate::moderation::{Door, Limits, Policy};
use crate::store::Line;

use super::hindsight::Stopped;
use super::library::read_policy;
use super::{Chat, ChatError};

/// The most turns that a trial looks through.
const MAX_TRIED_TURNS: u32 = 4_000;

/// What a policy would have met in what was said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyTrial {
    /// How many turns were looked at.
    pub num_turns: usize,
    /// In how many of them something was met.
    pub num_met: usize,
    /// How often each rule was met, by its name.
    pub hits: BTreeMap<String, usize>,
    /// The limits of the policy.
    pub limits: Limits,
    /// What each of them would have stopped.
    pub stopped: Stopped,
}

impl Chat {
    /// The policy of one place of a guild, empty where none was written down; the empty
    /// place is the guild.
    ///
    /// # Errors
    /// It cannot be read, or the database fails.
    pub async fn policy(&self, guild: GuildId, place: &str) -> Result<Policy, ChatError> {
        let policies = self.store.list_policies(guild).await?;
        let found = policies.into_iter().find(|policy| policy.place == place);
        found.map_or_else(|| Ok(Policy::default()), |found| read_policy(&found))
    }

    /// Writes a place's policy down; `None` takes it away. It holds from the next word on.
    ///
    /// # Errors
    /// It says something impossible, or the database fails.
    pub async fn set_policy(
        &self,
        guild: GuildId,
        place: &str,
        policy: Option<&Policy>,
        by: PersonId,
    ) -> Result<(), ChatError> {
        match policy {
            Some(policy) => {
                policy.validate().map_err(|error| ChatError::refused(error.to_string()))?;
                self.store.upsert_policy(guild, place, &json!(policy)).await?;
            }
            None => {
                self.store.delete_policy(guild, place).await?;
            }
        }
        let detail = json!({ "place": place, "policy": policy });
        Ok(self.store.insert_audit(guild, Some(by), "policy.set", &detail).await?)
    }

    /// What the rules that hold in a scene would have met in it, and what its limits would
    /// have stopped.
    ///
    /// # Errors
    /// There is no such scene, a policy cannot be read, or the database fails.
    pub async fn try_rules(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<PolicyTrial, ChatError> {
        let rules = self.library.rules(guild, Some(scene)).await?;
        let line = Line { limit: Some(MAX_TRIED_TURNS), ..Line::default() };
        let turns = self.store.list_line(guild, scene, line).await?;
        let limits = rules.policy.limits;
        let stopped = self.stopped_by(guild, scene, &limits, &turns).await?;
        let num_turns = turns.len();
        let mut trial = PolicyTrial { num_turns, limits, stopped, ..PolicyTrial::default() };
        for turn in &turns {
            let is_reply = turn.speaker.is_character();
            let door = if is_reply { Door::Reply } else { Door::Message };
            let outcome = rules.check(door, &turn.swipe.text);
            trial.num_met += usize::from(!outcome.findings.is_empty());
            for finding in outcome.findings {
                *trial.hits.entry(finding.rule).or_default() += 1;
            }
        }
        Ok(trial)
    }
}
