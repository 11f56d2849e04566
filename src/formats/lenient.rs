//! One JSON value read as the ecosystem needs it read: numbers that stand in strings,
//! strings that stand as numbers, `0` and `1` for no and yes, nothing for `""`.
//!
//! Each reader answers `Ok(None)` for `null` and an error that says what was wanted for
//! what cannot be meant.

use std::fmt;

use serde::Deserializer as _;
use serde::de::Visitor;
use serde_json::value::RawValue;

/// A value that is not what was wanted: what was, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) wanted: &'static str,
    pub(crate) found: &'static str,
}

type Read<T> = Result<Option<T>, Mismatch>;

/// What kind of JSON a value is.
pub(crate) fn kind(raw: &str) -> &'static str {
    match raw.trim_start().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a yes or no",
        Some(b'n') => "null",
        _ => "a number",
    }
}

fn mismatch<T>(wanted: &'static str, raw: &str) -> Read<T> {
    Err(Mismatch { wanted, found: kind(raw) })
}

/// What a JSON string says. Halves of surrogate pairs, which other software leaves
/// where it cuts a text, become replacement characters.
pub(crate) fn decode(raw: &str) -> String {
    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }

    serde_json::from_str(raw)
        .or_else(|_| serde_json::Deserializer::from_str(raw).deserialize_bytes(Bytes))
        .unwrap_or_default()
}

/// A text; a number or a yes or no reads as it is spelled.
pub(crate) fn text(raw: &str) -> Read<String> {
    match kind(raw) {
        "a text" => Ok(Some(decode(raw))),
        "null" => Ok(None),
        "an object" | "a list" => mismatch("a text", raw),
        _ => Ok(Some(raw.trim().to_owned())),
    }
}

/// A number that is one; `1e400` is none.
pub(crate) fn number(raw: &str) -> Read<f64> {
    let spelled = match kind(raw) {
        "null" => return Ok(None),
        "a text" => decode(raw),
        "a number" => raw.to_owned(),
        "a yes or no" => return Ok(Some(f64::from(raw.trim() == "true"))),
        _ => return mismatch("a number", raw),
    };
    match spelled.trim().parse::<f64>() {
        _ if spelled.trim().is_empty() => Ok(None),
        Ok(number) if number.is_finite() => Ok(Some(number)),
        _ => mismatch("a number", raw),
    }
}

/// A whole number; what follows a decimal point is cut off.
pub(crate) fn integer(raw: &str) -> Read<i64> {
    if let Ok(number) = raw.trim().parse() {
        return Ok(Some(number));
    }
    // The cast saturates, which is as near as can be.
    Ok(number(raw)?.map(|number| number as i64))
}

/// A yes or no.
pub(crate) fn flag(raw: &str) -> Read<bool> {
    let spelled = match kind(raw) {
        "null" => return Ok(None),
        "a text" => decode(raw),
        _ => raw.to_owned(),
    };
    match spelled.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(Some(true)),
        "false" | "0" | "no" | "off" => Ok(Some(false)),
        "" => Ok(None),
        other => match other.parse::<f64>() {
            Ok(number) if kind(raw) == "a number" => Ok(Some(number != 0.0)),
            _ => mismatch("a yes or no", raw),
        },
    }
}

/// The items of a list.
pub(crate) fn items(raw: &str) -> Read<Vec<Box<RawValue>>> {
    match kind(raw) {
        "null" => Ok(None),
        "a list" => match serde_json::from_str(raw) {
            Ok(items) => Ok(Some(items)),
            Err(_) => mismatch("a list", raw),
        },
        _ => mismatch("a list", raw),
    }
}

/// A list of texts; a single text is a list of one, and of it nothing is none. Items
/// that are no texts are left out.
pub(crate) fn texts(raw: &str) -> Read<Vec<String>> {
    match kind(raw) {
        "a list" => Ok(items(raw)?.map(|items| {
            items.iter().filter_map(|item| text(item.get()).ok().flatten()).collect()
        })),
        "an object" => mismatch("a list of texts", raw),
        _ => Ok(text(raw)?.map(|one| if one.trim().is_empty() { Vec::new() } else { vec![one] })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_they_were_meant() {
        assert_eq!(text(" \"a\\u00e9\" "), Ok(Some("aé".to_owned())));
        assert_eq!(text("null"), Ok(None));
        assert_eq!(text("12.50"), Ok(Some("12.50".to_owned())));
        assert_eq!(text("{}"), Err(Mismatch { wanted: "a text", found: "an object" }));
        let cut = text("\"half \\ud83d\"").unwrap().unwrap();
        assert!(cut.starts_with("half ") && cut.contains('\u{fffd}'));
    }

    #[test]
    fn numbers_are_read_from_texts_too() {
        assert_eq!(number("\"0.5\""), Ok(Some(0.5)));
        assert_eq!(number("\"\""), Ok(None));
        assert!(number("1e400").is_err());
        assert!(number("\"NaN\"").is_err());
        assert!(number("[]").is_err());
        assert_eq!(integer("4.0"), Ok(Some(4)));
        assert_eq!(integer("\"7\""), Ok(Some(7)));
        assert_eq!(integer("99999999999999999999"), Ok(Some(i64::MAX)));
    }

    #[test]
    fn yes_and_no_have_many_spellings() {
        for yes in ["true", "1", "\"true\"", "\"1\"", "2"] {
            assert_eq!(flag(yes), Ok(Some(true)), "{yes}");
        }
        for no in ["false", "0", "\"off\"", "0.0"] {
            assert_eq!(flag(no), Ok(Some(false)), "{no}");
        }
        assert_eq!(flag("null"), Ok(None));
        assert!(flag("\"perhaps\"").is_err());
    }

    #[test]
    fn a_single_text_is_a_list_of_one() {
        assert_eq!(texts("\"a\""), Ok(Some(vec!["a".to_owned()])));
        assert_eq!(texts("\" \""), Ok(Some(vec![])));
        assert_eq!(texts("[\"a\", 1, {}]"), Ok(Some(vec!["a".to_owned(), "1".to_owned()])));
    }
}
