//! A scene as one reply needs it: settings, cast, people and the line of turns.

use std::sync::Arc;

use chrono::{DateTime, FixedOffset, Utc};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::domain::{
    Boundary, BoundaryKind, CastMember, CharacterId, GuildId, JobId, Length, Participant,
    PromptRole, Scene, SceneId, Speaker, Turn, TurnId,
};
use crate::lore::{TimedEffects, UiPrompt};
use crate::pool::PoolModel;
use crate::prompt::{
    self, Budget, NoteAuthor, Prompt, PromptCharacter, PromptInputs, PromptLore, PromptNote,
    PromptPerson, PromptTurn,
};
use crate::store::Line;

use super::lore::{LoreReport, Piece, SceneLore};
use super::turn_order::{Candidate, natural_order};
use super::{Chat, ChatError};

/// The most turns that are loaded for a prompt. Far more than a context window
/// holds, far less than a scene of years.
const MAX_LINE_TURNS: u32 = 4_000;

/// A scene, loaded.
#[derive(Debug, Clone)]
pub struct SceneView {
    /// Its settings.
    pub scene: Scene,
    /// Who plays in it, in the order of joining.
    pub cast: Vec<CastMember>,
    /// Who writes in it, in the order of joining.
    pub people: Vec<Participant>,
    /// The turns of the line, oldest first.
    pub line: Vec<Turn>,
    /// The lines and veils that hold.
    pub boundaries: Vec<Boundary>,
    /// The lore that takes part.
    pub lore: SceneLore,
    /// What its prompts are made for.
    pub model: Arc<PoolModel>,
}

/// What of a reply is decided before its prompt is built.
#[derive(Debug, Clone, Copy)]
pub(super) struct Casting<'a> {
    /// Who answers: an index into the cast.
    pub(super) answering: usize,
    /// How long.
    pub(super) length: Option<Length>,
    /// What the reply begins with.
    pub(super) continuation: Option<&'a str>,
    /// What is made, in the words of lore: `normal`, `swipe` or `continue`.
    pub(super) trigger: &'static str,
    /// How many turns at the end of the line nobody has said yet: they call no lore.
    pub(super) num_expected: usize,
}

/// A prompt, and what lore did for it.
pub(super) struct Made {
    pub(super) prompt: Prompt,
    pub(super) lore: LoreReport,
    /// What sticks or rests from now on; `None` where the scene has no lore.
    pub(super) effects: Option<TimedEffects>,
}

impl Chat {
    /// Loads a scene with the line that ends in `end`, or in its head.
    ///
    /// # Errors
    /// There is no such scene in the guild, or the database fails.
    pub async fn view(
        &self,
        guild: GuildId,
        scene: SceneId,
        end: Option<TurnId>,
    ) -> Result<SceneView, ChatError> {
        let line = Line { end, start: None, limit: Some(MAX_LINE_TURNS) };
        let cast = self.store.list_cast(guild, scene).await?;
        let mut people = self.store.list_participants(guild, scene).await?;
        let mut line = self.store.list_line(guild, scene, line).await?;
        // Whoever is not heard is as if absent, in what they said before, too.
        let speakers = line.iter().filter_map(|turn| match &turn.speaker {
            Speaker::Person { id, .. } => Some(*id),
            Speaker::Character { .. } => None,
        });
        let mut known: Vec<_> = people.iter().map(|it| it.person.id).chain(speakers).collect();
        known.sort_unstable();
        known.dedup();
        let absent = self.store.list_absent(guild, &known).await?;
        people.retain(|other| !absent.contains(&other.person.id));
        line.retain(|turn| match &turn.speaker {
            Speaker::Person { id, .. } => !absent.contains(id),
            Speaker::Character { .. } => true,
        });
        Ok(SceneView {
            scene: self.scene(guild, scene).await?,
            lore: self.scene_lore(guild, scene, &cast).await?,
            boundaries: self.store.list_boundaries_in(guild, scene).await?,
            cast,
            people,
            line,
            model: self.pool.model(),
        })
    }
}

impl SceneView {
    /// The place of a character in the cast.
    pub(super) fn index_of(&self, character: CharacterId) -> Result<usize, ChatError> {
        self.cast
            .iter()
            .position(|member| member.character.id == character)
            .ok_or_else(|| ChatError::refused("that character is not in the scene any more"))
    }

    /// Who answers next, in natural order; chance comes from the job, so that a
    /// second try chooses the same.
    pub(super) fn turn_order(&self, job: JobId) -> Vec<usize> {
        let candidates: Vec<Candidate<'_>> = self
            .cast
            .iter()
            .map(|member| Candidate {
                name: member.character.sheet.stage_name(),
                talkativeness: member.character.sheet.talkativeness,
            })
            .collect();
        let last_speaker = self.line.last().and_then(|turn| match &turn.speaker {
            Speaker::Character { id, .. } => self.index_of(*id).ok(),
            Speaker::Person { .. } => None,
        });
        let unanswered = self.unanswered_text();
        let mut rng = ChaCha8Rng::seed_from_u64(job.0.unsigned_abs());
        natural_order(&candidates, last_speaker, &unanswered, &mut rng)
    }

    /// What was said since a character spoke last; where nothing was, the last
    /// turn.
    fn unanswered_text(&self) -> String {
        let since = self.line.iter().rposition(|turn| turn.speaker.is_character());
        let from = since.map_or(0, |i| i + 1).min(self.line.len().saturating_sub(1));
        self.line[from..].iter().map(|turn| turn.swipe.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// What a member of the cast said, the newest first.
    pub(super) fn said_by(&self, answering: usize) -> impl Iterator<Item = &str> {
        let character = self.cast[answering].character.id;
        let own = self.line.iter().rev().filter(
            move |turn| matches!(turn.speaker, Speaker::Character { id, .. } if id == character),
        );
        own.map(|turn| turn.swipe.text.as_str())
    }

    /// When a person spoke last.
    fn last_written(&self) -> Option<DateTime<Utc>> {
        let mut turns = self.line.iter().rev();
        turns.find(|turn| !turn.speaker.is_character()).map(|turn| turn.swipe.created_at)
    }

    /// The length of a reply by that member of the cast: as asked for once, else
    /// the character's own, else the scene's.
    pub(super) fn length(&self, answering: usize, once: Option<Length>) -> Option<Length> {
        once.or_else(|| self.cast.get(answering).and_then(|member| member.length))
            .or(self.scene.length)
    }

    /// The prompt for a reply in this scene.
    pub(super) async fn prompt(
        &self,
        chat: &Chat,
        casting: Casting<'_>,
        budget: Budget,
    ) -> Result<Made, ChatError> {
        let answering = self
            .cast
            .get(casting.answering)
            .ok_or_else(|| ChatError::refused("nobody is in the scene; /cast add NAME"))?;
        let sheet = &answering.character.sheet;
        let now = chat.clock.now().with_timezone(&FixedOffset::east_opt(0).expect("UTC"));
        let told = self.tell(chat, casting, now).await?;
        let (pieces, disabled): (&[Piece], &[UiPrompt]) = match &told {
            Some(told) => (&told.pieces, &told.disabled),
            None => (&[], &[]),
        };
        let unless = |prompt, text| if disabled.contains(&prompt) { "" } else { text };
        let lore: Vec<PromptLore<'_>> = pieces.iter().map(prompt_lore).collect();
        let cast: Vec<PromptCharacter<'_>> = self.cast.iter().map(prompt_character).collect();
        let people: Vec<PromptPerson<'_>> = self
            .people
            .iter()
            .map(|person| PromptPerson { name: person.name(), description: person.description() })
            .collect();
        let turns: Vec<PromptTurn<'_>> = self
            .line
            .iter()
            .map(|turn| PromptTurn { id: turn.id, speaker: &turn.speaker, text: &turn.swipe.text })
            .collect();
        let inputs = PromptInputs {
            template: &chat.settings.template,
            cast: &cast,
            answering: casting.answering,
            people: &people,
            scenario: &self.scene.scenario,
            lines: &self.bounds(BoundaryKind::Line),
            veils: &self.bounds(BoundaryKind::Veil),
            system_prompt: unless(UiPrompt::SystemPrompt, &sheet.system_prompt),
            post_history_instructions: unless(
                UiPrompt::PostHistoryInstructions,
                &sheet.post_history_instructions,
            ),
            lore: &lore,
            notes: &self.notes(casting.answering),
            turns: &turns,
            length: casting.length,
            continuation: casting.continuation,
            anchor: self.scene.anchor,
            macro_seed: self.scene.id.0.unsigned_abs(),
            now,
            idle: self.last_written().map(|written| chat.clock.now() - written),
        };
        let prompt = prompt::build(&inputs, &self.model.tokenizer, budget)?;
        let (lore, effects) =
            told.map_or_else(Default::default, |told| (told.report, Some(told.effects)));
        Ok(Made { prompt, lore, effects })
    }

    /// What the boundaries of a kind are about, each once and nobody's.
    fn bounds(&self, kind: BoundaryKind) -> Vec<&str> {
        let mut texts: Vec<&str> = Vec::new();
        for bound in self.boundaries.iter().filter(|bound| bound.kind == kind) {
            if !texts.contains(&bound.text.as_str()) {
                texts.push(&bound.text);
            }
        }
        texts
    }

    /// The reminders between the turns: the scene's, and of who answers.
    fn notes(&self, answering: usize) -> Vec<PromptNote<'_>> {
        let own = self.scene.note.iter().map(|note| PromptNote {
            author: NoteAuthor::Scene,
            text: &note.text,
            depth: note.depth,
            role: PromptRole::System,
        });
        let reminder = self.cast[answering].character.sheet.depth_prompt.iter();
        let reminder = reminder.map(|prompt| PromptNote {
            author: NoteAuthor::Character(answering),
            text: &prompt.text,
            depth: prompt.depth,
            role: prompt.role,
        });
        own.chain(reminder).collect()
    }
}

fn prompt_lore(piece: &Piece) -> PromptLore<'_> {
    PromptLore {
        text: &piece.text,
        place: piece.place,
        label: &piece.label,
        keep_rank: piece.keep_rank,
    }
}

fn prompt_character(member: &CastMember) -> PromptCharacter<'_> {
    let sheet = &member.character.sheet;
    PromptCharacter {
        name: sheet.stage_name(),
        description: &sheet.description,
        personality: &sheet.personality,
        example_dialogue: &sheet.example_dialogue,
    }
}
