//! Scenes that the model plays with itself: both characters answer in turn, by the
//! prompts and the sampler that the service uses.
//!
//! The same model, seeds and lengths make the same replies.

use std::sync::Arc;

use anyhow::Context as _;

use super::super::loaded::Loaded;
use super::lookup::Reply;
use super::scenes::Scene;
use crate::domain::{CharacterId, Length, PersonId, Speaker, Template, TurnId};
use crate::engine::{Engine, EngineOptions, GenerationRequest};
use crate::prompt::{Budget, PromptCharacter, PromptInputs, PromptPerson, PromptTurn, build};
use crate::sampling::SamplerParams;
use crate::tokenizer::Tokenizer;

/// Who answers first: the other one has spoken last.
const FIRST: usize = 1;

/// How scenes are played.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// The most tokens of a reply.
    pub(super) reply_tokens: usize,
    pub(super) sampler: SamplerParams,
}

/// A scene with what was said in it, by whom (first or second).
pub(super) struct Played {
    scene: &'static Scene,
    lines: Vec<(usize, String)>,
}

impl Played {
    /// Both characters have said their opening line.
    pub(super) fn new(scene: &'static Scene) -> Self {
        let opening = |index: usize| (index, scene.parts[index].opening.to_owned());
        Self { scene, lines: vec![opening(1), opening(0)] }
    }

    /// The request for the next line of `answering`, the other being a person to it.
    fn request(
        &self,
        answering: usize,
        tokenizer: &Tokenizer,
        context_tokens: usize,
        rules: &Rules,
    ) -> anyhow::Result<GenerationRequest> {
        let [me, other] = [answering, 1 - answering].map(|index| &self.scene.parts[index]);
        let speakers = [
            Speaker::Character { id: CharacterId(1), name: me.name.to_owned() },
            Speaker::Person { id: PersonId(1), name: other.name.to_owned() },
        ];
        let turns = (1..).zip(&self.lines).map(|(id, (who, text))| PromptTurn {
            id: TurnId(id),
            speaker: &speakers[usize::from(*who != answering)],
            text,
        });
        let turns: Vec<_> = turns.collect();
        let inputs = PromptInputs {
            template: &Template::Limarp,
            cast: &[PromptCharacter {
                name: me.name,
                description: me.persona,
                personality: "",
                example_dialogue: "",
            }],
            answering: 0,
            people: &[PromptPerson { name: other.name, description: other.persona }],
            scenario: self.scene.scenario,
            system_prompt: "",
            post_history_instructions: "",
            lore: &[],
            notes: &[],
            turns: &turns,
            length: Some(Length::Medium),
            continuation: None,
            anchor: None,
            macro_seed: 0,
            now: chrono::DateTime::UNIX_EPOCH.fixed_offset(),
            idle: None,
        };
        let budget = Budget { context_tokens, reply_tokens: rules.reply_tokens };
        let prompt = build(&inputs, tokenizer, budget)?;
        Ok(GenerationRequest {
            max_tokens: rules.reply_tokens,
            stop: prompt.stops,
            sampler: rules.sampler.clone(),
            trim_start_space: true,
            trim_end: true,
            ..GenerationRequest::new(prompt.token_ids)
        })
    }
}

/// An engine that plays several scenes at once.
pub(super) struct Players {
    engine: Engine,
    tokenizer: Arc<Tokenizer>,
    rules: Rules,
}

impl Players {
    /// # Errors
    /// A scene does not fit beside its reply, or the engine cannot work with this model.
    pub(super) fn new(loaded: &Loaded, scenes: &[Played], rules: Rules) -> anyhow::Result<Self> {
        let options = EngineOptions { max_waiting: scenes.len(), ..loaded.engine.clone() };
        let tokenizer = loaded.tokenizer.clone();
        let context_tokens = options.context_tokens_of(&loaded.model)?;
        for scene in scenes {
            scene
                .request(FIRST, &tokenizer, context_tokens, &rules)
                .context("the scenes do not fit; fewer --reply-tokens leave more room")?;
        }
        let engine = Engine::new(loaded.model.clone(), tokenizer.clone(), &options)?;
        Ok(Self { engine, tokenizer, rules })
    }

    /// The line number `round` of each scene.
    ///
    /// # Errors
    /// The model fails.
    pub(super) fn round(
        &mut self,
        scenes: &mut [Played],
        round: usize,
    ) -> anyhow::Result<Vec<Reply>> {
        let answering = (FIRST + round) % 2;
        let context_tokens = self.engine.context_tokens();
        let mut prompts = Vec::new();
        let mut streams = Vec::new();
        for (index, scene) in scenes.iter().enumerate() {
            let mut request =
                scene.request(answering, &self.tokenizer, context_tokens, &self.rules)?;
            request.seed = (index * 1000 + round) as u64;
            prompts.push(request.prompt.clone());
            streams.push(self.engine.submit(request)?);
        }
        while !self.engine.is_idle() {
            self.engine.step();
        }
        let mut replies = Vec::new();
        for ((scene, prompt), stream) in scenes.iter_mut().zip(prompts).zip(streams) {
            let written = stream.blocking_finish()?;
            scene.lines.push((answering, written.text));
            let tokens = [&prompt[..], &written.token_ids].concat();
            replies.push(Reply { tokens, num_prompt_tokens: prompt.len() });
        }
        Ok(replies)
    }
}
