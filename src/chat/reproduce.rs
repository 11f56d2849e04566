//! Making a reply again from what was kept of it.

use crate::domain::{GuildId, SwipeId, TurnId};
use crate::engine::GenerationRequest;
use crate::store::{Noun, StoreError};

use super::{Chat, ChatError, ReplyReceipt};

/// A reply, and the same reply made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reproduction {
    /// What the model wrote then.
    pub original: String,
    /// What it writes now.
    pub again: String,
}

impl Chat {
    /// Makes a swipe's text again from its prompt, seed and settings.
    ///
    /// # Errors
    /// No model wrote that swipe, another model than the present one did, or a
    /// worker fails.
    pub async fn reproduce(
        &self,
        guild: GuildId,
        turn: TurnId,
        swipe: SwipeId,
    ) -> Result<Reproduction, ChatError> {
        let not_ours = || ChatError::refused("no model wrote that text");
        let swipes = self.store.list_swipes(guild, turn).await?;
        let swipe = swipes
            .into_iter()
            .find(|candidate| candidate.id == swipe)
            .ok_or(StoreError::NotFound(Noun::Swipe))?;
        let receipt = swipe.receipt.ok_or_else(not_ours)?;
        let receipt: ReplyReceipt = serde_json::from_value(receipt).map_err(|_| not_ours())?;
        let model = self.pool.model();
        if receipt.model_fingerprint != model.fingerprint {
            return Err(ChatError::refused(format!(
                "another model wrote that text: {} ({})",
                receipt.model, receipt.model_fingerprint
            )));
        }
        let prompt_ids =
            self.store.get_prompt_ids(guild, turn, swipe.id).await?.ok_or_else(not_ours)?;
        let turn = self.store.get_turn(guild, turn).await?.ok_or_else(not_ours)?;
        let request = GenerationRequest {
            cache_salt: guild.0.unsigned_abs(),
            cache_owner: turn.scene_id.0.unsigned_abs(),
            max_tokens: receipt.max_tokens,
            length_range: receipt.length_range,
            stop: receipt.stops,
            sampler: receipt.sampler,
            seed: receipt.seed,
            trim_start_space: receipt.standing_bytes == 0,
            trim_end: true,
            ..GenerationRequest::new(prompt_ids)
        };
        let original = swipe.text.get(receipt.standing_bytes..).unwrap_or_default().to_owned();
        let mut again = self.pool.generate(&model, request)?.finish().await?.text;
        // Another's line was cut off behind it, and what was open closed.
        let written = original.trim_end_matches(|c: char| !c.is_alphanumeric());
        if receipt.impersonation_tokens > 0 && again.starts_with(written) {
            again.clone_from(&original);
        }
        Ok(Reproduction { original, again })
    }
}
