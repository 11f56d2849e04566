//! One message of a chat, with its swipes.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::time;
use crate::formats::FormatError;
use crate::formats::fields::{Object, raw, raw_list};

/// A message: its line as an object of which nothing is lost.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatMessage {
    object: Object,
}

/// One of the texts that a message can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatSwipe {
    /// What it says.
    pub text: String,
    /// When it was said, if the file tells.
    pub time: Option<DateTime<Utc>>,
}

/// A message about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChatMessage<'a> {
    /// Who says it.
    pub name: &'a str,
    /// Whether a person does.
    pub is_user: bool,
    /// Its texts, one at least.
    pub swipes: Vec<ChatSwipe>,
    /// Which of them stands.
    pub standing: usize,
    /// The picture of who says it, as SillyTavern knows it, in chats of several
    /// characters.
    pub avatar: Option<&'a str>,
}

impl ChatMessage {
    /// From a line's object, whose text and swipes are checked.
    ///
    /// # Errors
    /// `Type` where the text is none, or the swipes are no list.
    pub(super) fn read(object: Object) -> Result<Self, FormatError> {
        let message = Self { object };
        message.swipes()?;
        Ok(message)
    }

    /// A message of our own.
    pub fn new(new: &NewChatMessage<'_>) -> Self {
        let mut object = Object::new("");
        let standing = new.standing.min(new.swipes.len().saturating_sub(1));
        let (text, at) = match new.swipes.get(standing) {
            Some(swipe) => (swipe.text.as_str(), swipe.time),
            None => ("", None),
        };
        object.set("name", new.name);
        object.set("is_user", &new.is_user);
        object.set("is_system", &false);
        let date = at.map(time::write).unwrap_or_default();
        object.set("send_date", &date);
        object.set("mes", text);
        object.set_object("extra", &Object::new("extra"));
        if let Some(avatar) = new.avatar {
            object.set("force_avatar", &format!("/thumbnail?type=avatar&file={avatar}"));
            object.set("original_avatar", avatar);
        }
        if new.swipes.len() > 1 {
            let texts: Vec<_> = new.swipes.iter().map(|swipe| &swipe.text).collect();
            let infos = new.swipes.iter().map(|swipe| {
                let date = swipe.time.map(time::write).unwrap_or_default();
                serde_json::json!({ "send_date": date, "extra": {} })
            });
            let infos: Vec<_> = infos.collect();
            object.set("swipe_id", &standing);
            object.set("swipes", &texts);
            object.set("swipe_info", &infos);
        }
        Self { object }
    }

    /// The message with these texts: where they are what it says already, nothing of
    /// its line is changed.
    ///
    /// # Errors
    /// Never for a message that was read.
    pub fn with_swipes(&self, swipes: &[ChatSwipe], standing: usize) -> Result<Self, FormatError> {
        let texts = |swipes: &[ChatSwipe]| -> Vec<String> {
            swipes.iter().map(|swipe| swipe.text.clone()).collect()
        };
        let (old, new) = (texts(&self.swipes()?), texts(swipes));
        // What was kept may have been tidied; that alone is no change.
        let is_same =
            |(old, new): (&String, &String)| old.replace("\r\n", "\n").trim() == new.trim();
        let are_same = old.len() == new.len() && old.iter().zip(&new).all(is_same);
        if are_same && self.standing() == standing {
            return Ok(self.clone());
        }
        let mut object = self.object.clone();
        object.set("mes", new.get(standing).map_or("", String::as_str));
        if new.len() > 1 || object.has("swipes") {
            object.set("swipe_id", &standing);
            object.set("swipes", &new);
            let mut infos = object.items("swipe_info").ok().flatten().unwrap_or_default();
            infos.truncate(new.len());
            for swipe in &swipes[infos.len()..] {
                let date = swipe.time.map(time::write).unwrap_or_default();
                infos.push(raw(serde_json::json!({ "send_date": date, "extra": {} }).to_string()));
            }
            object.set_raw("swipe_info", raw_list(infos.iter().map(|info| &**info)));
        }
        Ok(Self { object })
    }

    /// The line.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Who says it; empty where the file does not tell.
    pub fn name(&self) -> String {
        self.object.text("name").ok().flatten().unwrap_or_default()
    }

    /// Whether a person says it. Exports that leave it out call the person `You`.
    pub fn is_user(&self) -> bool {
        self.object.flag("is_user").ok().flatten().unwrap_or_else(|| self.name() == "You")
    }

    /// Whether it is hidden from the model: a remark of the software's, or hidden by
    /// its reader.
    pub fn is_system(&self) -> bool {
        self.object.flag("is_system").ok().flatten().unwrap_or(false)
    }

    /// When it was said, if the file tells.
    pub fn time(&self) -> Option<DateTime<Utc>> {
        time_of(&self.object)
    }

    /// The picture of who says it, in chats of several characters.
    pub fn avatar(&self) -> Option<String> {
        self.object.text("original_avatar").ok().flatten().filter(|avatar| !avatar.is_empty())
    }

    /// What stands.
    ///
    /// # Errors
    /// Never for a message that was read.
    pub fn text(&self) -> Result<String, FormatError> {
        text_of(&self.object, "mes")
    }

    /// Which of the swipes stands.
    pub fn standing(&self) -> usize {
        let id = self.object.integer("swipe_id").ok().flatten().unwrap_or(0);
        let num_swipes = self.object.items("swipes").ok().flatten().map_or(1, |list| list.len());
        usize::try_from(id).unwrap_or(0).min(num_swipes.max(1) - 1)
    }

    /// All its texts; the standing one is what the message says now, whatever the list
    /// has in its place.
    ///
    /// # Errors
    /// Never for a message that was read.
    pub fn swipes(&self) -> Result<Vec<ChatSwipe>, FormatError> {
        let standing = ChatSwipe { text: self.text()?, time: self.time() };
        let items = self.object.items("swipes")?.unwrap_or_default();
        if items.is_empty() {
            return Ok(vec![standing]);
        }
        let infos = self.object.items("swipe_info").ok().flatten().unwrap_or_default();
        let mut swipes = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let info = infos.get(i).and_then(|info| Object::parse(info.get(), "").ok());
            let text = swipe_text(item, &self.object, i)?;
            swipes.push(ChatSwipe { text, time: info.as_ref().and_then(time_of) });
        }
        let at = self.standing();
        swipes[at].text = standing.text;
        swipes[at].time = swipes[at].time.or(standing.time);
        Ok(swipes)
    }
}

fn time_of(object: &Object) -> Option<DateTime<Utc>> {
    time::read(&object.text("send_date").ok().flatten()?)
}

/// A text, or an object that has one in `message`, as Chub's chats spell it.
fn text_of(object: &Object, key: &str) -> Result<String, FormatError> {
    match object.text(key) {
        Ok(text) => Ok(text.unwrap_or_default()),
        Err(error) => match object.object(key) {
            Ok(Some(inner)) if inner.has("message") => {
                Ok(inner.text("message")?.unwrap_or_default())
            }
            _ => Err(error),
        },
    }
}

fn swipe_text(item: &RawValue, message: &Object, index: usize) -> Result<String, FormatError> {
    // As a field of an object of its own it is read like any other.
    let mut holder = Object::new(message.path_of("swipes"));
    let key = index.to_string();
    holder.set_raw(&key, item.to_owned());
    text_of(&holder, &key)
}
