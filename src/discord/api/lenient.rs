//! Reading with forbearance: what is not as expected counts as absent.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The value, or the default if it is of another shape.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// Those elements of a list that can be read.
pub(super) fn each<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(read_each(Value::deserialize(deserializer)?))
}

pub(super) fn read_each<T: DeserializeOwned>(list: Value) -> Vec<T> {
    let Value::Array(list) = list else { return Vec::new() };
    list.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect()
}

/// Ids, whether bare or in objects that have more.
pub(super) fn ids<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let Value::Array(list) = Value::deserialize(deserializer)? else { return Ok(Vec::new()) };
    let bare = list.into_iter().map(|mut value| match &mut value {
        Value::Object(object) => object.remove("id").unwrap_or_default(),
        _ => value,
    });
    Ok(read_each(bare.collect()))
}

/// A number that may be written as a text.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text.parse().unwrap_or(0),
        value => value.as_u64().unwrap_or(0),
    })
}

/// Discord's number for a type; those beyond all that are known are one.
pub(super) fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let kind = Value::deserialize(deserializer)?.as_u64();
    Ok(kind.and_then(|kind| u8::try_from(kind).ok()).unwrap_or(u8::MAX))
}

pub(super) fn nonce<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

pub(super) fn nick<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let member = Value::deserialize(deserializer)?;
    Ok(member["nick"].as_str().map(str::to_owned))
}

pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let list = Value::deserialize(deserializer)?;
    Ok(list.as_array().map_or(0, Vec::len))
}

pub(super) fn custom_ids<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let mut found = Vec::new();
    collect_custom_ids(&Value::deserialize(deserializer)?, &mut found);
    Ok(found)
}

fn collect_custom_ids(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|inner| collect_custom_ids(inner, found)),
        Value::Object(object) => {
            found.extend(object.get("custom_id").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|inner| collect_custom_ids(inner, found));
        }
        _ => {}
    }
}
