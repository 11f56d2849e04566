//! Files as Discord keeps them: attachments of messages, and those of commands, which
//! nobody else sees. Their addresses are signed and end after a day; the content network
//! wants no token.
//! <https://docs.discord.com/developers/reference#signed-attachment-cdn-urls>

use serde_json::{Value, json};

use super::call::id_of;
use super::routes::parse_query;
use super::world::World;

/// How long a signature holds.
const LIFE_MS: u64 = 24 * 60 * 60 * 1000;

/// A file that is kept.
#[derive(Clone, Debug)]
pub(crate) struct KeptFile {
    pub(crate) name: String,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) bytes: Vec<u8>,
    /// The path at which it is, and its query.
    path: String,
    query: String,
    ends_ms: u64,
}

/// What Discord takes a file for, by its name.
fn content_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "json" => "application/json; charset=utf-8",
        "txt" | "md" => "text/plain; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "zip" => "application/zip",
        _ => return None,
    })
}

/// Discord keeps letters, digits and a few marks of a name, spaces as underscores.
fn kept_name(name: &str) -> String {
    let name = name.replace(' ', "_");
    let name: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
    if name.is_empty() { "unknown".into() } else { name }
}

/// Sides of a PNG, which stand in its first chunk.
fn sides(bytes: &[u8]) -> Option<(u32, u32)> {
    let side = |at: usize| {
        let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    };
    bytes.starts_with(b"\x89PNG").then(|| Some((side(16)?, side(20)?)))?
}

impl World {
    /// Stores a file of a message, and describes it.
    pub(crate) fn keep_file(&mut self, channel: u64, name: &str, bytes: Vec<u8>) -> Value {
        self.keep("attachments", channel, name, bytes)
    }

    /// Stores a file that somebody gives to a command, and describes it.
    pub(crate) fn keep_option_file(&mut self, name: &str, bytes: Vec<u8>) -> Value {
        let mut json = self.keep("ephemeral-attachments", self.application, name, bytes);
        json["ephemeral"] = true.into();
        json
    }

    fn keep(&mut self, root: &str, holder: u64, given: &str, bytes: Vec<u8>) -> Value {
        let id = self.id();
        let name = kept_name(given);
        let path = format!("/{root}/{holder}/{id}/{name}");
        let now_ms = self.clock.now_ms();
        let ends_ms = now_ms + LIFE_MS;
        // Nobody who was not told can know it; here nobody tries.
        let sign = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let query = format!("ex={:x}&is={:x}&hm={sign:064x}&", ends_ms / 1000, now_ms / 1000);
        let url = format!("{}{path}?{query}", self.url);
        let mut json = json!({
            "id": id.to_string(), "filename": name, "size": bytes.len(), "url": url,
            "proxy_url": url,
        });
        let content_type = content_type(&name);
        if let Some(content_type) = content_type {
            json["content_type"] = content_type.into();
        }
        if let Some((width, height)) = sides(&bytes) {
            json["width"] = width.into();
            json["height"] = height.into();
        }
        if name != given {
            json["title"] = given.rsplit_once('.').map_or(given, |(stem, _)| stem).into();
        }
        self.files.insert(id, KeptFile { name, content_type, bytes, path, query, ends_ms });
        json
    }

    /// A file that somebody asks for: only at the address that was given for it, and
    /// only while that holds. The number of those who came is counted.
    pub(crate) fn fetch_file(&mut self, path: &str, query: &str) -> Option<&KeptFile> {
        let id = path.split('/').nth(3).and_then(|id| id.parse::<u64>().ok())?;
        self.fetched.push(id);
        let file = self.files.get(&id)?;
        let is_signed = parse_query(query) == parse_query(&file.query);
        let holds = self.clock.now_ms() < file.ends_ms;
        (file.path == path && is_signed && holds).then_some(file)
    }

    /// What is in a file that was described.
    pub(crate) fn file(&self, described: &Value) -> Option<&KeptFile> {
        self.files.get(&id_of(&described["id"])?)
    }
}
