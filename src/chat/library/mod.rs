//! A guild's library, as files: characters, lorebooks, presets and chats come in and go
//! out.
//!
//! It needs the database alone, no model, so that a command can use it beside a service
//! that runs.

mod cards;
mod chats;
mod export;
mod judging;
mod lorebooks;
mod presets;
mod rules;
mod tally;
mod training;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use crate::classifier::Classifier;
use crate::domain::{Character, CharacterId, CharacterSheet, DepthPrompt, GuildId, PersonId};
use crate::formats::Limits;
use crate::moderation::Checker;
use crate::store::{Consent, Noun, Store, StoreError};

use super::characters::{self, clean_avatar_url};
use super::{ChatError, clean_name};

pub use cards::{CardInHand, ImportedCharacter};
pub use chats::{ChatInHand, ChatPlace, ImportedChat};
pub use export::Export;
pub(super) use judging::Judged;
pub use lorebooks::{EntryChange, KeptLorebook, LorebookDraft, LorebookInHand, read_book};
pub use presets::ImportedPreset;
pub use rules::Rules;
pub(super) use rules::{facts_of, read_policy, refused_line, retention_at};
pub(super) use tally::{Met, Tally, hits};
pub use training::{CONSENT_WORDS, TrainingScene};

/// The deepest that a character's reminder stands, in turns.
const MAX_DEPTH: usize = 1_000;

/// How many files are read or written at once: each may take some hundred MiB.
const MAX_AT_ONCE: usize = 3;
/// The longest text of a field that comes in a file, in bytes.
const MAX_FILE_TEXT_BYTES: usize = 256 << 10;

/// How much is read and unpacked of people's files.
fn limits() -> Limits {
    const MIB: usize = 1 << 20;
    Limits {
        file_bytes: 32 * MIB,
        json_bytes: 12 * MIB,
        json_values: 200_000,
        parts: 500,
        part_bytes: 16 * MIB,
        total_bytes: 64 * MIB,
        ..Limits::default()
    }
}

/// A guild's characters, lorebooks, presets and chats, as files.
#[derive(Debug, Clone)]
pub struct Library {
    store: Store,
    /// The longest text that somebody may write into a field, in bytes.
    max_text_bytes: usize,
    at_once: Arc<Semaphore>,
    /// Rules by what they are made of.
    compiled: Arc<Mutex<HashMap<String, Arc<Checker>>>>,
    /// What is asked beside the rules.
    classifier: Option<Arc<Classifier>>,
    /// How often the rules are met.
    pub(super) tally: Arc<Tally>,
}

/// The guild in which everything of a terminal lives, and the one person of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalGuild {
    /// The guild.
    pub guild: crate::domain::Guild,
    /// The person.
    pub person: crate::domain::Person,
}

/// Everything of the terminal lives in one guild of its own.
const PLATFORM: &str = "terminal";
const GUILD: &str = "local";
/// One keyboard, one person, whatever they are called today.
const PERSON: &str = "player";
/// What they are called before they said so.
const NAMELESS: &str = "Traveller";

impl Library {
    /// The library in a database. Texts longer than `max_text_bytes` are refused, and what
    /// comes in is shown to the classifier, where there is one.
    pub fn new(store: Store, max_text_bytes: usize, classifier: Option<Arc<Classifier>>) -> Self {
        let at_once = Arc::new(Semaphore::new(MAX_AT_ONCE));
        let (compiled, tally) = Default::default();
        Self { store, max_text_bytes, at_once, compiled, classifier, tally }
    }

    /// The store, for what needs no verb.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The guild of this machine's terminal, and who sits at it: under this name from now
    /// on, or with `None` under the name they have.
    ///
    /// # Errors
    /// The name cannot be used, or the database fails.
    pub async fn local(&self, user: Option<&str>) -> Result<LocalGuild, ChatError> {
        let guild = self.store.upsert_guild(PLATFORM, GUILD, "this terminal").await?;
        // Whoever sits alone at their own machine need not be asked.
        self.store.set_guild_consent(guild.id, Consent::Assumed).await?;
        let known = match user {
            Some(_) => None,
            None => self.store.get_person_by_external(guild.id, PERSON).await?,
        };
        let person = match known {
            Some(person) => person,
            None => {
                let name = clean_name(user.unwrap_or(NAMELESS))?;
                self.store.upsert_person(guild.id, PERSON, &name).await?
            }
        };
        Ok(LocalGuild { guild, person })
    }

    /// Does what takes a while aside: one of few at once, and not where others wait.
    pub(in crate::chat) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ChatError> + Send + 'static,
    ) -> Result<T, ChatError> {
        let _place = self.at_once.acquire().await.expect("nobody closes it");
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|_| Err(ChatError::refused("the file could not be read")))
    }

    /// The place of the terminal's scene with a character.
    pub fn local_channel(&self, character: CharacterId) -> String {
        format!("character-{character}")
    }

    /// The character that a person means: of that name, or the only one whose name,
    /// or a word of it, begins so.
    ///
    /// # Errors
    /// None is meant, or more than one; says which there are. Or the database fails.
    pub async fn find_character(&self, guild: GuildId, name: &str) -> Result<Character, ChatError> {
        if let Some(character) = self.store.get_character_by_name(guild, name).await? {
            return Ok(character);
        }
        let names = self.store.list_character_names(guild, "", characters::MAX_NAMES).await?;
        let id = characters::meant(&names, name)?;
        let character = self.store.get_character(guild, id).await?;
        Ok(character.ok_or(StoreError::NotFound(Noun::Character))?)
    }

    /// Writes down who changed what.
    async fn note(
        &self,
        guild: GuildId,
        person: PersonId,
        action: &str,
        detail: &serde_json::Value,
    ) -> Result<(), StoreError> {
        self.store.insert_audit(guild, Some(person), action, detail).await
    }

    /// Any text of people: line breaks and tabs stay, other control characters go,
    /// since no screen shows them and terminals obey them.
    pub(super) fn clean_text(&self, text: &str) -> Result<String, ChatError> {
        clean_text(text, self.max_text_bytes)
    }

    /// A sheet that somebody wrote, with names that can head turns and texts that can
    /// stand in prompts.
    pub(super) fn clean_sheet(&self, sheet: &CharacterSheet) -> Result<CharacterSheet, ChatError> {
        Cleaning { max_bytes: self.max_text_bytes }.sheet(sheet)
    }
}

/// A text of at most so many bytes, without what no screen shows.
fn clean_text(text: &str, max_bytes: usize) -> Result<String, ChatError> {
    if text.len() > max_bytes {
        return Err(ChatError::refused(format!(
            "that is {} bytes of text, and {max_bytes} are taken; nothing was changed: send it in \
             parts",
            text.len()
        )));
    }
    let text: String = text
        .replace("\r\n", "\n")
        .chars()
        .filter(|c| matches!(c, '\n' | '\t') || !c.is_control())
        .collect();
    Ok(text.trim().to_owned())
}

/// Makes what comes from outside fit to be kept.
#[derive(Debug, Clone, Copy)]
struct Cleaning {
    max_bytes: usize,
}

impl Cleaning {
    /// For what comes in files.
    const FILES: Self = Self { max_bytes: MAX_FILE_TEXT_BYTES };

    fn clean_text(self, text: &str) -> Result<String, ChatError> {
        clean_text(text, self.max_bytes)
    }

    fn clean_texts(self, texts: &[String]) -> Result<Vec<String>, ChatError> {
        texts.iter().map(|text| self.clean_text(text)).collect()
    }

    fn sheet(self, sheet: &CharacterSheet) -> Result<CharacterSheet, ChatError> {
        let nickname = sheet.nickname.as_deref().filter(|nickname| !nickname.trim().is_empty());
        let depth_prompt = sheet.depth_prompt.as_ref();
        Ok(CharacterSheet {
            name: clean_name(&sheet.name)?,
            avatar_url: sheet.avatar_url.as_deref().map(clean_avatar_url).transpose()?,
            nickname: nickname.map(clean_name).transpose()?,
            description: self.clean_text(&sheet.description)?,
            personality: self.clean_text(&sheet.personality)?,
            scenario: self.clean_text(&sheet.scenario)?,
            greeting: self.clean_text(&sheet.greeting)?,
            alternate_greetings: self.clean_texts(&sheet.alternate_greetings)?,
            group_only_greetings: self.clean_texts(&sheet.group_only_greetings)?,
            example_dialogue: self.clean_text(&sheet.example_dialogue)?,
            system_prompt: self.clean_text(&sheet.system_prompt)?,
            post_history_instructions: self.clean_text(&sheet.post_history_instructions)?,
            depth_prompt: depth_prompt.map(|it| self.clean_depth_prompt(it)).transpose()?,
            talkativeness: if sheet.talkativeness.is_nan() {
                CharacterSheet::default().talkativeness
            } else {
                sheet.talkativeness.clamp(0.0, 1.0)
            },
            tags: self.clean_texts(&sheet.tags)?,
            creator_notes: self.clean_text(&sheet.creator_notes)?,
            creator: self.clean_text(&sheet.creator)?,
            character_version: self.clean_text(&sheet.character_version)?,
        })
    }

    fn clean_depth_prompt(self, prompt: &DepthPrompt) -> Result<DepthPrompt, ChatError> {
        let depth = prompt.depth.min(MAX_DEPTH);
        Ok(DepthPrompt { text: self.clean_text(&prompt.text)?, depth, role: prompt.role })
    }
}
