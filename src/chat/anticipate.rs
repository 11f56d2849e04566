//! Getting ready for the next turn while nobody waits.
//!
//! After a reply the model's workers compute what the next prompt will begin with,
//! whatever is said, so that the next reply pays for the new turn alone. Where the next
//! turn would push the oldest out of the window, they are dropped now: what remains is
//! read again while people write, not while they wait.
//!
//! Invariant: it decides when turns go and when prompts are computed, never what a prompt
//! says of the turns that stay; if it fails, nothing is lost but time.

use std::sync::Arc;

use crate::domain::{Speaker, Turn, TurnId};
use crate::engine::GenerationRequest;
use crate::pool::PoolModel;
use crate::store::Claim;

use super::view::{Casting, SceneView};
use super::{Chat, ChatError};

/// How many of the people's last turns tell how long the next may be.
const TELLING_TURNS: usize = 4;

impl Chat {
    /// Has the scene's next prompt prepared, as far as it is known.
    pub(super) async fn anticipate(&self, claim: &Claim) {
        match self.next_prefix(claim).await {
            Ok(Some((model, prefix))) => self.warm(claim, &model, prefix),
            Ok(None) => {}
            Err(error) => tracing::debug!(error.kind = error.kind(), "nothing was anticipated"),
        }
    }

    /// Asks the pool, and lets it finish by itself.
    fn warm(&self, claim: &Claim, model: &Arc<PoolModel>, prefix: Vec<u32>) {
        let request = GenerationRequest {
            cache_salt: claim.guild_id.0.unsigned_abs(),
            cache_owner: claim.scene_id.0.unsigned_abs(),
            prefill_only: true,
            ..GenerationRequest::new(prefix)
        };
        // A pool that is busy has better things to do.
        if let Ok(stream) = self.pool.generate(model, request) {
            tokio::spawn(stream.finish());
        }
    }

    /// What the next prompt begins with. Drops the oldest turns if the next turn would.
    async fn next_prefix(
        &self,
        claim: &Claim,
    ) -> Result<Option<(Arc<PoolModel>, Vec<u32>)>, ChatError> {
        let mut view = self.view(claim.guild_id, claim.scene_id, None).await?;
        let Some(answering) = view.last_to_answer() else { return Ok(None) };
        let Some(expected) = view.expected_turn() else { return Ok(None) };
        let casting = Casting {
            answering,
            length: view.length(answering, None),
            continuation: None,
            trigger: "normal",
            num_expected: 1,
        };
        let budget = view.budget(self.settings.max_tokens(casting.length));
        view.line.push(expected);
        let prompt = view.prompt(self, casting, budget).await?.prompt;
        if prompt.anchor != view.scene.anchor {
            self.store.set_anchor(claim.guild_id, claim.scene_id, prompt.anchor).await?;
            view.scene.anchor = prompt.anchor;
        }
        // Two turns that begin differently: what their prompts share is what is known.
        if let Some(turn) = view.line.last_mut() {
            let text = &mut turn.swipe.text;
            *text = if text.starts_with('A') { "*".into() } else { "A".into() };
        }
        let other = view.prompt(self, casting, budget).await?.prompt;
        let pairs = prompt.token_ids.iter().zip(&other.token_ids);
        let num_shared = pairs.take_while(|(a, b)| a == b).count();
        Ok((num_shared > 0).then(|| (view.model, prompt.token_ids[..num_shared].to_vec())))
    }
}

impl SceneView {
    /// The character who spoke last, as the one who will speak next.
    fn last_to_answer(&self) -> Option<usize> {
        self.line.iter().rev().find_map(|turn| match turn.speaker {
            Speaker::Character { id, .. } => self.index_of(id).ok(),
            Speaker::Person { .. } => None,
        })
    }

    /// A turn as long as the longest of people's last.
    fn expected_turn(&self) -> Option<Turn> {
        let people = self.line.iter().rev().filter(|turn| !turn.speaker.is_character());
        let longest = people.take(TELLING_TURNS).max_by_key(|turn| turn.swipe.text.len())?;
        Some(Turn { id: TurnId(i64::MAX), ..longest.clone() })
    }
}
