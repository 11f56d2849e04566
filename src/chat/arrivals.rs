//! Characters and lorebooks that people bring: they come at once, or wait for a moderator.

use serde_json::json;

use crate::domain::{Character, CharacterId, CharacterSheet, GuildId, Lorebook, PersonId};
use crate::formats::book::BookFile;
use crate::formats::card::Card;
use crate::store::{CharacterFile, Held, NewBook, NewHeld, Noun, StoreError};

use super::difference::{book_difference, sheet_difference};
use super::library::{CardInHand, ImportedCharacter, KeptLorebook, LorebookDraft};
use super::{Chat, ChatError};

/// Who brings a character or a lorebook, and where.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Who.
    pub person: PersonId,
    /// Whether they moderate: nobody looks at what they bring, unless the rules hold it.
    pub by_moderator: bool,
    /// The platform's id of the place where they are told what became of it.
    pub place: &'a str,
}

/// What became of what somebody brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Offered<T> {
    /// It is there.
    Kept(T),
    /// It waits for a moderator, under the case of that number.
    Waits(i64),
}

impl Chat {
    /// Keeps a new character, or what is known of one. Where it waits for a moderator a new
    /// one is offered to nobody meanwhile, and one that is there stays as it is.
    ///
    /// # Errors
    /// As [`Chat::create_character`] and [`Chat::update_character`].
    pub async fn offer_character(
        &self,
        guild: GuildId,
        who: Arrival<'_>,
        replaces: Option<CharacterId>,
        sheet: &CharacterSheet,
    ) -> Result<Offered<Character>, ChatError> {
        let sheet = self.library.clean_sheet(sheet)?;
        let why = self.library.judge_sheet(guild, &sheet, who.by_moderator).await?;
        let Some(why) = why else {
            let person = who.person;
            return Ok(Offered::Kept(match replaces {
                Some(id) => self.update_character(guild, person, id, &sheet).await?,
                None => self.create_character(guild, person, &sheet).await?,
            }));
        };
        let Some(id) = replaces else {
            let card = Card::from_sheet(&sheet).to_json();
            let file = CharacterFile { sheet, card, assets: Vec::new(), book: None };
            return self.hold_file(guild, who, None, &file, why).await.map(Offered::Waits);
        };
        let known = self.store.get_character(guild, id).await?;
        let known = known.ok_or(StoreError::NotFound(Noun::Character))?.sheet;
        let difference = sheet_difference(&known, &sheet);
        let sheet = Box::new(sheet);
        let held = Held::Character { came: None, replaces, sheet, book: None };
        let new = waiting(who, held, difference, why);
        let case = self.store.insert_held(guild, &new).await?;
        self.note_held(guild, case, new.held.kind()).await?;
        Ok(Offered::Waits(case))
    }

    /// Keeps what a card holds, in the place of a character where `replaces` names one; or
    /// has it wait, as [`Chat::offer_character`].
    ///
    /// # Errors
    /// Another character has the name, the rules do not allow what it says, or the database
    /// fails.
    pub async fn offer_card(
        &self,
        guild: GuildId,
        who: Arrival<'_>,
        card: CardInHand,
        replaces: Option<CharacterId>,
    ) -> Result<Offered<ImportedCharacter>, ChatError> {
        let why = self.library.judge_card(guild, &card, who.by_moderator).await?;
        let Some(why) = why else {
            let imported = self.library.import_character(guild, who.person, card, replaces).await?;
            return Ok(Offered::Kept(imported));
        };
        let file = CharacterFile::from(card);
        self.hold_file(guild, who, replaces, &file, why).await.map(Offered::Waits)
    }

    /// Keeps a lorebook, or a change of one, or has it wait for a moderator.
    ///
    /// # Errors
    /// The name is taken, somebody changed the book meanwhile, the rules do not allow what it
    /// says, or the database fails.
    pub async fn offer_lorebook(
        &self,
        guild: GuildId,
        who: Arrival<'_>,
        draft: LorebookDraft,
    ) -> Result<Offered<KeptLorebook>, ChatError> {
        let Some(why) = self.library.judge_book(guild, &draft.body()).await? else {
            let kept = self.library.keep_lorebook(guild, who.person, draft).await?;
            return Ok(Offered::Kept(kept));
        };
        let (before, after, body) = (draft.before, draft.file.to_lorebook(), draft.file.to_json());
        let difference = self.library.aside(move || Ok(book_difference(&before, &after))).await?;
        let held = Held::Lorebook { name: draft.name, replaces: draft.replaces, body };
        let new = waiting(who, held, difference, why);
        let case = self.store.insert_held(guild, &new).await?;
        self.note_held(guild, case, new.held.kind()).await?;
        Ok(Offered::Waits(case))
    }

    async fn hold_file(
        &self,
        guild: GuildId,
        who: Arrival<'_>,
        replaces: Option<CharacterId>,
        file: &CharacterFile,
        why: String,
    ) -> Result<i64, ChatError> {
        let known = match replaces {
            Some(id) => self.store.get_character(guild, id).await?,
            None => None,
        };
        let known = known.map(|character| character.sheet).unwrap_or_default();
        let mut difference = sheet_difference(&known, &file.sheet);
        if !file.assets.is_empty() {
            difference.push_str(&format!("+ {} files\n", file.assets.len()));
        }
        if let Some(NewBook { body, .. }) = file.book.clone() {
            let read = move || {
                let book = BookFile::read_json(&body)?.to_lorebook();
                Ok(book_difference(&Lorebook::default(), &book))
            };
            difference.push_str("+ lorebook\n");
            difference.push_str(&self.library.aside(read).await?);
        }
        let new = |held| waiting(who, held, difference, why);
        let (came, case) = self.store.insert_held_character(guild, file, replaces, new).await?;
        // Whoever brings it may change it once it is there.
        let detail = json!({ "character": came });
        self.store.insert_audit(guild, Some(who.person), "character.insert", &detail).await?;
        self.note_held(guild, case, "character").await?;
        Ok(case)
    }
}

fn waiting(who: Arrival<'_>, held: Held, difference: String, reason: String) -> NewHeld {
    NewHeld {
        held,
        source: None,
        place: Some(who.place.to_owned()),
        person: Some(who.person),
        scene: None,
        reason,
        evidence: json!({ "text": difference }),
    }
}
