//! Characters that come as cards and go as cards.
//!
//! A card comes in whole: what reaches prompts becomes the sheet, its lore a lorebook
//! that goes with the character, its pictures assets; the card itself is kept as it was
//! spelled. It goes out as it came, but for what was changed here.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::domain::{Character, CharacterId, CharacterSheet, GuildId, PersonId};
use crate::formats::card::{Asset, Card, CardFile, Container, Version};
use crate::formats::picture::Picture;
use crate::store::{CharacterAsset, CharacterFile, NewBook, Noun, StoreError, name_key};

use super::super::characters::clean_avatar_url;
use super::super::{ChatError, FileOut, clean_name, file_name};
use super::{Cleaning, Library, limits};

/// What the store calls the image that a card was written into.
const PICTURE: &str = "card picture";
/// The most files of a card that are kept.
const MAX_ASSETS: usize = 500;

/// A card that was read and is not kept yet.
#[derive(Debug)]
pub struct CardInHand {
    card: String,
    sheet: CharacterSheet,
    /// Its lore with the number of its entries.
    book: Option<(NewBook, usize)>,
    assets: Vec<CharacterAsset>,
    /// What its author should know, in words.
    pub findings: Vec<String>,
}

impl CardInHand {
    /// The character's name.
    pub fn name(&self) -> &str {
        &self.sheet.name
    }
}

impl From<CardInHand> for CharacterFile {
    fn from(card: CardInHand) -> Self {
        let CardInHand { card, sheet, book, assets, .. } = card;
        Self { sheet, card, assets, book: book.map(|(book, _)| book) }
    }
}

/// A character that came from a card.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedCharacter {
    /// The character.
    pub character: Character,
    /// How many entries of lore came along.
    pub num_lore_entries: usize,
    /// How many pictures and other files came along.
    pub num_assets: usize,
}

impl Library {
    /// Reads a card from the bytes of a file; nothing is kept yet.
    ///
    /// # Errors
    /// The file is no card, or more than is read of anybody's file; says which.
    pub async fn read_card(&self, bytes: Vec<u8>) -> Result<CardInHand, ChatError> {
        self.aside(move || {
            let file = CardFile::read(&bytes, &limits())?;
            let mut sheet = file.card.to_sheet();
            // An address that cannot be used is no reason to refuse a character.
            sheet.avatar_url = sheet.avatar_url.filter(|url| clean_avatar_url(url).is_ok());
            let sheet = Cleaning::FILES.sheet(&sheet).map_err(|error| in_card(&error))?;
            let findings = file.validate().iter().map(ToString::to_string).collect();
            // What is no book is told among the findings, and is no lore.
            let book = file.card.book_file().ok().flatten().map(|book| {
                let read = book.to_lorebook();
                let named = clean_name(&read.name);
                let name = named.unwrap_or_else(|_| format!("Lore of {}", sheet.stage_name()));
                (NewBook { name, body: book.to_json() }, read.entries.len())
            });
            let assets = assets(&file);
            Ok(CardInHand { card: file.card.to_json(), sheet, book, assets, findings })
        })
        .await
    }

    /// The character whose place a card would take: the guild's of the same name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn namesake(
        &self,
        guild: GuildId,
        card: &CardInHand,
    ) -> Result<Option<Character>, ChatError> {
        Ok(self.store.get_character_by_name(guild, card.name()).await?)
    }

    /// Why what a card holds waits for a moderator, where it does.
    ///
    /// # Errors
    /// The rules do not allow what it says, or the database fails.
    pub(in crate::chat) async fn judge_card(
        &self,
        guild: GuildId,
        card: &CardInHand,
        by_moderator: bool,
    ) -> Result<Option<String>, ChatError> {
        let of_sheet = self.judge_sheet(guild, &card.sheet, by_moderator).await?;
        let of_book = match &card.book {
            Some((book, _)) => self.judge_book(guild, &book.body).await?,
            None => None,
        };
        Ok(of_sheet.or(of_book))
    }

    /// Keeps what a card holds, in the place of a character where `replaces` names one.
    ///
    /// # Errors
    /// Another character has the name, or the database fails; nothing was changed then.
    pub async fn import_character(
        &self,
        guild: GuildId,
        person: PersonId,
        card: CardInHand,
        replaces: Option<CharacterId>,
    ) -> Result<ImportedCharacter, ChatError> {
        let num_lore_entries = card.book.as_ref().map_or(0, |(_, number)| *number);
        let num_assets = card.assets.len();
        self.check_sheet(guild, &card.sheet).await?;
        if let Some((book, _)) = &card.book {
            self.check_book(guild, &book.body).await?;
        }
        let kept = CharacterFile::from(card);
        let character = self.store.import_character(guild, &kept, replaces).await?;
        let detail = json!({ "character": character.id });
        // The same words as for a character that is made by hand: it is whose it is.
        let action = if replaces.is_some() { "character.update" } else { "character.insert" };
        self.note(guild, person, action, &detail).await?;
        self.note_own_lore(guild, person, character.id).await?;
        Ok(ImportedCharacter { character, num_lore_entries, num_assets })
    }

    /// Whose a character is, theirs is its lore.
    pub(in crate::chat) async fn note_own_lore(
        &self,
        guild: GuildId,
        person: PersonId,
        character: CharacterId,
    ) -> Result<(), ChatError> {
        let book = self.store.get_embedded_lorebook(guild, character).await?;
        if let Some(book) = book {
            self.note(guild, person, "lorebook.import", &json!({ "lorebook": book })).await?;
        }
        Ok(())
    }

    /// Takes a character out as a card.
    ///
    /// # Errors
    /// There is no such character, the card cannot be written so, or the database fails.
    pub async fn export_character(
        &self,
        guild: GuildId,
        character: CharacterId,
        container: Container,
        version: Version,
    ) -> Result<FileOut, ChatError> {
        let known = self.store.get_character(guild, character).await?;
        let sheet = known.ok_or(StoreError::NotFound(Noun::Character))?.sheet;
        let name = file_name(&sheet.name, container.extension());
        let card = self.card_of(guild, character, &sheet).await?;
        let assets = self.store.list_character_assets(guild, character).await?;
        let written =
            self.aside(move || Ok(card_file(card, assets).write(container, version, &limits())?));
        let bytes = written.await?;
        Ok(FileOut { name, bytes })
    }

    /// The card as it came, with what was changed here since, its lore included.
    async fn card_of(
        &self,
        guild: GuildId,
        character: CharacterId,
        sheet: &CharacterSheet,
    ) -> Result<Card, ChatError> {
        let card = match self.store.get_card(guild, character).await? {
            Some(text) => {
                let card = Card::read_json(&text)?;
                let written = card.to_sheet();
                // Cleaning alone is no change.
                let mut came = written.clone();
                came.avatar_url = came.avatar_url.filter(|url| clean_avatar_url(url).is_ok());
                let came = Cleaning::FILES.sheet(&came)?;
                card.with_sheet(&changed(&written, &came, sheet))
            }
            None => Card::from_sheet(sheet),
        };
        let Some(book) = self.store.get_embedded_lorebook(guild, character).await? else {
            return Ok(if card.raw_book().is_some() { card.with_book(None) } else { card });
        };
        let book = self.store.get_lorebook(guild, book).await?;
        let book = book.ok_or(StoreError::NotFound(Noun::Lorebook))?.body;
        if card.raw_book().is_some_and(|raw| raw.get() == book) {
            return Ok(card);
        }
        let raw: Box<serde_json::value::RawValue> =
            serde_json::from_str(&book).map_err(|error| ChatError::refused(error.to_string()))?;
        Ok(card.with_book(Some(&raw)))
    }

    /// The picture of that sum as a small PNG; `None` where it cannot be shown.
    ///
    /// # Errors
    /// The database fails.
    pub async fn small_picture(
        &self,
        guild: GuildId,
        sha256: [u8; 32],
    ) -> Result<Option<Vec<u8>>, ChatError> {
        let Some(bytes) = self.store.get_asset(guild, sha256).await? else { return Ok(None) };
        self.aside(move || {
            let shown = Picture::check(bytes, &limits()).and_then(|it| it.to_avatar(&limits()));
            Ok(shown.map_err(|error| tracing::info!(error.kind = error.kind(), "no picture")).ok())
        })
        .await
    }

    /// The names of the pictures that a character can show.
    ///
    /// # Errors
    /// The database fails.
    pub async fn picture_names(
        &self,
        guild: GuildId,
        character: CharacterId,
    ) -> Result<Vec<String>, ChatError> {
        Ok(self.store.list_picture_names(guild, character).await?)
    }

    /// Lets a character show one of its pictures; `None` shows its usual one.
    ///
    /// # Errors
    /// It has no such picture, which says which it has; or the database fails.
    pub async fn set_picture(
        &self,
        guild: GuildId,
        person: PersonId,
        character: CharacterId,
        name: Option<&str>,
    ) -> Result<(), ChatError> {
        let known = self.store.list_picture_names(guild, character).await?;
        let same = |other: &&String| name.is_some_and(|it| name_key(it) == name_key(other));
        let chosen = known.iter().find(same);
        if let (Some(wanted), None) = (name, chosen) {
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            return Err(ChatError::refused(format!(
                "there is no picture “{wanted}” of that character; there are {known}"
            )));
        }
        self.store.set_character_picture(guild, character, chosen.map(String::as_str)).await?;
        let detail = json!({ "character": character });
        Ok(self.note(guild, person, "character.picture", &detail).await?)
    }
}

/// What was wrong with a card's text, with a hint of where.
fn in_card(error: &ChatError) -> ChatError {
    ChatError::refused(format!("a text or a name of the card cannot be taken: {error}"))
}

/// What a card's files become in the store; a file that is named often is read once.
fn assets(file: &CardFile) -> Vec<CharacterAsset> {
    let mut sums: HashMap<*const u8, [u8; 32]> = HashMap::new();
    let own = file.assets.iter().filter(|it| it.kind != PICTURE).take(MAX_ASSETS);
    let mut kept: Vec<CharacterAsset> = Vec::new();
    for asset in own {
        let Some(bytes) = &asset.bytes else { continue };
        let sha256 = *sums.entry(bytes.as_ptr()).or_insert_with(|| Sha256::digest(bytes).into());
        kept.push(CharacterAsset {
            kind: asset.kind.clone(),
            name: asset.name.clone(),
            ext: asset.ext.clone(),
            uri: address(&asset.uri).to_owned(),
            sha256,
            bytes: bytes.clone(),
        });
    }
    kept.extend(file.picture.iter().map(|picture| CharacterAsset {
        kind: PICTURE.to_owned(),
        name: "card".to_owned(),
        ext: picture.kind.extension().to_owned(),
        uri: String::new(),
        sha256: Sha256::digest(&picture.bytes).into(),
        bytes: picture.bytes.as_slice().into(),
    }));
    kept
}

/// The way back: the card says which files it has, and here they are.
fn card_file(card: Card, kept: Vec<CharacterAsset>) -> CardFile {
    let mut file = CardFile::new(card);
    for kept in kept {
        if kept.kind == PICTURE {
            file.picture = Picture::check(kept.bytes.to_vec(), &limits()).ok();
            continue;
        }
        let is_it = |it: &&mut Asset| {
            it.bytes.is_none()
                && (&it.kind, &it.name, &it.ext) == (&kept.kind, &kept.name, &kept.ext)
                && address(&it.uri) == kept.uri
        };
        if let Some(asset) = file.assets.iter_mut().find(is_it) {
            asset.bytes = Some(kept.bytes);
        }
    }
    file
}

/// Where an asset is; one that is in its own address is there as a whole, and once is
/// enough.
fn address(uri: &str) -> &str {
    if uri.starts_with("data:") { "data:" } else { uri }
}

/// What the card says, with those fields that are not as they came.
fn changed(
    written: &CharacterSheet,
    came: &CharacterSheet,
    now: &CharacterSheet,
) -> CharacterSheet {
    let fields = |sheet: &CharacterSheet| -> Map<String, Value> {
        match serde_json::to_value(sheet) {
            Ok(Value::Object(fields)) => fields,
            _ => unreachable!("a sheet is plain data with names"),
        }
    };
    let (mut merged, came) = (fields(written), fields(came));
    for (key, value) in fields(now) {
        if came.get(&key) != Some(&value) {
            merged.insert(key, value);
        }
    }
    // A field that is left out while it is empty is empty now.
    for key in came.keys() {
        if !fields(now).contains_key(key) {
            merged.remove(key);
        }
    }
    serde_json::from_value(merged.into()).expect("fields of sheets make a sheet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_changed_here_is_other_than_it_came() {
        let written = CharacterSheet {
            name: " Ada ".into(),
            greeting: "Hi.\r\n".into(),
            avatar_url: Some("https://example.org/a.png".into()),
            ..CharacterSheet::default()
        };
        let came = CharacterSheet { name: "Ada".into(), greeting: "Hi.".into(), ..written.clone() };
        assert_eq!(changed(&written, &came, &came), written, "cleaning is no change");
        let now = CharacterSheet { scenario: "Rain.".into(), avatar_url: None, ..came.clone() };
        let wanted =
            CharacterSheet { scenario: "Rain.".into(), avatar_url: None, ..written.clone() };
        assert_eq!(changed(&written, &came, &now), wanted);
    }
}
