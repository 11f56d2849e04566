//! What is decided before a reply is written: who speaks, where the text goes,
//! how long it is to be, and the prompt.

use crate::domain::{CharacterId, Length, Scene, Speaker, SwipeId, SwipeOrigin, TurnId};
use crate::prompt::{Budget, Prompt};
use crate::store::{Claim, Target, Work};

use super::library::{Rules, facts_of};
use super::view::{Casting, Made, SceneView};
use super::{Chat, ChatError};

/// A reply about to be written.
pub(super) struct Plan {
    pub(super) view: SceneView,
    pub(super) answering: usize,
    /// Its character, in the scene's words.
    pub(super) speaker: Speaker,
    pub(super) target: Target,
    /// The text that stands now where another is to.
    pub(super) replaces: Option<(TurnId, SwipeId)>,
    pub(super) origin: SwipeOrigin,
    pub(super) length: Option<Length>,
    /// What may be written in the scene.
    pub(super) rules: Rules,
    /// What already stands; empty unless a turn is continued.
    pub(super) standing_text: String,
}

impl Chat {
    /// Who speaks, where the text goes, how long it is to be.
    pub(super) async fn plan(&self, claim: &Claim) -> Result<Plan, ChatError> {
        match claim.job.work {
            Work::Reply { character, length } => self.plan_turn(claim, character, length).await,
            Work::Swipe { turn, length } => self.plan_swipe(claim, turn, length, false).await,
            Work::Continue { turn } => self.plan_swipe(claim, turn, None, true).await,
            Work::Show => Err(ChatError::refused("nothing to write")),
        }
    }

    /// A new turn. Where several are to answer, the others are queued behind, as far as
    /// replies may follow one another.
    async fn plan_turn(
        &self,
        claim: &Claim,
        character: Option<CharacterId>,
        once: Option<Length>,
    ) -> Result<Plan, ChatError> {
        let view = self.view(claim.guild_id, claim.scene_id, None).await?;
        let rules = self.rules_of(&view).await?;
        let room = self.room_in_row(&rules.policy, &view.line)?;
        let answering = match character {
            Some(character) => view.index_of(character)?,
            None => {
                let order = view.turn_order(claim.job.id);
                let (&first, others) = order.split_first().ok_or_else(|| {
                    ChatError::refused("nobody is in the scene; /cast add NAME brings somebody in")
                })?;
                for &other in others.iter().take(room - 1) {
                    let character = Some(view.cast[other].character.id);
                    let work = Work::Reply { character, length: once };
                    let Claim { guild_id, scene_id, .. } = *claim;
                    self.store.insert_job(guild_id, scene_id, claim.job.person, &work).await?;
                }
                first
            }
        };
        let speaker = speaker(&view, answering);
        let target = Target::Turn(speaker.clone());
        Ok(Plan {
            answering,
            target,
            replaces: None,
            speaker,
            origin: SwipeOrigin::Generated,
            length: view.length(answering, once),
            standing_text: String::new(),
            rules,
            view,
        })
    }

    /// Another text of a turn: a new one, or the standing one continued.
    async fn plan_swipe(
        &self,
        claim: &Claim,
        turn: TurnId,
        once: Option<Length>,
        goes_on: bool,
    ) -> Result<Plan, ChatError> {
        let turn = self.turn(claim.guild_id, turn).await?;
        let Speaker::Character { id, .. } = turn.speaker else {
            return Err(ChatError::refused("only a character's turn can be told in another way"));
        };
        let mut view = self.view(claim.guild_id, claim.scene_id, turn.parent).await?;
        if turn.parent.is_none() {
            view.line.clear();
        }
        let answering = view.index_of(id)?;
        let standing_text =
            if goes_on { turn.swipe.text.trim_end().to_owned() } else { String::new() };
        Ok(Plan {
            answering,
            speaker: turn.speaker,
            target: Target::Swipe(turn.id),
            replaces: Some((turn.id, turn.swipe.id)),
            origin: if goes_on { SwipeOrigin::Continued } else { SwipeOrigin::Generated },
            length: view.length(answering, once),
            standing_text,
            rules: self.rules_of(&view).await?,
            view,
        })
    }

    /// The rules of a scene that is loaded.
    async fn rules_of(&self, view: &SceneView) -> Result<Rules, ChatError> {
        let Scene { guild_id, id, channel, .. } = &view.scene;
        let around = self.store.get_surroundings(*guild_id, *id).await?;
        let facts = facts_of(view.cast.iter().map(|member| &member.character.sheet));
        let rules = self.library.rules_at(*guild_id, &around, channel, facts).await?;
        self.library.within(rules, &view.boundaries)
    }

    pub(super) async fn prompt(&self, plan: &Plan, max_tokens: usize) -> Result<Made, ChatError> {
        let casting = Casting {
            answering: plan.answering,
            length: plan.length,
            continuation: (!plan.standing_text.is_empty()).then_some(&plan.standing_text),
            trigger: match (&plan.target, plan.origin) {
                (_, SwipeOrigin::Continued) => "continue",
                (Target::Swipe(_), _) => "swipe",
                (Target::Turn(_), _) => "normal",
            },
            num_expected: 0,
        };
        plan.view.prompt(self, casting, plan.view.budget(max_tokens)).await
    }
}

impl SceneView {
    /// A long reply may not push the story out of the window: at most a third of
    /// it is kept free, whatever the length allows.
    pub(super) fn budget(&self, max_tokens: usize) -> Budget {
        let context_tokens = self.model.context_tokens;
        Budget { context_tokens, reply_tokens: max_tokens.min(context_tokens / 3) }
    }

    /// Tokens left in the window behind a prompt.
    pub(super) fn room_after(&self, prompt: &Prompt) -> usize {
        self.model.context_tokens.saturating_sub(prompt.token_ids.len())
    }
}

fn speaker(view: &SceneView, answering: usize) -> Speaker {
    let character = &view.cast[answering].character;
    Speaker::Character { id: character.id, name: character.sheet.stage_name().to_owned() }
}
