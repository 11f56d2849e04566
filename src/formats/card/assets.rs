//! The files that a card brings along: pictures, sounds and whatever else.

use std::sync::Arc;

use crate::formats::fields::Object;
use crate::formats::{Finding, FormatError, Limits, base64};

use super::Card;

/// How addresses of files in the same archive begin; the specification spells it so.
pub(super) const EMBEDDED: &str = "embeded://";
/// How addresses of files in the same PNG begin.
const IN_PNG: &str = "__asset:";
/// The address of whatever stands for such an asset by itself.
pub(super) const DEFAULT: &str = "ccdefault:";

/// A file that a card brings along.
#[derive(Debug, Clone, PartialEq)]
pub struct Asset {
    /// What it is for: `icon`, `background`, `user_icon`, `emotion`, or of somebody's
    /// own, `x_…`.
    pub kind: String,
    /// What it is called; the main ones are called `main`.
    pub name: String,
    /// Its file extension, lower case and without a dot; `unknown` where it is.
    pub ext: String,
    /// Where it is, as the card says.
    pub uri: String,
    /// The file itself, unless it is elsewhere: nothing is fetched.
    pub bytes: Option<Arc<[u8]>>,
    fields: Object,
}

impl Asset {
    /// An asset with its file, whose address the file it is written to decides.
    pub fn new(kind: &str, name: &str, ext: &str, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            ext: ext.to_owned(),
            uri: String::new(),
            bytes: Some(bytes.into()),
            fields: Object::new(""),
        }
    }

    /// Whether it is the icon that stands for the character.
    pub fn is_main_icon(&self) -> bool {
        self.kind == "icon" && self.name == "main"
    }

    /// Reads one of a card's assets; its file is not there yet.
    fn read(fields: Object) -> Self {
        let text = |key: &str| fields.text(key).ok().flatten().unwrap_or_default();
        Self {
            kind: text("type"),
            name: text("name"),
            ext: text("ext"),
            uri: text("uri"),
            bytes: None,
            fields,
        }
    }

    /// The asset as a card has it, under another address.
    pub(super) fn to_fields(&self, uri: &str) -> Object {
        let mut fields = self.fields.clone();
        let known = Self::read(fields.clone());
        for (key, was, is) in [
            ("type", &*known.kind, &*self.kind),
            ("uri", &*known.uri, uri),
            ("name", &*known.name, &*self.name),
            ("ext", &*known.ext, &*self.ext),
        ] {
            if was != is || !fields.has(key) {
                fields.set(key, is);
            }
        }
        fields
    }

    /// The path in the archive that its address names.
    pub(super) fn embedded_path(&self) -> Option<&str> {
        // What it should have been called is common too.
        let uri = &*self.uri;
        uri.strip_prefix(EMBEDDED).or_else(|| uri.strip_prefix("embedded://"))
    }

    /// A path for it in an archive, by the specification's folders; `number` tells those
    /// apart that are called the same.
    pub(super) fn new_path(&self, number: usize) -> String {
        let kind = match &*self.kind {
            kind @ ("icon" | "background" | "emotion" | "user_icon") => kind,
            kind if kind.starts_with("x_") => kind,
            _ => "other",
        };
        let name = if self.name.is_empty() { "asset" } else { &*self.name };
        let ext = if self.ext.is_empty() { "unknown" } else { &*self.ext };
        let number = if number == 0 { String::new() } else { format!("_{number}") };
        let folder = folder(&self.ext);
        format!("assets/{}/{folder}/{}{number}.{}", plain(kind), plain(name), plain(ext))
    }

    /// The address that holds the file itself.
    pub(super) fn data_uri(&self, bytes: &[u8]) -> String {
        format!("data:{};base64,{}", media_type(&self.ext), base64::encode(bytes))
    }
}

/// The letters that every archive can spell.
fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    name.chars().take(60).map(plain).collect()
}

fn folder(ext: &str) -> &'static str {
    match ext {
        "png" | "jpg" | "jpeg" | "webp" | "gif" | "avif" | "bmp" => "images",
        "mp3" | "ogg" | "wav" | "flac" | "m4a" | "opus" => "audio",
        "mp4" | "webm" | "mov" => "video",
        "mmd" | "obj" | "glb" | "vrm" => "3d",
        "safetensors" | "ckpt" | "onnx" => "ai",
        "otf" | "ttf" | "woff" | "woff2" => "fonts",
        "lua" | "js" => "code",
        _ => "other",
    }
}

fn media_type(ext: &str) -> &'static str {
    match ext {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "avif" => "image/avif",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}

/// The bytes that a `data:` address holds.
fn data(uri: &str) -> Option<Result<Vec<u8>, String>> {
    let (head, body) = uri.strip_prefix("data:")?.split_once(',')?;
    if head.ends_with(";base64") {
        return Some(base64::decode(body.as_bytes()));
    }
    Some(unescape(body).ok_or_else(|| "a % without two digits".to_owned()))
}

/// Text with `%41` for `A`.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let value = digit(bytes.next()?)? * 16 + digit(bytes.next()?)?;
            out.push(u8::try_from(value).ok()?);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

/// A card's assets as it lists them, without their files.
pub(super) fn list(card: &Card) -> Vec<Asset> {
    let body = card.body();
    let items = body.items("assets").ok().flatten().unwrap_or_default();
    let objects = items.iter().filter_map(|item| Object::parse(item.get(), "").ok());
    objects.map(Asset::read).collect()
}

/// A card's assets, with the files that are among `parts` or in their addresses. What
/// is not there is told of; what is elsewhere is left there.
pub(super) fn read(
    card: &Card,
    parts: &[(String, Arc<[u8]>)],
    limits: &Limits,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Asset>, FormatError> {
    let body = card.body();
    let items = body.items("assets").ok().flatten().unwrap_or_default();
    let path = body.path_of("assets");
    if items.len() > limits.parts {
        let (size, max) = (items.len() as u64, limits.parts as u64);
        return Err(FormatError::TooBig { at: path, size, max, unit: "assets" });
    }
    let mut assets = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Ok(fields) = Object::parse(item.get(), path.clone()) else { continue };
        let mut asset = Asset::read(fields);
        let named = asset.embedded_path().or_else(|| asset.uri.strip_prefix(IN_PNG));
        if let Some(named) = named {
            let found = parts.iter().find(|(path, _)| path == named);
            if found.is_none() {
                let what = format!("{} is not in the file", named.escape_debug());
                findings.push(Finding::warning(path, what, "export the card again with its files"));
            }
            asset.bytes = found.map(|(_, bytes)| Arc::clone(bytes));
        } else if let Some(bytes) = data(&asset.uri) {
            match bytes {
                Ok(bytes) => asset.bytes = Some(bytes.into()),
                Err(error) => {
                    let what = format!("the data in its address are damaged ({error})");
                    findings.push(Finding::warning(path, what, "put the file in again"));
                }
            }
        } else if asset.uri.starts_with("http://") || asset.uri.starts_with("https://") {
            let advice = "it is not fetched; put the file into the card to have it";
            findings.push(Finding::note(path, "the file is elsewhere", advice));
        }
        assets.push(asset);
    }
    Ok(assets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_hold_data() {
        assert_eq!(data("data:image/png;base64,AAE="), Some(Ok(vec![0, 1])));
        assert_eq!(data("data:,a%20b"), Some(Ok(b"a b".to_vec())));
        assert!(matches!(data("data:,%4"), Some(Err(_))));
        assert_eq!(data("https://example.org"), None);
        assert_eq!(data("data:nothing"), None);
    }

    #[test]
    fn paths_are_plain() {
        let asset = Asset::new("icon", "../ä b", "PNG/..", Vec::new());
        assert_eq!(asset.new_path(2), "assets/icon/other/_____b_2.PNG___");
        let odd = Asset::new("../x", "", "", Vec::new());
        assert_eq!(odd.new_path(0), "assets/other/other/asset.unknown");
    }

    #[test]
    fn fields_that_nobody_names_stay() {
        let text = r#"{"type":"icon","own":1.0,"uri":"ccdefault:","name":"main","ext":"png"}"#;
        let asset = Asset::read(Object::parse(text, "").unwrap());
        assert_eq!(asset.to_fields("ccdefault:").to_json(), text);
        let moved = text.replace("ccdefault:", "embeded://a");
        assert_eq!(asset.to_fields("embeded://a").to_json(), moved);
    }
}
