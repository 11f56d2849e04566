//! Text on its way into the database.
//!
//! Postgres has no U+0000 in text or jsonb. Whatever people send is kept, with
//! U+FFFD in its place (as CommonMark and HTML do), here and nowhere else: every
//! text that a statement binds goes through [`clean`] or [`clean_json`].

use std::borrow::Cow;

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

/// The text as Postgres can hold it.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { text.into() }
}

/// The same for a text that may be absent.
pub(super) fn clean_option(text: Option<&String>) -> Option<String> {
    text.map(|text| clean(text).into_owned())
}

/// The value as Postgres can hold it, keys and strings alike.
pub(super) fn clean_json(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(text).into_owned()),
        Value::Array(items) => items.iter().map(clean_json).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (clean(key).into_owned(), clean_json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// The form under which a name is compared: trimmed, NFKC, lower case. Folding
/// here rather than in SQL makes it the same under every locale of the server.
pub fn name_key(name: &str) -> String {
    clean(name.trim()).nfkc().collect::<String>().to_lowercase().nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nul_becomes_the_replacement_character() {
        assert_eq!(clean("a\0b"), "a\u{fffd}b");
        assert!(matches!(clean("plain"), Cow::Borrowed("plain")));
        assert_eq!(
            clean_json(&json!({"k\0": ["v\0", 1, null, true]})),
            json!({"k\u{fffd}": ["v\u{fffd}", 1, null, true]})
        );
    }

    #[test]
    fn names_fold_together_whatever_their_case_or_form() {
        assert_eq!(name_key("  Élodie "), name_key("E\u{301}LODIE"));
        assert_eq!(name_key("ＡＢＣ"), "abc");
        assert_eq!(name_key("Straße"), "straße");
        assert_ne!(name_key("Mira"), name_key("Mara"));
    }
}
