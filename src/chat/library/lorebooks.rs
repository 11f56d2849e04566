//! A guild's lorebooks: bringing them in, changing their entries, saying where they are
//! used, taking them out, and trying what a text would call.

use serde_json::json;

use crate::domain::{GuildId, LoreEntry, LorePosition, Lorebook, LorebookId, PersonId, PromptRole};
use crate::formats::book::{BookFile, BookFormat};
use crate::formats::card::CardFile;
use crate::lore::{Lore, LoreProblem, LoreScope, LoreSource, RegexError};
use crate::store::{self, ListedLorebook, StoreError};

use super::super::{ChatError, FileOut, clean_name, file_name};
use super::{Library, limits};

/// How many names a refusal lists.
const MAX_OFFERED: usize = 25;
/// A lorebook in hand: what it is called, and what is in it.
#[derive(Debug, Clone)]
pub struct KeptLorebook {
    /// Its key.
    pub id: LorebookId,
    /// Its name.
    pub name: String,
    /// What it says.
    pub book: Lorebook,
    file: BookFile,
    revision: i64,
}

/// What is to be changed of an entry; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryChange {
    /// What calls it, separated by commas.
    pub keys: Option<String>,
    /// What the model is told.
    pub content: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// Of what one must be there, too, separated by commas; empty asks for none.
    pub secondary_keys: Option<String>,
    /// Whether it is told without being called.
    pub constant: Option<bool>,
    /// Whether it takes part at all.
    pub enabled: Option<bool>,
    /// Higher stands nearer the end.
    pub order: Option<i64>,
    /// Between the turns, with so many after it.
    pub depth: Option<usize>,
}

/// A lorebook that was read and is not kept yet.
#[derive(Debug)]
pub struct LorebookInHand {
    name: String,
    file: BookFile,
    findings: Vec<String>,
}

impl LorebookInHand {
    /// What it will be called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its author should know, in words.
    pub fn findings(&self) -> &[String] {
        &self.findings
    }
}

/// A lorebook as somebody wants it in a guild: a new one, or a change.
#[derive(Debug, Clone)]
pub struct LorebookDraft {
    pub(in crate::chat) name: String,
    /// Of which it is a change, at which revision.
    pub(in crate::chat) replaces: Option<(LorebookId, i64)>,
    /// What that one says.
    pub(in crate::chat) before: Lorebook,
    pub(in crate::chat) file: BookFile,
}

impl LorebookDraft {
    /// What it will be called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of its file.
    pub(in crate::chat) fn body(&self) -> String {
        self.file.to_json()
    }

    fn of(kept: KeptLorebook) -> Self {
        let KeptLorebook { id, name, book, file, revision } = kept;
        Self { name, replaces: Some((id, revision)), before: book, file }
    }
}

impl Library {
    /// A guild's lorebooks, by name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn lorebooks(&self, guild: GuildId) -> Result<Vec<ListedLorebook>, ChatError> {
        Ok(self.store.list_lorebooks(guild).await?)
    }

    /// The lorebook of that name.
    ///
    /// # Errors
    /// There is none, which says what there is; or the database fails.
    pub async fn find_lorebook(
        &self,
        guild: GuildId,
        name: &str,
    ) -> Result<KeptLorebook, ChatError> {
        match self.store.get_lorebook_by_name(guild, name).await? {
            Some(kept) => self.aside(|| KeptLorebook::read(kept)).await,
            None => {
                let names = self.store.list_lorebooks(guild).await?;
                let names: Vec<String> = names.into_iter().map(|book| book.name).collect();
                Err(ChatError::refused(none_such(name, &names)))
            }
        }
    }

    /// Reads a lorebook from the bytes of a file: world info, a book of V2 or V3, or
    /// that of a card. It will be called `name`, or as the file says; nothing is kept yet.
    ///
    /// # Errors
    /// The file holds no lorebook, or nobody says what it is called.
    pub async fn read_lorebook(
        &self,
        bytes: Vec<u8>,
        name: Option<&str>,
    ) -> Result<LorebookInHand, ChatError> {
        let name = name.map(str::to_owned);
        self.aside(move || {
            let file = read_book(&bytes)?;
            let book = file.to_lorebook();
            let name = clean_name(&name.unwrap_or_else(|| book.name.clone())).map_err(|_| {
                ChatError::refused("the file does not say what the book is called; give it a name")
            })?;
            let findings = findings(&file, &book);
            Ok(LorebookInHand { name, file, findings })
        })
        .await
    }

    /// A lorebook that was read, as it is wanted in a guild. `replaces` says whether it takes
    /// the place of one of the same name, which then stays where it was used.
    ///
    /// # Errors
    /// The name is taken, or the database fails.
    pub async fn draft_lorebook(
        &self,
        guild: GuildId,
        read: LorebookInHand,
        replaces: bool,
    ) -> Result<LorebookDraft, ChatError> {
        let LorebookInHand { name, file, .. } = read;
        match self.store.get_lorebook_by_name(guild, &name).await? {
            None => Ok(LorebookDraft { name, replaces: None, before: Lorebook::default(), file }),
            Some(old) if replaces => {
                let replaces = Some((old.id, old.revision));
                // One that cannot be read any more can be replaced all the same.
                let before = KeptLorebook::read(old).map(|kept| kept.book).unwrap_or_default();
                Ok(LorebookDraft { name, replaces, before, file })
            }
            Some(old) => Err(ChatError::refused(format!(
                "there is a lorebook “{}” already; give this one another name, or say that it \
                 takes its place",
                old.name
            ))),
        }
    }

    /// Keeps a lorebook that was read, as [`Library::draft_lorebook`] has it.
    ///
    /// # Errors
    /// The name is taken, the rules do not allow what it says, or the database fails; nothing
    /// was changed then.
    pub async fn import_lorebook(
        &self,
        guild: GuildId,
        person: PersonId,
        read: LorebookInHand,
        replaces: bool,
    ) -> Result<KeptLorebook, ChatError> {
        let draft = self.draft_lorebook(guild, read, replaces).await?;
        self.check_book(guild, &draft.body()).await?;
        self.keep_lorebook(guild, person, draft).await
    }

    /// Takes a lorebook out: as it came, or for another program.
    ///
    /// # Errors
    /// The book cannot be written so.
    pub fn export_lorebook(
        &self,
        book: &KeptLorebook,
        format: Option<BookFormat>,
    ) -> Result<FileOut, ChatError> {
        let text = match format {
            Some(format) => book.file.to_format(format)?.to_json(),
            None => book.file.to_json(),
        };
        Ok(FileOut { name: file_name(&book.name, "json"), bytes: text.into_bytes() })
    }

    /// A book with one entry more, and that entry's key; a book that is not there yet is new.
    ///
    /// # Errors
    /// It has no text, or neither keys nor is it told always; or the database fails.
    pub async fn draft_entry(
        &self,
        guild: GuildId,
        book: &str,
        change: &EntryChange,
    ) -> Result<(LorebookDraft, String), ChatError> {
        let entry = self.changed(LoreEntry::default(), change, true)?;
        let mut draft = match self.store.get_lorebook_by_name(guild, book).await? {
            Some(kept) => LorebookDraft::of(KeptLorebook::read(kept)?.editable()?),
            None => LorebookDraft {
                name: clean_name(book)?,
                replaces: None,
                before: Lorebook::default(),
                file: BookFile::new(BookFormat::WorldInfo),
            },
        };
        let uid = draft.file.add_entry(&entry)?;
        Ok((draft, uid))
    }

    /// A book with another entry in the place of one, found as by [`KeptLorebook::entry`], and
    /// that entry's key.
    ///
    /// # Errors
    /// There is none such, or what is left of it would never be told.
    pub fn draft_change(
        &self,
        kept: KeptLorebook,
        wanted: &str,
        change: &EntryChange,
    ) -> Result<(LorebookDraft, String), ChatError> {
        let old = kept.entry(wanted)?.clone();
        let uid = old.uid.clone();
        let entry = self.changed(old, change, false)?;
        let mut draft = LorebookDraft::of(kept.editable()?);
        draft.file.replace_entry(&uid, &entry)?;
        Ok((draft, uid))
    }

    /// Takes an entry out of its book.
    ///
    /// # Errors
    /// There is none such, somebody changed the book meanwhile, or the database fails.
    pub async fn remove_lore(
        &self,
        guild: GuildId,
        person: PersonId,
        kept: KeptLorebook,
        wanted: &str,
    ) -> Result<(), ChatError> {
        let uid = kept.entry(wanted)?.uid.clone();
        let mut draft = LorebookDraft::of(kept.editable()?);
        draft.file.remove_entry(&uid)?;
        self.keep_lorebook(guild, person, draft).await.map(drop)
    }

    /// Drops a lorebook, wherever it is used.
    ///
    /// # Errors
    /// The database fails.
    pub async fn delete_lorebook(
        &self,
        guild: GuildId,
        person: PersonId,
        book: LorebookId,
    ) -> Result<bool, ChatError> {
        let done = self.store.delete_lorebook(guild, book).await?;
        self.note_lore(guild, person, "lorebook.delete", book).await?;
        Ok(done)
    }

    /// Lets a lorebook be used somewhere, or no longer.
    ///
    /// # Errors
    /// There is no such book, scene or character, or the database fails.
    pub async fn use_lorebook(
        &self,
        guild: GuildId,
        person: PersonId,
        book: LorebookId,
        scope: store::LoreScope,
        used: bool,
    ) -> Result<(), ChatError> {
        self.store.set_lorebook_use(guild, book, scope, used).await?;
        self.note_lore(guild, person, "lorebook.use", book).await
    }

    /// An entry with what is to be changed of it.
    fn changed(
        &self,
        old: LoreEntry,
        change: &EntryChange,
        is_new: bool,
    ) -> Result<LoreEntry, ChatError> {
        // What came from a file without keys or text can be switched off all the same.
        let is_touched = is_new
            || change.keys.is_some()
            || change.content.is_some()
            || change.constant.is_some();

        let text = |new: &Option<String>, old: String| match new {
            Some(new) => self.clean_text(new),
            None => Ok(old),
        };
        let keys = |new: &Option<String>, old: Vec<String>| match new {
            Some(new) => Ok(split_keys(&self.clean_text(new)?)),
            None => Ok::<_, ChatError>(old),
        };
        let secondary_keys = keys(&change.secondary_keys, old.secondary_keys)?;
        let entry = LoreEntry {
            content: text(&change.content, old.content)?,
            name: text(&change.name, old.name)?,
            keys: keys(&change.keys, old.keys)?,
            selective: match &change.secondary_keys {
                Some(_) => !secondary_keys.is_empty(),
                None => old.selective,
            },
            secondary_keys,
            constant: change.constant.unwrap_or(old.constant),
            enabled: change.enabled.unwrap_or(old.enabled),
            order: change.order.unwrap_or(old.order),
            position: match change.depth {
                Some(depth) => LorePosition::AtDepth {
                    depth,
                    role: match old.position {
                        LorePosition::AtDepth { role, .. } => role,
                        _ => PromptRole::System,
                    },
                },
                None => old.position,
            },
            ..old
        };
        if is_touched && entry.content.trim().is_empty() {
            return Err(ChatError::refused("an entry without text tells the model nothing"));
        }
        if is_touched && entry.keys.is_empty() && !entry.constant {
            return Err(ChatError::refused(
                "nothing would ever call that entry; give it keys, or let it be told always",
            ));
        }
        Ok(entry)
    }

    /// Keeps what is wanted; the rules were asked.
    pub(in crate::chat) async fn keep_lorebook(
        &self,
        guild: GuildId,
        person: PersonId,
        draft: LorebookDraft,
    ) -> Result<KeptLorebook, ChatError> {
        let (body, is_new) = (draft.body(), draft.replaces.is_none());
        let kept = match draft.replaces {
            None => self.store.insert_lorebook(guild, &draft.name, &body).await,
            Some((id, revision)) => self.store.update_lorebook(guild, id, revision, &body).await,
        };
        let kept = match kept {
            Err(StoreError::NotFound(_)) => {
                return Err(ChatError::refused(
                    "somebody else changed that lorebook just now; look at it and try again",
                ));
            }
            kept => kept?,
        };
        self.note_kept(guild, person, kept.id, is_new).await?;
        KeptLorebook::read(kept)
    }

    /// Whose a book is that came, or who changed it.
    pub(in crate::chat) async fn note_kept(
        &self,
        guild: GuildId,
        person: PersonId,
        book: LorebookId,
        is_new: bool,
    ) -> Result<(), ChatError> {
        let action = if is_new { "lorebook.insert" } else { "lorebook.update" };
        self.note_lore(guild, person, action, book).await
    }

    async fn note_lore(
        &self,
        guild: GuildId,
        person: PersonId,
        action: &str,
        book: LorebookId,
    ) -> Result<(), ChatError> {
        let detail = json!({ "lorebook": book });
        Ok(self.note(guild, person, action, &detail).await?)
    }
}

impl KeptLorebook {
    fn read(kept: store::Lorebook) -> Result<Self, ChatError> {
        let file = BookFile::read_json(&kept.body)?;
        let book = Lorebook { name: kept.name.clone(), ..file.to_lorebook() };
        let store::Lorebook { id, name, revision, .. } = kept;
        Ok(Self { id, name, book, file, revision })
    }

    /// A book of a kind that is only read becomes one that can be changed.
    fn editable(self) -> Result<Self, ChatError> {
        Ok(match self.file.format() {
            BookFormat::Agnai | BookFormat::Novel | BookFormat::Risu => {
                Self { file: self.file.to_format(BookFormat::Standalone)?, ..self }
            }
            _ => self,
        })
    }

    /// An entry by its key, its name, or a word of its that calls it.
    ///
    /// # Errors
    /// There is none such; says which there are.
    pub fn entry(&self, wanted: &str) -> Result<&LoreEntry, ChatError> {
        let entries = &self.book.entries;
        let same = |text: &String| text.to_lowercase() == wanted.trim().to_lowercase();
        let found = entries
            .iter()
            .find(|entry| entry.uid == wanted)
            .or_else(|| entries.iter().find(|entry| same(&entry.title())))
            .or_else(|| entries.iter().find(|entry| entry.keys.iter().any(same)));
        found.ok_or_else(|| {
            let names: Vec<String> = entries.iter().map(LoreEntry::title).collect();
            ChatError::refused(format!("in “{}” {}", self.name, none_such(wanted, &names)))
        })
    }

    /// Its entries as lists show them: their keys in the book, and their titles.
    pub fn titles(&self) -> Vec<(String, String)> {
        let entries = self.book.entries.iter();
        entries.map(|entry| (entry.uid.clone(), entry.title())).collect()
    }
}

/// A book of its own, or the one in a card.
///
/// # Errors
/// It is neither, or the card has none.
pub fn read_book(bytes: &[u8]) -> Result<BookFile, ChatError> {
    let limits = limits();
    let as_book = std::str::from_utf8(bytes).ok();
    let as_book = as_book.map(|text| BookFile::read_json_within(text, &limits));
    let error = match as_book {
        Some(Ok(book)) => return Ok(book),
        Some(Err(error)) => Some(error),
        None => None,
    };
    match (CardFile::read(bytes, &limits), error) {
        (Ok(card), _) => card
            .card
            .book_file()?
            .ok_or_else(|| ChatError::refused("that card has no lorebook in it")),
        (Err(_), Some(error)) | (Err(error), None) => Err(error.into()),
    }
}

/// What the author of a book should know: of its file, and of what it does here.
fn findings(file: &BookFile, book: &Lorebook) -> Vec<String> {
    let mut findings: Vec<String> = file.validate().iter().map(ToString::to_string).collect();
    let scope = LoreScope::Guild;
    let lore = Lore::new(vec![LoreSource { scope, id: String::new(), book: book.clone() }]);
    // What is no regular expression was found in the file already.
    let is_new = |problem: &LoreProblem| match problem {
        LoreProblem::InvalidRegex { error, .. } => *error == RegexError::TooMany,
        _ => true,
    };
    let new = lore.findings().iter().filter(|finding| is_new(&finding.problem));
    findings.extend(new.map(|finding| format!("entry {}: {}", finding.uid, finding.problem)));
    findings
}

/// Keys as people write them: between commas, but a `/…/` pattern may hold some.
fn split_keys(text: &str) -> Vec<String> {
    let (mut keys, mut key, mut in_pattern) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_pattern => {
                key.push(c);
                key.extend(chars.next());
                continue;
            }
            '/' if in_pattern => in_pattern = false,
            '/' if key.trim().is_empty() => in_pattern = true,
            ',' | '\n' if !in_pattern => {
                keys.push(std::mem::take(&mut key));
                continue;
            }
            _ => {}
        }
        key.push(c);
    }
    keys.push(key);
    let keys = keys.into_iter().map(|key| key.trim().to_owned());
    keys.filter(|key| !key.is_empty()).collect()
}

fn none_such(wanted: &str, names: &[String]) -> String {
    if names.is_empty() {
        return "there is nothing yet; /lore add makes an entry, /lore import brings a book in"
            .to_owned();
    }
    let more = if names.len() > MAX_OFFERED { ", …" } else { "" };
    let known = names[..names.len().min(MAX_OFFERED)].join(", ");
    format!("there is no “{}”; there are {known}{more}", wanted.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_between_commas_and_patterns_are_whole() {
        assert_eq!(split_keys("inn, the Crow's Nest,,"), ["inn", "the Crow's Nest"]);
        assert_eq!(split_keys(r"/a{1,2}/i, b/c, /x\/,y/"), [r"/a{1,2}/i", "b/c", r"/x\/,y/"]);
        assert!(split_keys(" , ").is_empty());
    }

    #[test]
    fn a_missing_name_says_what_there_is() {
        assert!(none_such("x", &[]).contains("/lore add"));
        assert_eq!(none_such("x", &["Town".into()]), "there is no “x”; there are Town");
    }
}
