//! Agreeing that one's words are taken: asked once in a guild, taken back at any time by
//! [`Chat::opt_out`].

use serde_json::json;

use crate::domain::{GuildId, PersonId};
use crate::store::Consent;

use super::{Chat, ChatError};

/// What people agree to.
pub const AGREEMENT: &str = "Before I take anything that you say into a scene on this server, I \
    ask you once.\n\
    • Kept: what you say in scenes, every version of it, and the name and id that you have here.\n\
    • Read by: a language model, which replies from it; a program that looks for what is not \
    allowed here; everybody who can read the channel; \
    moderators; whoever runs this bot. It trains no model unless you agree to that, too.\n\
    • You can leave at any time: /privacy optout has you heard no more and takes what you said out \
    of every scene's next prompt, /privacy show and /privacy delete are for what is kept.\n\
    Until you agree nothing that you say is taken: for the story you are not there.";

/// The version of [`AGREEMENT`]: another number when its meaning changes.
const WORDS: i32 = 1;

impl Chat {
    /// Notes that a person agrees to [`AGREEMENT`], and has them heard. Says whether that is
    /// new.
    ///
    /// # Errors
    /// There is no such person, moderators have them not heard, or the database fails.
    pub async fn agree(&self, guild: GuildId, person: PersonId) -> Result<bool, ChatError> {
        let is_new = self.store.set_person_agreed(guild, person, WORDS).await?;
        if is_new {
            let detail = json!({ "words": WORDS });
            self.store.insert_audit(guild, Some(person), "person.agree", &detail).await?;
        }
        self.heed_standing(guild, person).await?;
        Ok(is_new)
    }

    /// Chooses how a guild comes by people's consent. Replies in the making that have read
    /// somebody who is to be asked now are begun anew.
    ///
    /// # Errors
    /// There is no such guild, or the database fails.
    pub async fn set_consent(
        &self,
        guild: GuildId,
        consent: Consent,
        by: PersonId,
    ) -> Result<(), ChatError> {
        self.store.set_guild_consent(guild, consent).await?;
        self.store.heed_absence(guild, None).await?;
        let detail = json!({ "consent": consent.as_str() });
        Ok(self.store.insert_audit(guild, Some(by), "guild.consent", &detail).await?)
    }

    /// Whether somebody need not be asked before their words are taken.
    ///
    /// # Errors
    /// They did not agree, and the guild asks; or the database fails.
    pub async fn heed_agreement(&self, guild: GuildId, person: PersonId) -> Result<(), ChatError> {
        match self.store.get_standing(guild, person).await?.must_agree {
            true => Err(ChatError::MustAgree),
            false => Ok(()),
        }
    }
}
