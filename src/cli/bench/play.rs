//! Scenes that the model plays with itself: whoever is in them answers in turn, by the
//! prompts, the sampler and the checks that the service uses.
//!
//! The same model, seeds and rules make the same replies.

use std::sync::Arc;

use anyhow::Context as _;

use super::loaded::Loaded;
use super::scenes::{Part, SCENES, Scene};
use crate::chat::{Proofreader, raised_penalty};
use crate::config::RepetitionConfig;
use crate::domain::{CharacterId, Length, PersonId, Speaker, TurnId};
use crate::engine::{
    Engine, EngineOptions, FinishReason, GenerationEvent, GenerationRequest, GenerationStream,
    GenerationSummary, LengthRange,
};
use crate::prompt::{
    Budget, OtherLines, PromptCharacter, PromptInputs, PromptPerson, PromptTurn, build,
};
use crate::prose::Repetition;
use crate::sampling::SamplerParams;
use crate::tokenizer::Tokenizer;

/// How scenes are played.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// The most tokens of a reply.
    pub(super) reply_tokens: usize,
    pub(super) sampler: SamplerParams,
    /// Which length is asked for; `None` leaves it to the model.
    pub(super) length: Option<Length>,
    /// Within which tokens replies are kept; `None` leaves that to the model, too.
    pub(super) length_range: Option<LengthRange>,
    /// When a reply counts as said before.
    pub(super) repetition: RepetitionConfig,
    /// Whether such a reply is written once more, and lines of others are cut off.
    pub(super) checked: bool,
}

impl Rules {
    /// Replies of medium length at most so long, as the model writes them; nothing counts
    /// as said before.
    pub(super) fn plain(reply_tokens: usize, sampler: SamplerParams) -> Self {
        let repetition = RepetitionConfig { replies: 0, overlap: 1.0, run: usize::MAX };
        Self {
            reply_tokens,
            sampler,
            length: Some(Length::Medium),
            length_range: None,
            repetition,
            checked: false,
        }
    }
}

/// A scene with what was said in it, by whom.
#[derive(Clone)]
pub(super) struct Played {
    scenario: &'static str,
    parts: Vec<&'static Part>,
    pub(super) lines: Vec<(usize, String)>,
}

/// What came of asking for a line.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) finish_reason: FinishReason,
    pub(super) prompt: Vec<u32>,
    /// As drawn, those of stops and end of text included.
    pub(super) token_ids: Vec<u32>,
    /// How much of the first try was said before.
    pub(super) first: Repetition,
    /// How much of what stands was.
    pub(super) standing: Repetition,
    /// Tokens that were drawn, those of a first try that did not stand included.
    pub(super) num_tokens: usize,
    /// Of these, how many were of others' lines, headings included, and cut off.
    pub(super) others_tokens: usize,
    /// Whether another's line stands in the text.
    pub(super) holds_other: bool,
}

/// One request on its way.
struct Open {
    prompt: Vec<u32>,
    others: OtherLines,
    reader: Proofreader,
    stream: GenerationStream,
    text: String,
    is_over: bool,
}

impl Played {
    /// Two people; both have said their opening line, the second first.
    pub(super) fn new(scene: &'static Scene) -> Self {
        let parts: Vec<_> = scene.parts.iter().collect();
        Self::opened(scene.scenario, parts)
    }

    /// A scene with the people of the next ones in it, too: `num_people` in all.
    pub(super) fn party(index: usize, num_people: usize) -> Self {
        let scenes = SCENES.iter().cycle().skip(index);
        let parts = scenes.flat_map(|scene| &scene.parts).take(num_people).collect();
        Self::opened(SCENES[index % SCENES.len()].scenario, parts)
    }

    fn opened(scenario: &'static str, parts: Vec<&'static Part>) -> Self {
        let opening = |index: usize| (index, parts[index].opening.to_owned());
        let lines = (0..parts.len()).rev().map(opening).collect();
        Self { scenario, parts, lines }
    }

    /// Who says the line number `round` after the openings: those who spoke longest ago.
    pub(super) fn answering(&self, round: usize) -> usize {
        let num_parts = self.parts.len();
        num_parts - 1 - round % num_parts
    }

    /// What `who` said, the newest first.
    fn said_by(&self, who: usize) -> impl Iterator<Item = &str> {
        self.lines.iter().rev().filter(move |(by, _)| *by == who).map(|(_, text)| text.as_str())
    }

    /// The request for the next line of `answering`, the others being people to it; and
    /// who they are.
    pub(super) fn request(
        &self,
        answering: usize,
        tokenizer: &Tokenizer,
        context_tokens: usize,
        rules: &Rules,
    ) -> anyhow::Result<(GenerationRequest, OtherLines)> {
        let speaker = |(index, part): (usize, &&'static Part)| match index == answering {
            true => Speaker::Character { id: CharacterId(1), name: part.name.to_owned() },
            false => {
                let id = PersonId(i64::try_from(index).unwrap_or(i64::MAX));
                Speaker::Person { id, name: part.name.to_owned() }
            }
        };
        let speakers: Vec<_> = self.parts.iter().enumerate().map(speaker).collect();
        let turns = (1..).zip(&self.lines).map(|(id, (who, text))| PromptTurn {
            id: TurnId(id),
            speaker: &speakers[*who],
            text,
        });
        let turns: Vec<_> = turns.collect();
        let me = self.parts[answering];
        let others = self.parts.iter().enumerate().filter(|(index, _)| *index != answering);
        let people: Vec<_> = others
            .map(|(_, part)| PromptPerson { name: part.name, description: part.persona })
            .collect();
        let cast = [PromptCharacter {
            name: me.name,
            description: me.persona,
            personality: "",
            example_dialogue: "",
        }];
        let inputs = PromptInputs {
            scenario: self.scenario,
            length: rules.length,
            ..PromptInputs::plain(&cast, &people, &turns)
        };
        // As the service does: a long reply may not push the story out of the window.
        let reply_tokens = rules.reply_tokens.min(context_tokens / 3);
        let prompt = build(&inputs, tokenizer, Budget { context_tokens, reply_tokens })?;
        let room = context_tokens - prompt.token_ids.len();
        let request = GenerationRequest {
            max_tokens: rules.reply_tokens.min(room),
            length_range: rules.length_range,
            stop: prompt.stops,
            sampler: rules.sampler.clone(),
            trim_start_space: true,
            trim_end: true,
            ..GenerationRequest::new(prompt.token_ids)
        };
        Ok((request, prompt.others))
    }
}

/// An engine that plays several scenes at once.
pub(super) struct Players {
    engine: Engine,
    tokenizer: Arc<Tokenizer>,
}

impl Players {
    /// # Errors
    /// A scene does not fit beside its reply, or the engine cannot work with this model.
    pub(super) fn new(loaded: &Loaded, scenes: &[Played], rules: &Rules) -> anyhow::Result<Self> {
        let options = EngineOptions { max_waiting: scenes.len().max(256), ..loaded.engine.clone() };
        let tokenizer = loaded.tokenizer.clone();
        let context_tokens = options.context_tokens_of(&loaded.model)?;
        for scene in scenes {
            scene
                .request(scene.answering(0), &tokenizer, context_tokens, rules)
                .context("the scenes do not fit; fewer --reply-tokens leave more room")?;
        }
        let engine = Engine::new(loaded.model.clone(), tokenizer.clone(), &options)?;
        Ok(Self { engine, tokenizer })
    }

    /// Says the line number `round` of each scene, and what came of it.
    ///
    /// # Errors
    /// The model fails.
    pub(super) fn round(
        &mut self,
        scenes: &mut [Played],
        round: usize,
        rules: &Rules,
    ) -> anyhow::Result<Vec<Written>> {
        let asked: Vec<_> = scenes
            .iter()
            .enumerate()
            .map(|(index, scene)| (scene, scene.answering(round), (index * 1000 + round) as u64))
            .collect();
        let written = self.write(&asked, rules)?;
        for (scene, written) in scenes.iter_mut().zip(&written) {
            let who = scene.answering(round);
            scene.lines.push((who, written.text.clone()));
        }
        Ok(written)
    }

    /// One line for each: of which scene, by whom, with which seed.
    ///
    /// # Errors
    /// The model fails.
    pub(super) fn write(
        &mut self,
        asked: &[(&Played, usize, u64)],
        rules: &Rules,
    ) -> anyhow::Result<Vec<Written>> {
        let mut written = self.attempt(asked, rules)?;
        if !rules.checked {
            return Ok(written);
        }
        let counts = |of: Repetition| rules.repetition.counts(of.overlap, of.longest_run);
        let again: Vec<_> =
            (0..asked.len()).filter(|&index| counts(written[index].first)).collect();
        let others = Rules { sampler: raised_penalty(&rules.sampler), ..rules.clone() };
        // Another place in the random stream, as the service takes.
        let asked: Vec<_> =
            again.iter().map(|&index| asked[index]).map(|(s, w, seed)| (s, w, !seed)).collect();
        for (index, second) in again.into_iter().zip(self.attempt(&asked, &others)?) {
            let first = &written[index];
            let others_tokens = first.others_tokens + second.others_tokens;
            let num_tokens = first.num_tokens + second.num_tokens;
            let is_better =
                !counts(second.standing) || second.standing.overlap <= first.standing.overlap;
            let stands = match is_better && !second.text.is_empty() {
                true => Written { first: first.first, ..second },
                false => first.clone(),
            };
            written[index] = Written { others_tokens, num_tokens, ..stands };
        }
        Ok(written)
    }

    fn attempt(
        &mut self,
        asked: &[(&Played, usize, u64)],
        rules: &Rules,
    ) -> anyhow::Result<Vec<Written>> {
        let context_tokens = self.engine.context_tokens();
        let mut open = Vec::new();
        for &(scene, answering, seed) in asked {
            let (mut request, others) =
                scene.request(answering, &self.tokenizer, context_tokens, rules)?;
            request.seed = seed;
            let reader =
                Proofreader::new(others.clone(), rules.repetition, scene.said_by(answering));
            open.push(Open {
                prompt: request.prompt.clone(),
                others,
                reader,
                stream: self.engine.submit(request)?,
                text: String::new(),
                is_over: false,
            });
        }
        let mut written: Vec<Option<Written>> = vec![None; open.len()];
        while written.iter().any(Option::is_none) {
            self.engine.step();
            for (open, written) in open.iter_mut().zip(&mut written) {
                self.follow(open, written, rules.checked)?;
            }
        }
        Ok(written.into_iter().flatten().collect())
    }

    /// Reads what has come of a reply, and ends it where another's line begins.
    fn follow(
        &mut self,
        open: &mut Open,
        written: &mut Option<Written>,
        checked: bool,
    ) -> anyhow::Result<()> {
        while let Some(event) = open.stream.try_recv() {
            match event {
                GenerationEvent::Started { .. } => {}
                GenerationEvent::Text(delta) => {
                    open.text.push_str(&delta);
                    if checked && !open.is_over && open.others.find(&open.text).is_some() {
                        open.is_over = true;
                        self.engine.abort(open.stream.id());
                    }
                }
                GenerationEvent::Finished(summary) => {
                    *written = Some(self.judge(open, summary, checked));
                }
                GenerationEvent::Failed(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn judge(&self, open: &Open, summary: GenerationSummary, checked: bool) -> Written {
        let GenerationSummary { mut text, finish_reason, token_ids, .. } = summary;
        let mut others_tokens = match &finish_reason {
            FinishReason::Stop(stop) if open.others.find(stop.trim_start()).is_some() => {
                self.tokenizer.count(stop)
            }
            _ => 0,
        };
        if let Some(at) = open.others.find(&text).filter(|_| checked) {
            others_tokens += self.tokenizer.count(&text[at..]);
            text.truncate(at);
            text.truncate(text.trim_end().len());
        }
        let repetition = open.reader.compare(&text);
        let num_tokens = token_ids.len();
        Written {
            holds_other: open.others.find(&text).is_some(),
            text,
            finish_reason,
            prompt: open.prompt.clone(),
            token_ids,
            first: repetition,
            standing: repetition,
            num_tokens,
            others_tokens,
        }
    }
}
