//! What is kept for a time only, as guilds say in their policies.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::watch;

use super::library::retention_at;
use super::{Chat, ChatError};
use crate::domain::{Guild, GuildId, PersonId};
use crate::store::{PlacePolicy, Surroundings};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(3_600);
/// How long it is believed that somebody is a member.
const LOOK_AFTER: TimeDelta = TimeDelta::days(1);
/// How long a process may be away and still hear of which scenes something was deleted.
const FORGOTTEN_KEPT: TimeDelta = TimeDelta::days(90);
/// How many people of a guild are looked for at once: a question to the platform each.
const MAX_LOOKED_FOR: u32 = 50;

/// What went because its time was over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Guilds that removed us.
    pub num_guilds: u64,
    /// Scenes that had ended.
    pub num_scenes: u64,
    /// Turns whose texts were emptied.
    pub num_turns: u64,
    /// People who had left.
    pub num_people: u64,
}

/// Somebody of whom is to be found out whether they are a member still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Of which guild.
    pub guild: Guild,
    /// Who.
    pub person: PersonId,
    /// The platform's id of them.
    pub external_id: String,
}

/// Lets go of what is kept too long, now and every hour, until `stopping` says `true` or
/// nobody is left who could.
pub async fn run_sweeps(chat: Arc<Chat>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow_and_update() {
        match chat.sweep().await {
            Ok(swept) if swept == Swept::default() => {}
            Ok(swept) => tracing::info!(
                guilds = swept.num_guilds,
                scenes = swept.num_scenes,
                turns = swept.num_turns,
                people = swept.num_people,
                "chat.swept"
            ),
            Err(error) => tracing::error!(error.kind = error.kind(), %error, "chat.not_swept"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            changed = stopping.changed() => if changed.is_err() { return },
        }
    }
}

impl Chat {
    /// Lets go of what is kept longer than the policies say, and of guilds that removed us
    /// longer ago than the settings say. A guild whose rules cannot be read keeps all.
    ///
    /// # Errors
    /// The database fails.
    pub async fn sweep(&self) -> Result<Swept, ChatError> {
        let mut swept = Swept::default();
        let now = self.clock.now();
        self.store.prune_forgotten_scenes(now - FORGOTTEN_KEPT).await?;
        let left_before = now - self.settings.guild_grace;
        for guild in self.store.list_guilds_left(left_before).await? {
            if self.store.delete_guild_left(guild, left_before).await? {
                tracing::info!(guild = guild.0, "chat.guild.deleted");
                swept.num_guilds += 1;
            }
        }
        for guild in self.store.list_guilds().await? {
            self.sweep_rule_hits(guild.id).await?;
            match self.sweep_guild(guild.id, &mut swept).await {
                Err(error @ ChatError::Refused(_)) => {
                    tracing::warn!(guild = guild.id.0, %error, "chat.guild.not_swept");
                }
                done => done?,
            }
        }
        Ok(swept)
    }

    async fn sweep_guild(&self, guild: GuildId, swept: &mut Swept) -> Result<(), ChatError> {
        let policies = self.store.list_policies(guild).await?;
        if policies.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let before = |days: u32| now - TimeDelta::days(days.into());
        let mut ended = Vec::new();
        for scene in self.store.list_scene_ages(guild).await? {
            let retention = retention_at(&policies, &scene.around, &scene.channel)?;
            let is_over = |days| scene.ended_at.is_some_and(|at| at < before(days));
            if retention.ended_scenes_days.is_some_and(is_over) {
                ended.push(scene.id);
            } else if let Some(texts_before) = retention.texts_days.map(before)
                && scene.oldest_at.is_some_and(|at| at < texts_before)
            {
                swept.num_turns +=
                    self.store.empty_turns_before(guild, scene.id, texts_before).await?;
            }
        }
        swept.num_scenes += self.store.delete_ended_scenes(guild, &ended).await?;
        if let Some(days) = departed_days(&policies)? {
            for person in self.store.list_people_left(guild, before(days)).await? {
                self.erase(guild, person, None).await?;
                swept.num_people += 1;
            }
        }
        Ok(())
    }

    /// Of whom the platform is to be asked whether they are members still: people of guilds
    /// that let go of what those said who left.
    ///
    /// # Errors
    /// The database fails.
    pub async fn missed_people(&self, platform: &str) -> Result<Vec<Missed>, ChatError> {
        let since = self.clock.now() - LOOK_AFTER;
        let mut missed = Vec::new();
        for guild in self.store.list_guilds().await? {
            let policies = self.store.list_policies(guild.id).await?;
            // Rules that cannot be read have been told of by the sweep.
            if guild.platform != platform || !matches!(departed_days(&policies), Ok(Some(_))) {
                continue;
            }
            let people =
                self.store.list_people_to_look_for(guild.id, since, MAX_LOOKED_FOR).await?;
            missed.extend(people.into_iter().map(|(person, external_id)| Missed {
                guild: guild.clone(),
                person,
                external_id,
            }));
        }
        Ok(missed)
    }

    /// Notes whether somebody is a member of a guild, as the platform says.
    ///
    /// # Errors
    /// There is no such person, or the database fails.
    pub async fn note_member(
        &self,
        guild: GuildId,
        person: PersonId,
        is_member: bool,
    ) -> Result<(), ChatError> {
        Ok(self.store.set_person_left(guild, person, !is_member).await?)
    }
}

/// After how many days people who left are forgotten: what the guild says for itself.
fn departed_days(policies: &[PlacePolicy]) -> Result<Option<u32>, ChatError> {
    Ok(retention_at(policies, &Surroundings::default(), "")?.departed_people_days)
}
