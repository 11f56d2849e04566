//! A guild's library of characters: making, changing, finding.

use serde_json::json;

use crate::domain::{Character, CharacterId, CharacterSheet, GuildId, PersonId};
use crate::store::{Noun, StoreError, name_key};

use super::{Chat, ChatError};

/// How many names are looked through for one that is like what was written.
pub(super) const MAX_NAMES: u32 = 1_000;
/// How many names a completion offers, and a refusal lists.
const MAX_OFFERED: usize = 25;
/// The longest address of a picture.
const MAX_URL_BYTES: usize = 1_024;
/// How like a name must be to be meant: 1 is the same.
const ALIKE: f64 = 0.8;

impl Chat {
    /// Keeps a new character.
    ///
    /// # Errors
    /// The name is empty, too long or taken, a text is too long, or the database
    /// fails.
    pub async fn create_character(
        &self,
        guild: GuildId,
        person: PersonId,
        sheet: &CharacterSheet,
    ) -> Result<Character, ChatError> {
        let sheet = self.library.clean_sheet(sheet)?;
        self.library.check_sheet(guild, &sheet).await?;
        let character = self.store.insert_character(guild, &sheet).await?;
        self.note_character(guild, person, "character.insert", character.id).await?;
        Ok(character)
    }

    /// Changes what is known of a character.
    ///
    /// # Errors
    /// There is none such, the name is empty, too long or taken, a text is too long,
    /// or the database fails.
    pub async fn update_character(
        &self,
        guild: GuildId,
        person: PersonId,
        character: CharacterId,
        sheet: &CharacterSheet,
    ) -> Result<Character, ChatError> {
        let sheet = self.library.clean_sheet(sheet)?;
        self.library.check_sheet(guild, &sheet).await?;
        let character = self.store.update_character(guild, character, &sheet).await?;
        self.note_character(guild, person, "character.update", character.id).await?;
        Ok(character)
    }

    /// Takes a character out of the library; scenes that it plays in keep it.
    ///
    /// # Errors
    /// There is none such, or the database fails.
    pub async fn archive_character(
        &self,
        guild: GuildId,
        person: PersonId,
        character: CharacterId,
    ) -> Result<(), ChatError> {
        if !self.store.archive_character(guild, character).await? {
            return Err(StoreError::NotFound(Noun::Character).into());
        }
        self.note_character(guild, person, "character.archive", character).await
    }

    /// The character that a person means: of that name, or the only one whose name,
    /// or a word of it, begins so.
    ///
    /// # Errors
    /// None is meant, or more than one; says which there are. Or the database fails.
    pub async fn find_character(&self, guild: GuildId, name: &str) -> Result<Character, ChatError> {
        self.library.find_character(guild, name).await
    }

    /// Names of characters that go on from what was written so far: those that begin
    /// so first, then those of which a word does, then those that hold it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn complete_characters(
        &self,
        guild: GuildId,
        written: &str,
    ) -> Result<Vec<String>, ChatError> {
        let names = self.store.list_character_names(guild, "", MAX_NAMES).await?;
        let written = name_key(written);
        let mut ranked: Vec<(u8, String)> = names
            .into_iter()
            .filter_map(|(_, name)| Some((rank(&name_key(&name), &written)?, name)))
            .collect();
        // Stable: within a rank they stay in the order of their names.
        ranked.sort_by_key(|(rank, _)| *rank);
        Ok(ranked.into_iter().map(|(_, name)| name).take(MAX_OFFERED).collect())
    }

    async fn note_character(
        &self,
        guild: GuildId,
        person: PersonId,
        action: &str,
        character: CharacterId,
    ) -> Result<(), ChatError> {
        let detail = json!({ "character": character });
        Ok(self.store.insert_audit(guild, Some(person), action, &detail).await?)
    }
}

/// How well a name goes on from what was written, both folded; lower is better.
fn rank(name: &str, written: &str) -> Option<u8> {
    if name.starts_with(written) {
        Some(0)
    } else if name.split_whitespace().any(|word| word.starts_with(written)) {
        Some(1)
    } else {
        name.contains(written).then_some(2)
    }
}

/// The only one that is meant by what was written.
pub(super) fn meant(
    names: &[(CharacterId, String)],
    written: &str,
) -> Result<CharacterId, ChatError> {
    let key = name_key(written);
    let known = |names: &[&str]| {
        let more = if names.len() > MAX_OFFERED { ", …" } else { "" };
        names[..names.len().min(MAX_OFFERED)].join(", ") + more
    };
    for wanted in [0, 1] {
        let found: Vec<&(CharacterId, String)> = names
            .iter()
            .filter(|(_, name)| !key.is_empty() && rank(&name_key(name), &key) == Some(wanted))
            .collect();
        match found[..] {
            [] => {}
            [(id, _)] => return Ok(*id),
            _ => {
                let found: Vec<&str> = found.iter().map(|(_, name)| name.as_str()).collect();
                return Err(ChatError::refused(format!(
                    "more than one character is called so; which of them: {}?",
                    known(&found)
                )));
            }
        }
    }
    let written = written.trim();
    let alike = |name: &str| strsim::jaro_winkler(&name_key(name), &key);
    let nearest = names.iter().max_by(|(_, a), (_, b)| alike(a).total_cmp(&alike(b)));
    Err(ChatError::refused(match nearest {
        None => "there are no characters here yet; /character create makes one".to_owned(),
        Some((_, name)) if alike(name) >= ALIKE => {
            format!("there is no character “{written}” here; did you mean {name}?")
        }
        Some(_) => {
            let names: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
            format!("there is no character “{written}” here; there are {}", known(&names))
        }
    }))
}

/// The address of a picture. It is handed to the platform, which fetches it; so
/// nothing but `https`, and no login in it.
pub(super) fn clean_avatar_url(url: &str) -> Result<String, ChatError> {
    let url = url.trim();
    let host = url.strip_prefix("https://").and_then(|rest| rest.split(['/', '?', '#']).next());
    let is_plain = url.chars().all(|c| c.is_ascii_graphic()) && url.len() <= MAX_URL_BYTES;
    match host {
        Some(host) if is_plain && host.contains('.') && !host.contains('@') => Ok(url.to_owned()),
        _ => Err(ChatError::refused(
            "a picture needs an address that begins with https:// and that everybody can open",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<(CharacterId, String)> {
        (0..).map(CharacterId).zip(names.iter().map(|&name| name.to_owned())).collect()
    }

    #[test]
    fn a_beginning_or_a_word_means_the_only_one_that_has_it() {
        let library = names(&["Bastian Quill", "Maren Holt", "Mara Quince"]);
        let meant = |written| meant(&library, written).map_err(|error| error.to_string());
        assert_eq!(meant("bas"), Ok(CharacterId(0)));
        assert_eq!(meant(" HOLT"), Ok(CharacterId(1)));
        assert_eq!(meant("maren h"), Ok(CharacterId(1)));
        assert!(meant("mar").unwrap_err().ends_with("which of them: Maren Holt, Mara Quince?"));
        assert!(meant("qui").unwrap_err().ends_with("which of them: Bastian Quill, Mara Quince?"));
        assert!(meant("Baztian Quil").unwrap_err().ends_with("did you mean Bastian Quill?"));
        let unlike = meant("xyz").unwrap_err();
        assert!(unlike.ends_with("there are Bastian Quill, Maren Holt, Mara Quince"), "{unlike}");
        assert!(meant("").is_err());
        assert!(super::meant(&[], "x").unwrap_err().to_string().contains("/character create"));
    }

    #[test]
    fn many_names_are_not_all_listed() {
        let library: Vec<String> = (0..40).map(|n| format!("Guard {n}")).collect();
        let library: Vec<(CharacterId, String)> = (0..).map(CharacterId).zip(library).collect();
        let refused = meant(&library, "Guard").unwrap_err().to_string();
        assert!(refused.contains("Guard 24, …") && !refused.contains("Guard 25"), "{refused}");
    }
}
