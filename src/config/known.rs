//! Refuses keys that nobody reads, with the nearest key that somebody does.
//!
//! The known keys are those of `config/default.toml`.

use config::ValueKind;
use strsim::normalized_damerau_levenshtein as likeness;

use super::ConfigError;
use super::layers::{Layer, Table};

/// Tables whose keys are the operator's own.
const FREE_TABLES: [&str; 3] = ["generation.presets", "moderation.thresholds", "profiles"];

/// Below this two names have nothing in common.
const MIN_LIKENESS: f64 = 0.55;

/// Fails on the first key of `layer` (in the order of the alphabet) that the
/// defaults do not have.
pub(super) fn check(layer: &Layer, defaults: &Layer) -> Result<(), ConfigError> {
    check_table(&layer.0, &defaults.0, "", defaults)
}

fn check_table(
    table: &Table,
    known: &Table,
    prefix: &str,
    defaults: &Layer,
) -> Result<(), ConfigError> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|&(key, _)| key);
    for (name, value) in entries {
        let key = format!("{prefix}{name}");
        let Some(default) = known.get(name) else {
            let origin = value.origin().unwrap_or_default().to_owned();
            let nearest = nearest(&key, defaults);
            return Err(ConfigError::UnknownKey { key, origin, nearest });
        };
        if let (ValueKind::Table(inner), ValueKind::Table(known)) = (&value.kind, &default.kind)
            && !FREE_TABLES.contains(&key.as_str())
        {
            check_table(inner, known, &format!("{key}."), defaults)?;
        }
    }
    Ok(())
}

/// The known key that looks most like `key`, by its whole path or, for a key in
/// the wrong section, by its last name.
fn nearest(key: &str, defaults: &Layer) -> Option<String> {
    let score =
        |known: &str| likeness(key, known).max(0.9 * likeness(last_name(key), last_name(known)));
    let mut known = Vec::new();
    collect_keys(&defaults.0, "", &mut known);
    let scored = known.into_iter().map(|known| (score(&known), known));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best.0 >= MIN_LIKENESS).then_some(best.1)
}

fn last_name(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// Every key of the tree, tables included, in the order of the alphabet.
fn collect_keys(table: &Table, prefix: &str, keys: &mut Vec<String>) {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|&(key, _)| key);
    for (name, value) in entries {
        let key = format!("{prefix}{name}");
        if let ValueKind::Table(inner) = &value.kind {
            collect_keys(inner, &format!("{key}."), keys);
        }
        keys.push(key);
    }
}
