//! The lore of a scene: which books it uses, and what of them a reply is told.
//!
//! Books are compiled once and kept as long as nothing of them changes. What fires is
//! decided by the lore room; here it is asked with the scene's turns, and its answer put
//! where the prompt wants it and into a report that people can read.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};

use crate::domain::{CastMember, GuildId, LorePosition, Participant, SceneId, SwipeOrigin};
use crate::formats::book::BookFile;
use crate::lore::{
    Activation, Lore, LoreInputs, LoreMessage, LorePlace, LoreScope, LoreSettings, LoreSource,
    NotFired, TimedEffects, UiPrompt,
};
use crate::pool::PoolModel;
use crate::prompt::{MacroContext, StoryMacros, expand};
use crate::store::{self, LoreUse};

use super::library::KeptLorebook;
use super::view::{Casting, SceneView};
use super::{Chat, ChatError};

/// A test is as if in the middle of a long scene: nothing waits for its time.
const MANY_TURNS: usize = 1_000_000;
/// How many scenes' lore is kept compiled, and of how many bytes of books.
const MAX_KEPT: usize = 64;
const MAX_KEPT_BYTES: usize = 64 << 20;
/// How many entries a receipt names as left out.
const MAX_LEFT_OUT: usize = 40;

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
pub(super) struct Shelf(Mutex<Vec<Shelved>>);

struct Shelved {
    key: ShelfKey,
    lore: Arc<Lore>,
    /// The size of the books that it was made of.
    num_bytes: usize,
}

impl Shelf {
    fn get(&self, key: &ShelfKey) -> Option<Arc<Lore>> {
        let mut kept = self.0.lock().expect("nothing panics here");
        let at = kept.iter().position(|shelved| shelved.key == *key)?;
        let found = kept.remove(at);
        let lore = found.lore.clone();
        kept.push(found);
        Some(lore)
    }

    /// The latest always has a place.
    fn put(&self, key: ShelfKey, lore: Arc<Lore>, num_bytes: usize) {
        let mut kept = self.0.lock().expect("nothing panics here");
        kept.push(Shelved { key, lore, num_bytes });
        let mut total: usize = kept.iter().map(|shelved| shelved.num_bytes).sum();
        while kept.len() > 1 && (kept.len() > MAX_KEPT || total > MAX_KEPT_BYTES) {
            total -= kept.remove(0).num_bytes;
        }
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
    /// How many searches by regular expressions were given up since they took too long;
    /// they count as not found.
    #[serde(default)]
    pub num_regexes_given_up: usize,
}

impl LoreReport {
    /// Whether there is nothing to tell of.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty() && self.left_out.is_empty() && self.num_regexes_given_up == 0
    }

    /// In words, where searches were given up: what that means, and what helps.
    pub fn slow_regexes(&self) -> Option<String> {
        let searches = match self.num_regexes_given_up {
            0 => return None,
            1 => "1 search by a regular expression".to_owned(),
            number => format!("{number} searches by regular expressions"),
        };
        Some(format!("{searches} took too long and found nothing; simpler keys help"))
    }
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
        let names = cast.iter().map(|member| member.character.sheet.name.clone()).collect();
        let key = ShelfKey { guild, uses, names };
        let books = match self.shelf.get(&key) {
            Some(books) => books,
            None => {
                let mut kept = Vec::with_capacity(key.uses.len());
                for used in &key.uses {
                    kept.extend(self.used_book(guild, *used, cast).await?);
                }
                let num_bytes = kept.iter().map(|(_, book)| book.body.len()).sum();
                let books = compile(kept).await?;
                self.shelf.put(key, books.clone(), num_bytes);
                books
            }
        };
        Ok(SceneLore { books: Some(books), effects })
    }

    /// A book that is used, and by whom; `None` where it went meanwhile.
    async fn used_book(
        &self,
        guild: GuildId,
        used: LoreUse,
        cast: &[CastMember],
    ) -> Result<Option<(LoreScope, store::Lorebook)>, ChatError> {
        let Some(kept) = self.store.get_lorebook(guild, used.id).await? else { return Ok(None) };
        let scope = match used.scope {
            store::LoreScope::Guild => LoreScope::Guild,
            store::LoreScope::Scene(_) => LoreScope::Scene,
            store::LoreScope::Character(id) => {
                let whose = cast.iter().find(|member| member.character.id == id);
                let Some(whose) = whose else { return Ok(None) };
                LoreScope::Character { name: whose.character.sheet.name.clone() }
            }
        };
        Ok(Some((scope, kept)))
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
                Some(compiled(move || Ok(vec![source])).await?)
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
        let sheet = who.map(|member| member.character.sheet).unwrap_or_default();
        let question = Question {
            lore,
            messages: vec![(String::new(), text.to_owned())],
            num_turns: MANY_TURNS,
            num_replies: MANY_TURNS,
            settings: self.settings.lore.clone(),
            model: self.pool.model(),
            character: sheet.name.clone(),
            tags: sheet.tags.clone(),
            trigger: "normal",
            greeting: None,
            is_context_full: false,
            seed: 0,
            effects: TimedEffects::default(),
            names: Names {
                character: sheet.stage_name().to_owned(),
                user: "you".to_owned(),
                seed: scene.map_or(0, |scene| scene.0.unsigned_abs()),
                now: self.clock.now().fixed_offset(),
            },
        };
        question.answer(|activation| full_report(&activation)).await
    }
}

/// Compiles kept books aside: a large one takes a while.
async fn compile(kept: Vec<(LoreScope, store::Lorebook)>) -> Result<Arc<Lore>, ChatError> {
    compiled(move || {
        let sources = kept.into_iter().map(|(scope, kept)| {
            let mut book = BookFile::read_json(&kept.body)?.to_lorebook();
            book.name = kept.name;
            Ok(LoreSource { scope, id: kept.id.to_string(), book })
        });
        sources.collect()
    })
    .await
}

async fn compiled(
    sources: impl FnOnce() -> Result<Vec<LoreSource>, ChatError> + Send + 'static,
) -> Result<Arc<Lore>, ChatError> {
    let done = tokio::task::spawn_blocking(move || Ok(Arc::new(Lore::new(sources()?)))).await;
    done.unwrap_or_else(|_| Err(ChatError::refused("a lorebook could not be prepared")))
}

/// What lore is asked, as something that can be answered aside: patterns of strangers take
/// their time.
struct Question {
    lore: Arc<Lore>,
    /// Speakers and texts, newest last.
    messages: Vec<(String, String)>,
    num_turns: usize,
    num_replies: usize,
    settings: LoreSettings,
    model: Arc<PoolModel>,
    character: String,
    tags: Vec<String>,
    trigger: &'static str,
    greeting: Option<usize>,
    is_context_full: bool,
    seed: u64,
    effects: TimedEffects,
    names: Names,
}

/// What the placeholders of lore stand for; it is told by whoever answers.
struct Names {
    character: String,
    user: String,
    seed: u64,
    now: DateTime<FixedOffset>,
}

impl Names {
    fn expand(&self, text: &str) -> String {
        let Self { character, user, seed, now } = self;
        let (seed, now, story) = (*seed, *now, StoryMacros::default());
        expand(
            text,
            &MacroContext { character, user, original: None, now, seed, place: "lore", story },
        )
    }
}

impl Question {
    async fn answer<T: Send + 'static>(
        self,
        read: impl FnOnce(Activation<'_>) -> T + Send + 'static,
    ) -> Result<T, ChatError> {
        let done = tokio::task::spawn_blocking(move || read(self.ask())).await;
        done.map_err(|_| ChatError::refused("the scene's lore could not be asked"))
    }

    fn ask(&self) -> Activation<'_> {
        let messages: Vec<LoreMessage<'_>> =
            self.messages.iter().map(|(speaker, text)| LoreMessage { speaker, text }).collect();
        self.lore.activate(&LoreInputs {
            messages: &messages,
            num_turns: self.num_turns,
            num_replies: self.num_replies,
            settings: &self.settings,
            context_tokens: self.model.context_tokens,
            character: &self.character,
            tags: &self.tags,
            trigger: self.trigger,
            extras: &[],
            greeting: self.greeting,
            user_icon: None,
            is_context_full: self.is_context_full,
            count_tokens: &|text| self.model.tokenizer.count(text),
            expand: &|text| self.names.expand(text),
            seed: self.seed,
            effects: &self.effects,
        })
    }
}

/// Messages further back than this call nothing, whatever a book asks for.
const MAX_MESSAGES: usize = 1_000;

impl SceneView {
    /// What of the lore a reply is told; `None` where the scene has none.
    pub(super) async fn tell(
        &self,
        chat: &Chat,
        casting: Casting<'_>,
        now: DateTime<FixedOffset>,
    ) -> Result<Option<Told>, ChatError> {
        let (Some(lore), Some(answering)) = (&self.lore.books, self.cast.get(casting.answering))
        else {
            return Ok(None);
        };
        let answering = &answering.character.sheet;
        let said = &self.line[..self.line.len().saturating_sub(casting.num_expected)];
        let near = &said[said.len().saturating_sub(MAX_MESSAGES)..];
        let mut messages: Vec<(String, String)> = near
            .iter()
            .map(|turn| (turn.speaker.name().to_owned(), turn.swipe.text.clone()))
            .collect();
        if let Some(text) = casting.continuation {
            messages.push((answering.stage_name().to_owned(), text.to_owned()));
        }
        let people: Vec<&str> = self.people.iter().map(Participant::name).collect();
        let question = Question {
            lore: lore.clone(),
            messages,
            num_turns: said.len(),
            num_replies: said.iter().filter(|turn| turn.speaker.is_character()).count(),
            settings: chat.settings.lore.clone(),
            model: self.model.clone(),
            character: answering.name.clone(),
            tags: answering.tags.clone(),
            trigger: casting.trigger,
            greeting: self.greeting(),
            is_context_full: self.scene.anchor.is_some(),
            seed: self.lot(said.last().map_or(0, |turn| turn.id.0)),
            effects: self.lore.effects.clone(),
            names: Names {
                character: answering.stage_name().to_owned(),
                user: if people.is_empty() { "you".to_owned() } else { people.join(" and ") },
                seed: self.scene.id.0.unsigned_abs(),
                now,
            },
        };
        Ok(Some(question.answer(told).await?))
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
        label: format!("{}: {}", fired.source.book.name, fired.entry.title()),
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
    let mut report = report_of(activation, is_of_interest);
    report.left_out.truncate(MAX_LEFT_OUT);
    report
}

/// The same with everything that stayed silent.
pub(super) fn full_report(activation: &Activation<'_>) -> LoreReport {
    report_of(activation, |_| true)
}

fn report_of(activation: &Activation<'_>, wanted: impl Fn(&NotFired) -> bool) -> LoreReport {
    let told = activation.fired.iter().map(|fired| ToldEntry {
        book: fired.source.book.name.clone(),
        name: fired.entry.title(),
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
                name: silent.entry.title(),
                reason: silent.reason.to_string(),
            })
            .collect(),
        num_tokens: activation.num_tokens,
        budget_tokens: activation.budget_tokens,
        num_regexes_given_up: activation.num_regexes_given_up,
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
            | NotFired::Empty
            | NotFired::Duplicate { .. }
    )
}
