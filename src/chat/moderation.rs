//! What moderators do: stopping scenes, guilds and people, and letting them go on.
//!
//! Each deed is a case, with a number and a reason, and stands in the audit. Nothing here
//! asks whether somebody may.

use serde_json::json;

use crate::domain::{GuildId, PersonId, SceneId, SceneState};
use crate::store::{NewCase, PersonStanding};

use super::{Chat, ChatError};

/// What people are told in a scene that a moderator stopped.
pub(super) const FROZEN: &str = "a moderator froze this scene: nothing is taken or changed until \
                                 it is unfrozen";
/// What people are told where everything is stopped.
const GUILD_FROZEN: &str = "moderators have stopped all scenes here for now";
/// What somebody is told who is not heard.
const BLOCKED: &str = "moderators have you not heard in scenes here";

/// What somebody is told who does not want to be heard.
const OPTED_OUT: &str = "you wanted to be heard in no scene here; /privacy optin changes that";

/// The most characters of a reason that is kept.
const MAX_REASON_CHARS: usize = 500;

impl Chat {
    /// Freezes a scene: what is being written is lost and goes from the screen, nothing
    /// is taken, answered or changed until it is unfrozen.
    ///
    /// # Errors
    /// The scene is over, there is none such, or the database fails.
    pub async fn freeze_scene(
        &self,
        guild: GuildId,
        scene: SceneId,
        moderator: PersonId,
        reason: &str,
    ) -> Result<i64, ChatError> {
        self.freeze(guild, scene, moderator, reason, None).await
    }

    /// The same upon a case.
    pub(super) async fn freeze(
        &self,
        guild: GuildId,
        scene: SceneId,
        moderator: PersonId,
        reason: &str,
        follows: Option<i64>,
    ) -> Result<i64, ChatError> {
        match self.scene(guild, scene).await?.state {
            SceneState::Ended => return Err(ChatError::refused("this scene is over")),
            SceneState::Frozen => return Err(ChatError::refused("this scene is frozen already")),
            SceneState::Active | SceneState::Paused => {}
        }
        self.store.set_scene_state(guild, scene, SceneState::Frozen).await?;
        self.call_off(guild, scene).await?;
        let case = NewCase { kind: "freeze", scene: Some(scene), follows, ..NewCase::default() };
        self.open_case(guild, moderator, case, reason).await
    }

    /// Lets a frozen scene be played on.
    ///
    /// # Errors
    /// The scene is not frozen, there is none such, or the database fails.
    pub async fn unfreeze_scene(
        &self,
        guild: GuildId,
        scene: SceneId,
        moderator: PersonId,
    ) -> Result<i64, ChatError> {
        if self.scene(guild, scene).await?.state != SceneState::Frozen {
            return Err(ChatError::refused("this scene is not frozen"));
        }
        self.store.set_scene_state(guild, scene, SceneState::Active).await?;
        let case = NewCase { kind: "unfreeze", scene: Some(scene), ..NewCase::default() };
        self.open_case(guild, moderator, case, "").await
    }

    /// Stops everything in a guild at once, replies in the making included. Gives the
    /// case's number, and in how many scenes something was called off.
    ///
    /// # Errors
    /// The database fails.
    pub async fn freeze_guild(
        &self,
        guild: GuildId,
        moderator: PersonId,
        reason: &str,
    ) -> Result<(i64, usize), ChatError> {
        // First, so that nothing is begun while the rest is called off.
        self.store.set_guild_frozen(guild, true).await?;
        let busy = self.store.list_busy_scenes(guild).await?;
        for scene in &busy {
            self.call_off(guild, *scene).await?;
        }
        let case = NewCase { kind: "freeze all", ..NewCase::default() };
        Ok((self.open_case(guild, moderator, case, reason).await?, busy.len()))
    }

    /// Lets a guild be played on. Gives the case's number, or `None` where it was not
    /// stopped.
    ///
    /// # Errors
    /// The database fails.
    pub async fn unfreeze_guild(
        &self,
        guild: GuildId,
        moderator: PersonId,
    ) -> Result<Option<i64>, ChatError> {
        if !self.store.set_guild_frozen(guild, false).await? {
            return Ok(None);
        }
        let case = NewCase { kind: "unfreeze all", ..NewCase::default() };
        self.open_case(guild, moderator, case, "").await.map(Some)
    }

    /// Has a person not heard in any scene of the guild, or heard again: what they say is
    /// not taken, and what they said is in no prompt: replies in the making that have read it
    /// are begun anew. Gives the case's number, or `None` where that was so.
    ///
    /// # Errors
    /// The guild has no such person, it is the moderator, or the database fails.
    pub async fn block_person(
        &self,
        guild: GuildId,
        person: PersonId,
        blocked: bool,
        moderator: PersonId,
        reason: &str,
    ) -> Result<Option<i64>, ChatError> {
        self.block(guild, person, blocked, moderator, reason, None).await
    }

    /// The same upon a case.
    pub(super) async fn block(
        &self,
        guild: GuildId,
        person: PersonId,
        blocked: bool,
        moderator: PersonId,
        reason: &str,
        follows: Option<i64>,
    ) -> Result<Option<i64>, ChatError> {
        if blocked && person == moderator {
            return Err(ChatError::refused("you cannot block yourself"));
        }
        if !self.store.set_person_blocked(guild, person, blocked).await? {
            return Ok(None);
        }
        if blocked {
            self.store.heed_absence(guild, Some(person)).await?;
        }
        let kind = if blocked { "block" } else { "unblock" };
        let case = NewCase { kind, person: Some(person), follows, ..NewCase::default() };
        self.open_case(guild, moderator, case, reason).await.map(Some)
    }

    /// Keeps a warning of a person and gives the case's number.
    ///
    /// # Errors
    /// The guild has no such person, or the database fails.
    pub async fn warn_person(
        &self,
        guild: GuildId,
        person: PersonId,
        moderator: PersonId,
        reason: &str,
    ) -> Result<i64, ChatError> {
        let case = NewCase { kind: "warn", person: Some(person), ..NewCase::default() };
        self.open_case(guild, moderator, case, reason).await
    }

    /// Closes a case with what was decided.
    ///
    /// # Errors
    /// It is closed already, or the database fails.
    pub async fn decide_case(
        &self,
        guild: GuildId,
        number: i64,
        moderator: PersonId,
        decision: &str,
    ) -> Result<(), ChatError> {
        let decision = self.reason(decision)?;
        if !self.store.decide_case(guild, number, moderator, &decision).await? {
            return Err(ChatError::refused(format!("case {number} is closed already")));
        }
        let detail = json!({ "case": number });
        Ok(self.store.insert_audit(guild, Some(moderator), "case.decide", &detail).await?)
    }

    /// Keeps what a person says to a case about them, once; it is open again.
    ///
    /// # Errors
    /// There is no case of that number about them, they said something to it already, or
    /// the database fails.
    pub async fn appeal_case(
        &self,
        guild: GuildId,
        number: i64,
        person: PersonId,
        appeal: &str,
    ) -> Result<(), ChatError> {
        let appeal = self.reason(appeal)?;
        if !self.store.appeal_case(guild, number, person, &appeal).await? {
            return Err(ChatError::refused(format!(
                "there is no case {number} about you to which you have said nothing yet"
            )));
        }
        let detail = json!({ "case": number });
        Ok(self.store.insert_audit(guild, Some(person), "case.appeal", &detail).await?)
    }

    pub(super) fn reason(&self, reason: &str) -> Result<String, ChatError> {
        Ok(self.clean_text(reason)?.chars().take(MAX_REASON_CHARS).collect())
    }

    /// Whether somebody is heard in a guild now.
    ///
    /// # Errors
    /// They are not, and why; or the database fails.
    pub async fn heed_standing(&self, guild: GuildId, person: PersonId) -> Result<(), ChatError> {
        heard(self.store.get_standing(guild, person).await?)
    }

    /// Whether a scene may be changed by those who play in it.
    ///
    /// # Errors
    /// A moderator froze it, there is none such, or the database fails.
    pub async fn heed_freeze(&self, guild: GuildId, scene: SceneId) -> Result<(), ChatError> {
        match self.store.is_frozen(guild, scene).await? {
            true => Err(ChatError::refused(FROZEN)),
            false => Ok(()),
        }
    }

    /// Opens a case of a moderator's deed, and notes it in the audit.
    pub(super) async fn open_case(
        &self,
        guild: GuildId,
        moderator: PersonId,
        case: NewCase,
        reason: &str,
    ) -> Result<i64, ChatError> {
        let reason = self.reason(reason)?;
        let case = NewCase { opened_by: Some(moderator), reason, ..case };
        let number = self.store.insert_case(guild, &case).await?;
        let action = format!("case.{}", case.kind.replace(' ', "_"));
        let detail = json!({ "case": number, "person": case.person, "scene": case.scene });
        self.store.insert_audit(guild, Some(moderator), &action, &detail).await?;
        Ok(number)
    }
}

/// Whether somebody is heard who stands like that.
pub(super) fn heard(standing: PersonStanding) -> Result<(), ChatError> {
    let PersonStanding { is_blocked, is_opted_out, must_agree, is_guild_frozen } = standing;
    for (is_so, why) in
        [(is_guild_frozen, GUILD_FROZEN), (is_blocked, BLOCKED), (is_opted_out, OPTED_OUT)]
    {
        if is_so {
            return Err(ChatError::refused(why));
        }
    }
    match must_agree {
        true => Err(ChatError::MustAgree),
        false => Ok(()),
    }
}
