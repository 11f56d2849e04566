//! Discord's rules about payloads that its OpenAPI description does not state, each
//! with the page that does.

use std::collections::HashSet;

use serde_json::Value;

use super::call::{Call, id_of};
use super::ledger::Ledger;
use super::model::flag;
use super::refusal::Refusal;

/// The properties of a message's payload, whatever the route.
const MESSAGE: [&str; 12] = [
    "content",
    "embeds",
    "flags",
    "allowed_mentions",
    "sticker_ids",
    "components",
    "attachments",
    "poll",
    "message_reference",
    "nonce",
    "enforce_nonce",
    "tts",
];
const WEBHOOK: [&str; 12] = [
    "content",
    "embeds",
    "flags",
    "allowed_mentions",
    "components",
    "attachments",
    "poll",
    "tts",
    "username",
    "avatar_url",
    "thread_name",
    "applied_tags",
];

/// Which payload a message comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Create,
    Edit,
    Webhook,
    WebhookEdit,
    /// The data of an interaction's first response.
    Response,
}

/// The violation of a property that is dropped without a word.
pub(crate) fn unknown_property(key: &str) -> String {
    format!("the property {key:?} is not known here")
}

/// Checks a message's payload, and notes what Discord would let through but this
/// project forbids: unknown properties, content without `allowed_mentions`.
pub(crate) fn check_message(
    ledger: &mut Ledger,
    body: &Value,
    num_files: usize,
    payload: Payload,
    demand_allowed_mentions: bool,
) -> Result<(), Refusal> {
    let known = match payload {
        Payload::Create | Payload::Edit | Payload::Response => &MESSAGE[..],
        Payload::Webhook | Payload::WebhookEdit => &WEBHOOK[..],
    };
    // Unknown properties are dropped without a word, and with them what they meant.
    for key in body.as_object().into_iter().flat_map(|object| object.keys()) {
        if !known.contains(&key.as_str()) {
            ledger.violation(unknown_property(key));
        }
    }
    // https://docs.discord.com/developers/resources/message#allowed-mentions-object
    // "Because `allowed_mentions` left out parses everything", also in edits.
    let has_content = body["content"].as_str().is_some_and(|content| !content.is_empty());
    if demand_allowed_mentions && has_content && !body["allowed_mentions"].is_object() {
        ledger.violation("content without allowed_mentions");
    }
    check_mention_rule(&body["allowed_mentions"])?;
    // https://docs.discord.com/developers/resources/message#create-message
    // "content: Message contents (up to 2000 characters)".
    if body["content"].as_str().is_some_and(|content| content.chars().count() > 2000) {
        return Err(Refusal::form(
            "content",
            "BASE_TYPE_MAX_LENGTH",
            "Must be 2000 or fewer in length.",
        ));
    }
    if body["nonce"].as_str().is_some_and(|nonce| nonce.chars().count() > 25) {
        return Err(Refusal::length("nonce", 1, 25));
    }
    check_embeds(&body["embeds"])?;
    check_components(&body["components"], body["flags"].as_u64().unwrap_or(0))?;
    let is_new = matches!(payload, Payload::Create | Payload::Webhook | Payload::Response);
    if is_new && is_empty(body) && num_files == 0 {
        return Err(Refusal::of(50006));
    }
    Ok(())
}

/// Whether nothing would be seen. White space alone is nothing.
fn is_empty(body: &Value) -> bool {
    let has_text = body["content"].as_str().is_some_and(|content| !content.trim().is_empty());
    let has_some = |key: &str| body[key].as_array().is_some_and(|items| !items.is_empty());
    !has_text
        && !["embeds", "components", "sticker_ids"].into_iter().any(has_some)
        && body["poll"].is_null()
}

/// "`parse: ["users"]` with `users: […]` is invalid": one may not say both.
/// <https://docs.discord.com/developers/resources/message#allowed-mentions-object>
fn check_mention_rule(rule: &Value) -> Result<(), Refusal> {
    for kind in ["users", "roles"] {
        let parses = rule["parse"].as_array().is_some_and(|all| all.iter().any(|p| p == kind));
        let lists = rule[kind].as_array().is_some_and(|ids| !ids.is_empty());
        if parses && lists {
            let message =
                format!("parse:[\"{kind}\"] and {kind}: [ids...] are mutually exclusive.");
            let code = "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE";
            return Err(Refusal::form("allowed_mentions", code, &message));
        }
    }
    Ok(())
}

/// <https://docs.discord.com/developers/resources/message#embed-object-embed-limits>
fn check_embeds(embeds: &Value) -> Result<(), Refusal> {
    let mut total = 0;
    for (index, embed) in embeds.as_array().into_iter().flatten().enumerate() {
        let mut field = |text: &Value, name: &str, max: usize| {
            let length = text.as_str().map_or(0, |text| text.trim().chars().count());
            total += length;
            match length > max {
                true => Err(Refusal::length(&format!("embeds.{index}.{name}"), 0, max)),
                false => Ok(()),
            }
        };
        field(&embed["title"], "title", 256)?;
        field(&embed["description"], "description", 4096)?;
        field(&embed["footer"]["text"], "footer", 2048)?;
        field(&embed["author"]["name"], "author", 256)?;
        for part in embed["fields"].as_array().into_iter().flatten() {
            field(&part["name"], "fields.name", 256)?;
            field(&part["value"], "fields.value", 1024)?;
        }
    }
    match total > 6000 {
        true => Err(Refusal::length("embeds", 0, 6000)),
        false => Ok(()),
    }
}

/// Rows, buttons and ids. <https://docs.discord.com/developers/components/reference>
pub(crate) fn check_components(components: &Value, flags: u64) -> Result<(), Refusal> {
    let rows = components.as_array().map_or(&[][..], Vec::as_slice);
    let is_v2 = flags & flag::COMPONENTS_V2 != 0;
    // "Without the flag IS_COMPONENTS_V2 up to 5 action rows."
    if !is_v2 && rows.len() > 5 {
        return Err(Refusal::length("components", 1, 5));
    }
    if !is_v2 && rows.iter().any(|row| row["type"] != 1) {
        let message = "Value of field \"type\" must be one of (1,).";
        return Err(Refusal::form("components.0", "UNION_TYPE_CHOICES", message));
    }
    let mut seen = HashSet::new();
    for (index, row) in rows.iter().enumerate() {
        check_row(row, &format!("components.{index}"), &mut seen)?;
    }
    Ok(())
}

fn check_row(row: &Value, path: &str, seen: &mut HashSet<String>) -> Result<(), Refusal> {
    let children = row["components"].as_array().map_or(&[][..], Vec::as_slice);
    let selects = children.iter().filter(|child| child["type"] != 2).count();
    // "An Action Row can contain up to 5 buttons or a single select."
    if row["type"] == 1 && (children.len() > 5 || selects > 0 && children.len() > 1) {
        return Err(Refusal::length(&format!("{path}.components"), 1, 5));
    }
    for (index, child) in children.iter().enumerate() {
        let at = |field: &str| format!("{path}.components.{index}.{field}");
        if let Some(id) = child["custom_id"].as_str() {
            // "custom_id: 1-100 characters … must be unique per component."
            if id.is_empty() || id.chars().count() > 100 {
                return Err(Refusal::length(&at("custom_id"), 1, 100));
            }
            if !seen.insert(id.to_owned()) {
                let message = "Component custom id cannot be duplicated";
                let code = "COMPONENT_CUSTOM_ID_DUPLICATED";
                return Err(Refusal::form(&at("custom_id"), code, message));
            }
        }
        if child["label"].as_str().is_some_and(|label| label.chars().count() > 80) {
            return Err(Refusal::length(&at("label"), 1, 80));
        }
        let is_link = child["style"] == 5;
        if child["type"] == 2 && is_link == child["custom_id"].is_string() {
            let message = "A button has a custom id, or a url if it is a link.";
            return Err(Refusal::form(&at("custom_id"), "BASE_TYPE_REQUIRED", message));
        }
        if child["type"] == 2 && child["label"].is_null() && child["emoji"].is_null() {
            let message = "A button needs a label or an emoji.";
            return Err(Refusal::form(&at("label"), "BUTTON_COMPONENT_CONTENT_REQUIRED", message));
        }
        // "options: max 25".
        if child["options"].as_array().is_some_and(|options| options.len() > 25) {
            return Err(Refusal::length(&at("options"), 1, 25));
        }
        check_row(child, &at("components"), seen)?;
    }
    Ok(())
}

/// Components as Discord gives them back: numbered, with defaults, without nulls.
pub(crate) fn kept_components(components: &Value) -> Vec<Value> {
    fn number(component: &mut Value, next: &mut u64) {
        let Some(object) = component.as_object_mut() else { return };
        object.retain(|_, value| !value.is_null());
        *next += 1;
        object.entry("id").or_insert((*next).into());
        match object.get("type").and_then(Value::as_u64) {
            Some(3 | 5..=8) => {
                object.entry("min_values").or_insert(1.into());
                object.entry("max_values").or_insert(1.into());
            }
            Some(17) => {
                object.entry("accent_color").or_insert(Value::Null);
                object.entry("spoiler").or_insert(false.into());
            }
            _ => {}
        }
        let inner = object.get_mut("components").and_then(Value::as_array_mut);
        inner.into_iter().flatten().for_each(|child| number(child, next));
    }
    let mut kept = components.as_array().cloned().unwrap_or_default();
    let mut next = 0;
    kept.iter_mut().for_each(|component| number(component, &mut next));
    kept
}

/// Embeds as Discord gives them back.
pub(crate) fn kept_embeds(embeds: &Value) -> Vec<Value> {
    let mut kept = embeds.as_array().cloned().unwrap_or_default();
    for embed in &mut kept {
        if let Some(object) = embed.as_object_mut() {
            object.retain(|_, value| !value.is_null());
            object.insert("type".into(), "rich".into());
        }
    }
    kept
}

/// "Does not contain the substrings clyde or discord (case-insensitive)", and is no
/// name that stands for everybody.
/// <https://docs.discord.com/developers/resources/webhook#create-webhook>
pub(crate) fn check_webhook_name(field: &str, name: &str) -> Result<(), Refusal> {
    let name = name.trim().to_lowercase();
    if !(1..=80).contains(&name.chars().count()) {
        return Err(Refusal::length(field, 1, 80));
    }
    for word in ["clyde", "discord"] {
        if name.contains(word) {
            let message = format!("Username cannot contain \"{word}\"");
            return Err(Refusal::form(field, "USERNAME_INVALID_CONTAINS", &message));
        }
    }
    if ["everyone", "here"].contains(&name.as_str()) {
        let message = "Username cannot be \"everyone\" or \"here\"";
        return Err(Refusal::form(field, "USERNAME_INVALID_RESERVED", message));
    }
    Ok(())
}

/// A thread's name, times and tags.
/// <https://docs.discord.com/developers/resources/channel#start-thread-from-message>
pub(crate) fn check_thread(call: &Call) -> Result<(), Refusal> {
    if let Some(name) = call.text("name")
        && !(1..=100).contains(&name.trim().chars().count())
    {
        return Err(Refusal::length("name", 1, 100));
    }
    let archive = call.number("auto_archive_duration");
    if archive.is_some_and(|minutes| ![60, 1440, 4320, 10080].contains(&minutes)) {
        let message = "Value must be one of {10080, 1440, 4320, 60}.";
        return Err(Refusal::form("auto_archive_duration", "BASE_TYPE_CHOICES", message));
    }
    // "limited to 5".
    if call.body["applied_tags"].as_array().is_some_and(|tags| tags.len() > 5) {
        let message = "Must be 5 or fewer in length.";
        return Err(Refusal::form("applied_tags", "BASE_TYPE_MAX_LENGTH", message));
    }
    Ok(())
}

/// The message that a payload answers.
pub(crate) fn reference(body: &Value) -> Option<u64> {
    id_of(&body["message_reference"]["message_id"])
}
