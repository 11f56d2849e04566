//! What a message says. Every payload states whom it may ping.

use serde_json::{Map, Value, json};
use serenity::model::id::UserId;

use super::components::{Row, check_length, rows_json};
use super::error::ApiError;

/// The most characters of a message. Discord counts code points
/// (<https://github.com/discord/discord-api-docs/issues/1315>).
pub(crate) const MAX_CONTENT: usize = 2_000;
/// The most characters of a nonce.
const MAX_NONCE: usize = 25;
/// The most files of a message.
const MAX_FILES: usize = 10;

/// Links unfold nothing below the message.
const SUPPRESS_EMBEDS: u64 = 1 << 2;
/// Only the person who asked sees it.
pub(super) const EPHEMERAL: u64 = 1 << 6;

/// Whom a message may ping. There is no message without a decision on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mentions(Option<UserId>);

impl Mentions {
    /// Nobody, whatever the text says: what story text uses.
    pub(crate) const NONE: Self = Self(None);

    /// One person, where the text names them, and nobody else.
    pub(crate) fn of(user: UserId) -> Self {
        Self(Some(user))
    }

    fn json(self) -> Value {
        let mut json = json!({ "parse": [], "replied_user": false });
        if let Some(user) = self.0 {
            json["users"] = json!([user.to_string()]);
        }
        json
    }
}

/// The largest file that Discord takes from us without a boosted guild, in bytes
/// (<https://discord.com/developers/docs/reference#uploading-files>).
pub(crate) const MAX_FILE_BYTES: usize = 10 << 20;

/// A file beside a message.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Its name, with the ending.
    pub(crate) name: String,
    /// What is in it.
    pub(crate) bytes: Vec<u8>,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({}, {} bytes)", self.name, self.bytes.len())
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Payload {
    /// `None` leaves the words as they are, when editing.
    content: Option<String>,
    mentions: Mentions,
    rows: Vec<Row>,
    files: Vec<File>,
    flags: u64,
}

impl Payload {
    /// Words, without anything else.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if they are too long for one message.
    pub(crate) fn new(content: impl Into<String>, mentions: Mentions) -> Result<Self, ApiError> {
        let content = content.into();
        check_length("a message", &content, MAX_CONTENT)?;
        Ok(Self { content: Some(content), ..Self::without_rows_of(mentions) })
    }

    /// An edit that takes the buttons off and leaves the words.
    pub(crate) fn without_rows() -> Self {
        Self::without_rows_of(Mentions::NONE)
    }

    fn without_rows_of(mentions: Mentions) -> Self {
        Self { content: None, mentions, rows: Vec::new(), files: Vec::new(), flags: 0 }
    }

    /// With these rows under it.
    pub(crate) fn with_rows(self, rows: Vec<Row>) -> Self {
        Self { rows, ..self }
    }

    /// With one more file.
    pub(crate) fn with_file(mut self, file: File) -> Self {
        self.files.push(file);
        self
    }

    /// Links in it unfold nothing.
    pub(crate) fn without_embeds(self) -> Self {
        Self { flags: self.flags | SUPPRESS_EMBEDS, ..self }
    }

    /// Only the person who asked sees it; counts for answers to interactions.
    pub(crate) fn ephemeral(self) -> Self {
        Self { flags: self.flags | EPHEMERAL, ..self }
    }

    /// What it says; `None` if it leaves the words alone.
    #[cfg(test)]
    pub(crate) fn content(&self) -> Option<&str> {
        self.content.as_deref()
    }

    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    /// As a new message.
    pub(super) fn create_json(&self) -> Result<Map<String, Value>, ApiError> {
        let mut json = self.common_json()?;
        let is_empty = self.content.as_deref().is_none_or(|content| content.trim().is_empty());
        if is_empty && self.files.is_empty() {
            return Err(ApiError::invalid("a message says nothing"));
        }
        if self.rows.is_empty() {
            json.remove("components");
        }
        if self.flags != 0 {
            json.insert("flags".to_owned(), self.flags.into());
        }
        Ok(json)
    }

    /// As a new message that Discord makes once by this nonce, within some minutes.
    pub(super) fn nonce_json(&self, nonce: Option<&str>) -> Result<Map<String, Value>, ApiError> {
        let mut json = self.create_json()?;
        if let Some(nonce) = nonce {
            check_length("a nonce", nonce, MAX_NONCE)?;
            json.insert("nonce".to_owned(), nonce.into());
            json.insert("enforce_nonce".to_owned(), true.into());
        }
        Ok(json)
    }

    /// As a change of a message: components are always stated, so that what was
    /// there before never stays by accident.
    pub(super) fn edit_json(&self) -> Result<Map<String, Value>, ApiError> {
        let mut json = self.common_json()?;
        // Who sees a message is decided when it is made.
        let flags = self.flags & !EPHEMERAL;
        if flags != 0 {
            json.insert("flags".to_owned(), flags.into());
        }
        Ok(json)
    }

    fn common_json(&self) -> Result<Map<String, Value>, ApiError> {
        let mut json = Map::new();
        if let Some(content) = &self.content {
            json.insert("content".to_owned(), content.as_str().into());
        }
        json.insert("allowed_mentions".to_owned(), self.mentions.json());
        json.insert("components".to_owned(), rows_json(&self.rows)?);
        if self.files.len() > MAX_FILES {
            return Err(ApiError::invalid("a message has at most ten files"));
        }
        if !self.files.is_empty() {
            let files = self.files.iter().enumerate();
            let list =
                files.map(|(id, file)| json!({ "id": id.to_string(), "filename": file.name }));
            json.insert("attachments".to_owned(), list.collect());
        }
        Ok(json)
    }
}

#[cfg(test)]
mod tests {
    use super::super::components::{Button, ButtonStyle};
    use super::*;

    fn payload(content: &str) -> Payload {
        Payload::new(content, Mentions::NONE).unwrap()
    }

    fn row() -> Row {
        let button = Button {
            custom_id: "d1:again:1:2".into(),
            label: "Again".into(),
            emoji: Some("🔄".into()),
            style: ButtonStyle::Secondary,
            disabled: true,
        };
        Row::Buttons(vec![button])
    }

    #[test]
    fn story_text_pings_nobody_and_unfolds_nothing() {
        let payload = payload("@everyone look").without_embeds().with_rows(vec![row()]);
        insta::assert_json_snapshot!(payload.nonce_json(Some("d1a")).unwrap());
    }

    #[test]
    fn an_edit_states_components_and_mentions_even_if_there_are_none() {
        insta::assert_json_snapshot!(Payload::without_rows().ephemeral().edit_json().unwrap());
    }

    #[test]
    fn files_are_listed_by_number() {
        let file = File { name: "story.md".into(), bytes: b"# Story".to_vec() };
        let payload = payload("").with_file(file);
        insta::assert_json_snapshot!(payload.create_json().unwrap());
        assert_eq!(format!("{:?}", payload.files()), "[File(story.md, 7 bytes)]");
    }

    #[test]
    fn length_is_counted_in_code_points() {
        assert!(Payload::new("🜁".repeat(2_000), Mentions::NONE).is_ok());
        let error = Payload::new("a".repeat(2_001), Mentions::NONE).unwrap_err();
        assert_eq!(error.to_string(), "a message has 2001 characters, but may have 2000");
        assert_eq!(error.kind(), "invalid");
    }

    #[test]
    fn a_message_says_something() {
        assert_eq!(payload(" ").create_json().unwrap_err().kind(), "invalid");
        assert!(payload("").edit_json().is_ok());
    }
}
