//! The lore of a scene: which books it uses, and what of them a reply is told.
//!
//! Books are compiled once and kept as long as nothing of them changes. What fires is
//! decided by the lore room; here it is asked with the scene's turns, and its answer put
//! where the prompt wants it and into a report that people can read.

use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::domain::{CastMember, GuildId, LorePosition, SceneId, SwipeOrigin};
use crate::formats::book::BookFile;
use crate::lore::{
    Activation, Lore, LoreInputs, LoreMessage, LorePlace, LoreScope, LoreSource, NotFired,
    TimedEffects, UiPrompt,
};
use crate::store::{self, LoreUse};

use super::library::KeptLorebook;
use super::view::{Casting, SceneView};
use super::{Chat, ChatError};

/// A test is as if in the middle of a long scene: nothing waits for its time.
const MANY_TURNS: usize = 1_000_000;
/// How many scenes' lore is kept compiled.
const MAX_KEPT: usize = 64;

/// The lore that takes part in a scene.
#[derive(Debug, Clone)]
pub struct SceneLore {
    /// Its books, compiled; `None` where it has none.
    pub(super) books: Option<Arc<Lore>>,
    /// What the latest reply left sticking or resting.
    pub(super) effects: TimedEffects,
}

/// What compiled lore was made of: it is good as long as this is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShelfKey {
    guild: GuildId,
    uses: Vec<LoreUse>,
    /// Whose the characters' books are.
    names: Vec<String>,
}

/// Lore that was compiled of late, the latest last.
#[derive(Default)]
pub(super) struct Shelf(Mutex<Vec<(ShelfKey, Arc<Lore>)>>);

impl Shelf {
    fn get(&self, key: &ShelfKey) -> Option<Arc<Lore>> {
        let mut kept = self.0.lock().expect("nothing panics here");
        let at = kept.iter().position(|(known, _)| known == key)?;
        let found = kept.remove(at);
        let lore = found.1.clone();
        kept.push(found);
        Some(lore)
    }

    fn put(&self, key: ShelfKey, lore: Arc<Lore>) {
        let mut kept = self.0.lock().expect("nothing panics here");
        if kept.len() >= MAX_KEPT {
            kept.remove(0);
        }
        kept.push((key, lore));
    }
}

/// What lore did for one reply, for its receipt: names and numbers, never what an entry
/// says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoreReport {
    /// What was told, in the order of the prompt.
    pub told: Vec<ToldEntry>,
    /// What was called and not told, and why.
    pub left_out: Vec<LeftOutEntry>,
    /// What the told entries add up to, in tokens.
    pub num_tokens: usize,
    /// What they might have added up to, in tokens.
    pub budget_tokens: usize,
}

/// An entry that was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToldEntry {
    /// Its book.
    pub book: String,
    /// What people call it.
    pub name: String,
    /// What called it, in words.
    pub cause: String,
    /// Its size in tokens.
    pub num_tokens: usize,
}

/// An entry that was not told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftOutEntry {
    /// Its book.
    pub book: String,
    /// What people call it.
    pub name: String,
    /// Why, as a sentence without its subject.
    pub reason: String,
}

/// Lore that a prompt is told.
pub(super) struct Told {
    /// The pieces, in order: what each says, where, under which label and rank.
    pub(super) pieces: Vec<Piece>,
    /// Our own prompts that an entry wants gone.
    pub(super) disabled: Vec<UiPrompt>,
    /// What sticks or rests from now on.
    pub(super) effects: TimedEffects,
    /// For the receipt.
    pub(super) report: LoreReport,
}

/// One piece of it.
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) place: LorePosition,
    pub(super) label: String,
    pub(super) keep_rank: i64,
}

impl Chat {
    /// The lore that a scene uses.
    pub(super) async fn scene_lore(
        &self,
        guild: GuildId,
        scene: SceneId,
        cast: &[CastMember],
    ) -> Result<SceneLore, ChatError> {
        let uses = self.store.list_lore_uses(guild, scene).await?;
        if uses.is_empty() {
            return Ok(SceneLore { books: None, effects: TimedEffects::default() });
        }
        let effects = self.store.get_lore_effects(guild, scene).await?;
        // What an older version wrote, or nobody, is nothing that sticks.
        let effects = effects.and_then(|it| serde_json::from_value(it).ok()).unwrap_or_default();
        let names =
            cast.iter().map(|member| member.character.sheet.stage_name().to_owned()).collect();
        let key = ShelfKey { guild, uses, names };
        let books = match self.shelf.get(&key) {
            Some(books) => books,
            None => {
                let mut sources = Vec::with_capacity(key.uses.len());
                for used in &key.uses {
                    sources.extend(self.lore_source(guild, *used, cast).await?);
                }
                let books = compile(sources).await?;
                self.shelf.put(key, books.clone());
                books
            }
        };
        Ok(SceneLore { books: Some(books), effects })
    }

    /// A book that is used; `None` where it went meanwhile.
    async fn lore_source(
        &self,
        guild: GuildId,
        used: LoreUse,
        cast: &[CastMember],
    ) -> Result<Option<LoreSource>, ChatError> {
        let Some(kept) = self.store.get_lorebook(guild, used.id).await? else { return Ok(None) };
        let scope = match used.scope {
            store::LoreScope::Guild => LoreScope::Guild,
            store::LoreScope::Scene(_) => LoreScope::Scene,
            store::LoreScope::Character(id) => {
                let whose = cast.iter().find(|member| member.character.id == id);
                let Some(whose) = whose else { return Ok(None) };
                LoreScope::Character { name: whose.character.sheet.stage_name().to_owned() }
            }
        };
        Ok(Some(source(scope, &kept)?))
    }

    /// What a text would call if it were said now: in one book, or in all that a scene
    /// uses. Everything that stays silent is in the report, with its reason.
    ///
    /// # Errors
    /// There is no such scene, or the database fails.
    pub async fn test_lore(
        &self,
        guild: GuildId,
        scene: Option<SceneId>,
        book: Option<&KeptLorebook>,
        text: &str,
    ) -> Result<LoreReport, ChatError> {
        let lore = match (book, scene) {
            (Some(book), _) => {
                let source = LoreSource {
                    scope: LoreScope::Guild,
                    id: book.id.to_string(),
                    book: book.book.clone(),
                };
                Some(compile(vec![source]).await?)
            }
            (None, Some(scene)) => {
                let cast = self.store.list_cast(guild, scene).await?;
                self.scene_lore(guild, scene, &cast).await?.books
            }
            (None, None) => None,
        };
        let Some(lore) = lore else { return Ok(LoreReport::default()) };
        let who = match scene {
            Some(scene) => self.store.list_cast(guild, scene).await?.into_iter().next(),
            None => None,
        };
        let (name, tags) = who.map_or_else(Default::default, |member| {
            let sheet = member.character.sheet;
            (sheet.stage_name().to_owned(), sheet.tags)
        });
        let model = self.pool.model();
        let (tokenizer, effects) = (&model.tokenizer, TimedEffects::default());
        let activation = lore.activate(&LoreInputs {
            messages: &[LoreMessage { speaker: "", text }],
            num_turns: MANY_TURNS,
            num_replies: MANY_TURNS,
            settings: &self.settings.lore,
            context_tokens: model.context_tokens,
            character: &name,
            tags: &tags,
            trigger: "normal",
            extras: &[],
            greeting: None,
            user_icon: None,
            is_context_full: false,
            count_tokens: &|text| tokenizer.count(text),
            expand: &|text| text.to_owned(),
            seed: 0,
            effects: &effects,
        });
        Ok(full_report(&activation))
    }
}

/// A kept book as the lore room takes it.
pub(super) fn source(scope: LoreScope, kept: &store::Lorebook) -> Result<LoreSource, ChatError> {
    let mut book = BookFile::read_json(&kept.body)?.to_lorebook();
    book.name.clone_from(&kept.name);
    Ok(LoreSource { scope, id: kept.id.to_string(), book })
}

/// Compiles books aside: a large one takes a while.
pub(super) async fn compile(sources: Vec<LoreSource>) -> Result<Arc<Lore>, ChatError> {
    let compiled = tokio::task::spawn_blocking(move || Arc::new(Lore::new(sources))).await;
    compiled.map_err(|_| ChatError::refused("a lorebook could not be prepared"))
}

impl SceneView {
    /// What of the lore a reply is told; `None` where the scene has none.
    pub(super) fn tell(
        &self,
        chat: &Chat,
        casting: Casting<'_>,
        expand: &dyn Fn(&str) -> String,
    ) -> Option<Told> {
        let books = self.lore.books.as_deref()?;
        let answering = &self.cast.get(casting.answering)?.character.sheet;
        let said = &self.line[..self.line.len().saturating_sub(casting.num_expected)];
        let mut messages: Vec<LoreMessage<'_>> = said
            .iter()
            .map(|turn| LoreMessage { speaker: turn.speaker.name(), text: &turn.swipe.text })
            .collect();
        if let Some(text) = casting.continuation {
            messages.push(LoreMessage { speaker: answering.stage_name(), text });
        }
        let tokenizer = &self.model.tokenizer;
        let activation = books.activate(&LoreInputs {
            messages: &messages,
            num_turns: said.len(),
            num_replies: said.iter().filter(|turn| turn.speaker.is_character()).count(),
            settings: &chat.settings.lore,
            context_tokens: self.model.context_tokens,
            character: answering.stage_name(),
            tags: &answering.tags,
            trigger: casting.trigger,
            extras: &[],
            greeting: self.greeting(),
            user_icon: None,
            is_context_full: self.scene.anchor.is_some(),
            count_tokens: &|text| tokenizer.count(text),
            expand,
            seed: self.lot(said.last().map_or(0, |turn| turn.id.0)),
            effects: &self.lore.effects,
        });
        Some(told(activation))
    }

    /// Which greeting the line begins with.
    fn greeting(&self) -> Option<usize> {
        let first = self.line.first().filter(|turn| turn.parent.is_none())?;
        (first.swipe.origin == SwipeOrigin::Greeting).then_some(first.swipe.ordinal as usize)
    }

    /// The same for every try at the reply to one turn.
    fn lot(&self, turn: i64) -> u64 {
        self.scene.id.0.unsigned_abs().rotate_left(32) ^ turn.unsigned_abs()
    }
}

fn told(activation: Activation<'_>) -> Told {
    let report = report(&activation);
    let pieces = activation.fired.into_iter().map(|fired| Piece {
        place: position(fired.place),
        label: format!("{}: {}", fired.source.book.name, title(fired.entry)),
        keep_rank: if fired.is_expendable { i64::MIN } else { fired.entry.order },
        text: fired.content,
    });
    Told {
        pieces: pieces.collect(),
        disabled: activation.disabled_prompts,
        effects: activation.effects,
        report,
    }
}

/// LimaRP has one paragraph for each character and none for its parts.
fn position(place: LorePlace) -> LorePosition {
    match place {
        LorePlace::Position(position) => position,
        LorePlace::BeforeDescription => LorePosition::BeforeCharacters,
        LorePlace::AfterDescription | LorePlace::Personality | LorePlace::Scenario => {
            LorePosition::AfterCharacters
        }
    }
}

/// What an activation did, for receipts: those that were called.
fn report(activation: &Activation<'_>) -> LoreReport {
    report_of(activation, is_of_interest)
}

/// The same with everything that stayed silent.
pub(super) fn full_report(activation: &Activation<'_>) -> LoreReport {
    report_of(activation, |_| true)
}

fn report_of(activation: &Activation<'_>, wanted: impl Fn(&NotFired) -> bool) -> LoreReport {
    let told = activation.fired.iter().map(|fired| ToldEntry {
        book: fired.source.book.name.clone(),
        name: title(fired.entry),
        cause: match fired.level {
            0 => fired.cause.to_string(),
            level => format!("{}, by what others say (level {level})", fired.cause),
        },
        num_tokens: fired.num_tokens,
    });
    let left_out = activation.not_fired.iter().filter(|silent| wanted(&silent.reason));
    LoreReport {
        told: told.collect(),
        left_out: left_out
            .map(|silent| LeftOutEntry {
                book: silent.source.book.name.clone(),
                name: title(silent.entry),
                reason: silent.reason.to_string(),
            })
            .collect(),
        num_tokens: activation.num_tokens,
        budget_tokens: activation.budget_tokens,
    }
}

/// Whether an entry was called and yet not told.
fn is_of_interest(reason: &NotFired) -> bool {
    matches!(
        reason,
        NotFired::Secondary { .. }
            | NotFired::GroupLost { .. }
            | NotFired::Probability { .. }
            | NotFired::Budget { .. }
            | NotFired::BookBudget { .. }
            | NotFired::Cooldown { .. }
            | NotFired::ExcludedFromRecursion
            | NotFired::InvalidRegex
            | NotFired::Empty
            | NotFired::Duplicate { .. }
    )
}

/// What people call an entry: its name, else its first key.
pub(super) fn title(entry: &crate::domain::LoreEntry) -> String {
    let named = [&entry.name].into_iter().chain(&entry.keys).find(|text| !text.trim().is_empty());
    named.map_or_else(|| format!("entry {}", entry.uid), |text| text.trim().to_owned())
}
