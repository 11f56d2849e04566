//! Chats: SillyTavern's files of a line of JSON each, with one character or several,
//! and the chats of other software.
//!
//! A [`ChatFile`] is the document line by line and stays it; a line of which nothing is
//! changed keeps the spelling of every value.

mod foreign;
mod message;
#[cfg(test)]
mod tests;
mod time;

use chrono::{DateTime, Utc};

pub use self::message::{ChatMessage, ChatSwipe, NewChatMessage};
use super::fields::{Object, check_document};
use super::{FormatError, Limits};

/// Messages that are read of one file.
const MAX_MESSAGES: usize = 200_000;

/// A chat.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatFile {
    /// The first line; older chats with several characters have none.
    header: Option<Object>,
    messages: Vec<ChatMessage>,
}

/// The author's note of a chat, as SillyTavern keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatNote {
    /// What it says.
    pub prompt: String,
    /// After how many of a person's messages it is told; 1 is always, 0 never.
    pub interval: i64,
    /// How many messages stand after it.
    pub depth: i64,
    /// 0 after the scenario, 1 at its depth, 2 before everything.
    pub position: i64,
    /// 0 system, 1 user, 2 assistant.
    pub role: i64,
}

impl ChatFile {
    /// A chat without messages. `character` is empty where there are several.
    pub fn new(user: &str, character: &str, created: Option<DateTime<Utc>>) -> Self {
        let mut header = Object::new("line 1");
        header.set("user_name", user);
        header.set("character_name", character);
        header.set("create_date", &created.map(time::write).unwrap_or_default());
        header.set_object("chat_metadata", &Object::new("line 1.chat_metadata"));
        Self { header: Some(header), messages: Vec::new() }
    }

    /// Reads the chats of a file of any kind; only exports of Character.AI hold several.
    ///
    /// # Errors
    /// `TooBig` beyond the limits, `Json` and `Type` with the line, `Unknown` where it is
    /// no chat or no UTF-8.
    pub fn read_all(bytes: &[u8], limits: &Limits) -> Result<Vec<Self>, FormatError> {
        if bytes.len() > limits.file_bytes {
            return Err(FormatError::too_big("the file", bytes.len(), limits.file_bytes));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            unknown(&format!("byte {} is no UTF-8; save the file as UTF-8", error.valid_up_to()))
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // A document over several lines is no chat of lines.
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let is_lines = serde_json::from_str::<&serde_json::value::RawValue>(first).is_ok();
        let num_lines = text.lines().filter(|line| !line.trim().is_empty()).take(2).count();
        if (!is_lines || num_lines == 1)
            && let Ok(root) = Object::read(text, limits)
        {
            if let Some(chats) = foreign::read(&root)? {
                return Ok(chats);
            }
            if !is_lines {
                return Err(unknown(KNOWN));
            }
        }
        Self::read_lines(text, limits).map(|chat| vec![chat])
    }

    /// Reads a chat of lines.
    ///
    /// # Errors
    /// As [`ChatFile::read_all`].
    pub fn read_lines(text: &str, limits: &Limits) -> Result<Self, FormatError> {
        let mut chat = Self::default();
        for (i, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let at = format!("line {}", i + 1);
            let object = read_line(line, &at, limits)?;
            if chat.header.is_none() && chat.messages.is_empty() && is_header(&object) {
                chat.header = Some(object);
                continue;
            }
            if !object.has("mes") {
                let what = if chat.messages.is_empty() && chat.header.is_none() {
                    KNOWN.to_owned()
                } else {
                    format!("{at} has no `mes`; take the line out")
                };
                return Err(unknown(&what));
            }
            if chat.messages.len() >= MAX_MESSAGES {
                return Err(too_many(&at));
            }
            chat.messages.push(ChatMessage::read(object)?);
        }
        if chat.header.is_none() && chat.messages.is_empty() {
            return Err(unknown(KNOWN));
        }
        Ok(chat)
    }

    /// The chat as SillyTavern keeps it: whatever was not changed is spelled as it was.
    pub fn to_lines(&self) -> String {
        let messages = self.messages.iter().map(ChatMessage::object);
        let lines: Vec<_> = self.header.iter().chain(messages).map(Object::to_json).collect();
        lines.join("\n")
    }

    /// The first line, if it is none of the messages.
    pub fn header(&self) -> Option<&Object> {
        self.header.as_ref()
    }

    /// What was said, in order.
    pub fn messages(&self) -> &[ChatMessage] {
        &self.messages
    }

    /// Adds a message at the end.
    pub fn push(&mut self, message: ChatMessage) {
        self.messages.push(message);
    }

    /// The person's name, if the file tells.
    pub fn user_name(&self) -> Option<String> {
        self.named("user_name").or_else(|| self.speaker(true))
    }

    /// The character's name, if there is one and the file tells.
    pub fn character_name(&self) -> Option<String> {
        if self.is_group() {
            return None;
        }
        self.named("character_name").or_else(|| self.speaker(false))
    }

    fn named(&self, key: &str) -> Option<String> {
        let name = self.header.as_ref()?.text(key).ok().flatten()?;
        // Chats with several characters say this.
        (!name.trim().is_empty() && name != "unused").then_some(name)
    }

    fn speaker(&self, is_user: bool) -> Option<String> {
        let mut spoken = self.messages.iter().filter(|message| !message.is_system());
        spoken.find(|message| message.is_user() == is_user).map(ChatMessage::name)
    }

    /// Whether several characters speak, or may.
    pub fn is_group(&self) -> bool {
        let named = self.header.as_ref().and_then(|header| header.text("character_name").ok()?);
        let mut characters = self.messages.iter().filter(|message| !message.is_user());
        match named.as_deref() {
            Some("unused") => true,
            Some(_) => self.messages.iter().any(|message| message.avatar().is_some()),
            None => {
                let first = characters.next().map(ChatMessage::name);
                characters.any(|message| Some(message.name()) != first)
            }
        }
    }

    /// When it began, if the file tells.
    pub fn created(&self) -> Option<DateTime<Utc>> {
        time::read(&self.header.as_ref()?.text("create_date").ok().flatten()?)
    }

    /// What is known of the chat as a whole: notes, scenario, timers of lore, variables.
    ///
    /// # Errors
    /// `Type` where it is no object.
    pub fn metadata(&self) -> Result<Option<Object>, FormatError> {
        self.header.as_ref().map_or(Ok(None), |header| header.object("chat_metadata"))
    }

    /// Puts this in its place.
    pub fn set_metadata(&mut self, metadata: &Object) {
        let header = self.header.get_or_insert_with(|| Object::new("line 1"));
        header.set_object("chat_metadata", metadata);
    }

    /// What happens in the story, where the chat says it in other words than its card.
    ///
    /// # Errors
    /// `Type` where it is no text.
    pub fn scenario(&self) -> Result<Option<String>, FormatError> {
        let scenario = self.metadata()?.map_or(Ok(None), |metadata| metadata.text("scenario"))?;
        Ok(scenario.filter(|scenario| !scenario.trim().is_empty()))
    }

    /// Its author's note; `None` where it says nothing.
    ///
    /// # Errors
    /// `Type` where a field of it is of another kind.
    pub fn note(&self) -> Result<Option<ChatNote>, FormatError> {
        let Some(metadata) = self.metadata()? else { return Ok(None) };
        let Some(prompt) = metadata.text("note_prompt")? else { return Ok(None) };
        let number = |key, default| Ok(metadata.integer(key)?.unwrap_or(default));
        let note = ChatNote {
            interval: number("note_interval", 1)?,
            depth: number("note_depth", 4)?,
            position: number("note_position", 1)?,
            role: number("note_role", 0)?,
            prompt,
        };
        Ok(Some(note).filter(|note| !note.prompt.trim().is_empty()))
    }

    /// Puts this note in its place.
    ///
    /// # Errors
    /// `Type` where what is known of the chat is no object.
    pub fn set_note(&mut self, note: &ChatNote) -> Result<(), FormatError> {
        let empty = || Object::new("line 1.chat_metadata");
        let mut metadata = self.metadata()?.unwrap_or_else(empty);
        metadata.set("note_prompt", &note.prompt);
        for (key, number) in [
            ("note_interval", note.interval),
            ("note_depth", note.depth),
            ("note_position", note.position),
            ("note_role", note.role),
        ] {
            metadata.set(key, &number);
        }
        self.set_metadata(&metadata);
        Ok(())
    }
}

const KNOWN: &str = "SillyTavern's (a line of JSON for each message), text-generation-webui's, \
                     Agnai's, Risu's and Character.AI's exports would be";

fn unknown(what: &str) -> FormatError {
    FormatError::Unknown { wanted: "chat", what: what.to_owned() }
}

fn too_many(at: &str) -> FormatError {
    let max = MAX_MESSAGES as u64;
    FormatError::TooBig { at: at.to_owned(), size: max + 1, max, unit: "messages" }
}

fn is_header(object: &Object) -> bool {
    let names = ["chat_metadata", "user_name", "character_name"];
    names.iter().any(|key| object.has(key)) && !object.has("mes")
}

/// A line's object, with the line in what may be wrong with it.
fn read_line(line: &str, at: &str, limits: &Limits) -> Result<Object, FormatError> {
    check_document(line, limits).map_err(|error| match error {
        FormatError::TooBig { at: within, size, max, unit } => {
            let within = within.strip_prefix("the document").unwrap_or_default().to_owned();
            FormatError::TooBig { at: format!("{at}{within}"), size, max, unit }
        }
        other => other,
    })?;
    Object::parse(line, at)
}
