//! Emojis of the application, which everybody can fetch and only it can use.
//! <https://docs.discord.com/developers/resources/emoji#application-owned>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::call::{Call, Outcome, created, nothing, ok};
use super::super::model::Emoji;
use super::super::refusal::Refusal;
use super::super::world::World;

/// "Emojis and animated emojis have a maximum file size of 256 KiB."
const MAX_BYTES: usize = 256 << 10;

fn is_own(world: &World, call: &Call) -> Result<(), Refusal> {
    match call.id("application_id")? == world.application {
        true => Ok(()),
        false => Err(Refusal::of(50001)),
    }
}

fn shown(world: &World, emoji: &Emoji) -> Value {
    json!({
        "id": emoji.id.to_string(), "name": emoji.name, "roles": [], "require_colons": true,
        "managed": false, "animated": emoji.animated, "available": true,
        "user": world.user_json(world.bot),
    })
}

/// "Returns an object containing a list of emoji objects for the given application under
/// the items key."
pub(crate) fn list(world: &mut World, call: &Call) -> Outcome {
    is_own(world, call)?;
    let items: Vec<Value> = world.emojis.values().map(|emoji| shown(world, emoji)).collect();
    ok(json!({"items": items}))
}

pub(crate) fn get(world: &mut World, call: &Call) -> Outcome {
    is_own(world, call)?;
    let emoji = world.emojis.get(&call.id("emoji_id")?).ok_or(Refusal::of(10014))?;
    ok(shown(world, emoji))
}

pub(crate) fn create(world: &mut World, call: &Call) -> Outcome {
    is_own(world, call)?;
    let name = call.text("name").unwrap_or_default().to_owned();
    if !(2..=32).contains(&name.chars().count()) {
        return Err(Refusal::length("name", 2, 32));
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let message = "String value did not match validation regex.";
        return Err(Refusal::form("name", "STRING_TYPE_REGEX", message));
    }
    let (animated, image) = image(call.text("image").unwrap_or_default())?;
    // "An application can own up to 2000 emojis".
    if world.emojis.len() >= world.limits.emojis {
        return Err(Refusal::of(30008));
    }
    if world.emojis.values().any(|emoji| emoji.name == name) {
        let message = "An emoji with that name already exists";
        return Err(Refusal::form("name", "APPLICATION_EMOJI_NAME_ALREADY_TAKEN", message));
    }
    let id = world.id();
    let emoji = Emoji { id, name, animated, image };
    let json = shown(world, &emoji);
    world.emojis.insert(id, emoji);
    created(json)
}

/// "Image data is a Data URI scheme that supports JPG, GIF, and PNG formats."
/// <https://docs.discord.com/developers/reference#image-data>
fn image(uri: &str) -> Result<(bool, Vec<u8>), Refusal> {
    let wrong = || Refusal::form("image", "IMAGE_INVALID", "Invalid image data");
    let kinds: [(&str, &[u8]); 3] = [
        ("data:image/png;base64,", b"\x89PNG\r\n\x1a\n"),
        ("data:image/jpeg;base64,", b"\xff\xd8\xff"),
        ("data:image/gif;base64,", b"GIF8"),
    ];
    let found = kinds.iter().find_map(|(kind, magic)| Some((uri.strip_prefix(kind)?, magic)));
    let (text, magic) = found.ok_or_else(wrong)?;
    let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
    if !bytes.starts_with(magic) {
        return Err(wrong());
    }
    if bytes.len() > MAX_BYTES {
        let message = "File cannot be larger than 256.0 kb.";
        return Err(Refusal::form("image", "BINARY_TYPE_MAX_SIZE", message));
    }
    Ok((bytes.starts_with(b"GIF8"), bytes))
}

pub(crate) fn delete(world: &mut World, call: &Call) -> Outcome {
    is_own(world, call)?;
    world.emojis.remove(&call.id("emoji_id")?).ok_or(Refusal::of(10014))?;
    nothing()
}
