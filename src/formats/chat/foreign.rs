//! Chats of other software that keeps them as one JSON document: text-generation-webui,
//! Agnai, Risu, and the exports of Character.AI.
//!
//! Read only, and only what was said by whom: these formats have no swipes.

use chrono::{DateTime, Utc};

use super::message::{ChatMessage, ChatSwipe, NewChatMessage};
use super::{ChatFile, MAX_MESSAGES, time};
use crate::formats::FormatError;
use crate::formats::fields::Object;

/// Names for those whom the file does not name.
const USER: &str = "User";
const CHARACTER: &str = "Character";

/// The chats of a document; `None` if it is none of these.
pub(super) fn read(root: &Object) -> Result<Option<Vec<ChatFile>>, FormatError> {
    let pairs = if root.has("data_visible") { "data_visible" } else { "visible" };
    if root.has(pairs) {
        return Ok(Some(vec![webui(root, pairs)?]));
    }
    if let Some(histories) = root.object("histories").ok().flatten() {
        let chats = objects(&histories, "histories")?;
        return chats.iter().map(character_ai).collect::<Result<_, _>>().map(Some);
    }
    if root.text("type").ok().flatten().as_deref() == Some("risuChat") {
        let data = root.object("data")?.unwrap_or_default();
        return Ok(Some(vec![risu(&data)?]));
    }
    if matches!(root.items("messages"), Ok(Some(_))) {
        return Ok(Some(vec![agnai(root)?]));
    }
    Ok(None)
}

/// Pairs of what the person and the character said.
fn webui(root: &Object, key: &str) -> Result<ChatFile, FormatError> {
    let mut chat = ChatFile::new(USER, CHARACTER, None);
    for (i, pair) in root.items(key)?.unwrap_or_default().iter().enumerate() {
        let mut holder = Object::new(root.path_of(key));
        holder.set_raw(&i.to_string(), pair.clone());
        let said = holder.texts(&i.to_string())?.unwrap_or_default();
        for (text, is_user) in said.iter().zip([true, false]) {
            // It begins with a person who says this to make the character greet.
            if !text.is_empty() && text != "<|BEGIN-VISIBLE-CHAT|>" {
                push(&mut chat, is_user, text, None, &holder)?;
            }
        }
    }
    Ok(chat)
}

fn character_ai(history: &Object) -> Result<ChatFile, FormatError> {
    let mut chat = ChatFile::new(USER, CHARACTER, None);
    for message in objects(history, "msgs")? {
        let source = message.object("src")?.unwrap_or_default();
        let is_user = source.flag("is_human")?.unwrap_or(false);
        let text = message.text("text")?.unwrap_or_default();
        push(&mut chat, is_user, &text, time_in(&message, "created"), &message)?;
    }
    Ok(chat)
}

fn risu(data: &Object) -> Result<ChatFile, FormatError> {
    let mut chat = ChatFile::new(USER, CHARACTER, None);
    for message in objects(data, "message")? {
        let is_user = message.text("role")?.as_deref() == Some("user");
        let text = message.text("data")?.unwrap_or_default();
        push(&mut chat, is_user, &text, time_in(&message, "time"), &message)?;
    }
    Ok(chat)
}

fn agnai(root: &Object) -> Result<ChatFile, FormatError> {
    let mut chat = ChatFile::new(USER, CHARACTER, None);
    for message in objects(root, "messages")? {
        let has = |key| message.text(key).ok().flatten().is_some_and(|id| !id.is_empty());
        // Newer exports name the chat's owner with every message.
        let is_user = has("userId") && !has("characterId");
        let text = message.text("msg")?.unwrap_or_default();
        let named = |key| message.text(key).ok().flatten().filter(|name| !name.trim().is_empty());
        let name = named("name").or_else(|| named("handle"));
        let time = time_in(&message, "createdAt");
        push_named(&mut chat, name.as_deref(), is_user, &text, time, &message)?;
    }
    Ok(chat)
}

fn time_in(object: &Object, key: &str) -> Option<DateTime<Utc>> {
    time::read(&object.text(key).ok().flatten()?)
}

fn objects(object: &Object, key: &str) -> Result<Vec<Object>, FormatError> {
    let items = object.items(key)?.unwrap_or_default().into_iter().enumerate();
    let path = object.path_of(key);
    items.map(|(i, item)| Object::parse(item.get(), format!("{path}[{i}]"))).collect()
}

fn push(
    chat: &mut ChatFile,
    is_user: bool,
    text: &str,
    time: Option<DateTime<Utc>>,
    at: &Object,
) -> Result<(), FormatError> {
    push_named(chat, None, is_user, text, time, at)
}

fn push_named(
    chat: &mut ChatFile,
    name: Option<&str>,
    is_user: bool,
    text: &str,
    time: Option<DateTime<Utc>>,
    at: &Object,
) -> Result<(), FormatError> {
    if chat.messages().len() >= MAX_MESSAGES {
        return Err(super::too_many(at.path()));
    }
    let name = name.unwrap_or(if is_user { USER } else { CHARACTER });
    let swipes = vec![ChatSwipe { text: text.to_owned(), time }];
    let new = NewChatMessage { name, is_user, swipes, standing: 0, avatar: None };
    chat.push(ChatMessage::new(&new));
    Ok(())
}
