//! The effective settings, for people; secrets masked.

use config::{Value, ValueKind};

use super::database::mask_url;
use super::layers::Table;

/// The keys whose values nobody is shown.
const SECRETS: [&str; 6] = [
    "database.url",
    "discord.token",
    "fetch.hub_token",
    "moderation.api_key",
    "worker.api_key",
    "workers.api_key",
];

/// One effective setting.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    /// The key as dotted path.
    pub key: String,
    /// The value as TOML; secrets masked.
    pub value: String,
    /// "default", or the file, variable or option that set it.
    pub origin: String,
}

/// Every leaf of the tree, by key.
pub(super) fn settings(merged: &config::Config) -> Vec<Setting> {
    let mut settings = Vec::new();
    if let ValueKind::Table(table) = &merged.cache.kind {
        collect(table, "", &mut settings);
    }
    settings.sort_by(|a, b| a.key.cmp(&b.key));
    settings
}

fn collect(table: &Table, prefix: &str, settings: &mut Vec<Setting>) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match &value.kind {
            ValueKind::Table(inner) => collect(inner, &format!("{key}."), settings),
            _ => settings.push(Setting {
                value: shown(&key, value),
                origin: value.origin().unwrap_or("default").to_owned(),
                key,
            }),
        }
    }
}

fn shown(key: &str, value: &Value) -> String {
    let text = match &value.kind {
        ValueKind::String(text) => text.clone(),
        // A secret may look like a number.
        other if SECRETS.contains(&key) => other.to_string(),
        other => return other.to_string(),
    };
    let masked = match key {
        _ if is_keyword(&text) => text,
        "database.url" => mask_url(&text),
        _ if SECRETS.contains(&key) => String::from("***"),
        _ => text,
    };
    format!("{masked:?}")
}

/// Words that stand where else a secret would.
fn is_keyword(text: &str) -> bool {
    matches!(text, "auto" | "embedded")
}
