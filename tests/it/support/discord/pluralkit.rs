//! A little of PluralKit's API: which member of which system a repost is from.
//! <https://pluralkit.me/api/endpoints/#messages>

use serde_json::{Value, json};

use super::clock::iso;
use super::world::World;

/// Answers a path below `/v2/`. "The id may be of the proxied message, or of the
/// original"; of the original only for half an hour.
pub(crate) fn answer(world: &mut World, path: &str) -> (u16, Value) {
    let id = path.strip_prefix("messages/").and_then(|id| id.parse::<u64>().ok());
    let found = id.and_then(|id| {
        let by_original = || world.proxied.iter().find(|(_, (original, ..))| *original == id);
        world.proxied.get_key_value(&id).or_else(by_original)
    });
    let Some((proxied, (original, sender, guild))) = found else {
        return (404, json!({"message": "Message not found.", "code": 20006}));
    };
    const HALF_AN_HOUR_MS: u64 = 30 * 60 * 1000;
    if id == Some(*original) && world.age_ms(*original) > HALF_AN_HOUR_MS {
        return (404, json!({"message": "Message not found.", "code": 20006}));
    }
    let (member, name) = world.proxy_members[proxied].clone();
    let channel = world.messages.keys().find(|(_, id)| id == proxied).map_or(0, |at| at.0);
    let body = json!({
        "timestamp": iso(super::clock::created_ms(*proxied)), "id": proxied.to_string(),
        "original": original.to_string(), "sender": sender.to_string(),
        "channel": channel.to_string(), "guild": guild.to_string(),
        "system": {"id": "exmpl", "uuid": "7f1c0e0e-0000-4000-8000-000000000001", "name": null},
        "member": {"id": "abcde", "uuid": member, "name": name, "display_name": null},
    });
    (200, body)
}
