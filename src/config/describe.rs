//! The effective settings, for people; secrets masked.

use config::{Value, ValueKind};

use super::database::mask_url;
use super::layers::Table;

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
        ValueKind::String(text) => text,
        other => return other.to_string(),
    };
    let masked = match key {
        "database.url" if text != "embedded" => mask_url(text),
        "fetch.hub_token" if text != "auto" => String::from("***"),
        _ => text.clone(),
    };
    format!("{masked:?}")
}
