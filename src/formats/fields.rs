//! JSON objects of which nothing is lost: what nobody touches keeps its spelling and
//! its place.
//!
//! An object is read one level at a time, so that no depth of nesting is a depth of
//! recursion.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::lenient::{self, Mismatch};
use super::{FormatError, Limits};

/// A JSON object: its keys in the file's order, each value as it was spelled.
///
/// Of a key that stands twice the later value counts, as in JavaScript.
#[derive(Clone, Default)]
pub struct Object {
    path: String,
    fields: IndexMap<String, Field>,
}

#[derive(Clone)]
struct Field {
    /// How the key was spelled, quotes and escapes included.
    key: Box<str>,
    value: Box<RawValue>,
}

impl Object {
    /// An object without fields that stands at that JSON path; the root's is empty.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), fields: IndexMap::new() }
    }

    /// Reads a whole document that must be an object.
    ///
    /// # Errors
    /// `TooBig` where it is longer or deeper than allowed, `Json` where it is not JSON,
    /// `Type` where it is no object.
    pub fn read(text: &str, limits: &Limits) -> Result<Self, FormatError> {
        Self::parse(check_document(text, limits)?, "")
    }

    /// Reads an object that stands at that JSON path.
    ///
    /// # Errors
    /// `Json` where it is not JSON, `Type` where it is no object.
    pub fn parse(text: &str, path: impl Into<String>) -> Result<Self, FormatError> {
        let path = path.into();
        let name = || if path.is_empty() { "the document".to_owned() } else { path.clone() };
        let first = text.trim_start().as_bytes().first();
        if matches!(first, Some(b'[' | b'"' | b'0'..=b'9' | b'-' | b't' | b'f' | b'n')) {
            let found = lenient::kind(text);
            return Err(FormatError::Type { path: name(), wanted: "an object", found });
        }
        match serde_json::from_str::<Fields>(text) {
            Ok(Fields(fields)) => Ok(Self { path, fields }),
            Err(source) => Err(FormatError::Json { at: name(), source }),
        }
    }

    /// Where it stands in its document.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where one of its fields stands in the document.
    pub fn path_of(&self, key: &str) -> String {
        let key = printable(key, 40);
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }

    /// Its keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether there is such a field, be it `null`.
    pub fn has(&self, key: &str) -> bool {
        self.fields.contains_key(key)
    }

    /// A value as it is spelled.
    pub fn raw(&self, key: &str) -> Option<&RawValue> {
        self.fields.get(key).map(|field| &*field.value)
    }

    fn read_with<T>(
        &self,
        key: &str,
        read: impl FnOnce(&str) -> Result<Option<T>, Mismatch>,
    ) -> Result<Option<T>, FormatError> {
        let Some(raw) = self.raw(key) else { return Ok(None) };
        read(raw.get()).map_err(|Mismatch { wanted, found }| FormatError::Type {
            path: self.path_of(key),
            wanted,
            found,
        })
    }

    /// A text; `None` where there is none or `null`.
    ///
    /// # Errors
    /// `Type` for a list or an object.
    pub fn text(&self, key: &str) -> Result<Option<String>, FormatError> {
        self.read_with(key, lenient::text)
    }

    /// A number, also one that stands in a text; `None` where there is none.
    ///
    /// # Errors
    /// `Type` for what is no finite number.
    pub fn number(&self, key: &str) -> Result<Option<f64>, FormatError> {
        self.read_with(key, lenient::number)
    }

    /// A whole number, also one that stands in a text; `None` where there is none.
    ///
    /// # Errors
    /// `Type` for what is no finite number.
    pub fn integer(&self, key: &str) -> Result<Option<i64>, FormatError> {
        self.read_with(key, lenient::integer)
    }

    /// A yes or no, also spelled `0`, `1`, `"true"`, `"false"`; `None` where there is
    /// none.
    ///
    /// # Errors
    /// `Type` for what is neither.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, FormatError> {
        self.read_with(key, lenient::flag)
    }

    /// A list of texts, also a single one; `None` where there is none.
    ///
    /// # Errors
    /// `Type` for an object.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<String>>, FormatError> {
        self.read_with(key, lenient::texts)
    }

    /// The items of a list as they are spelled; `None` where there is none.
    ///
    /// # Errors
    /// `Type` for what is no list.
    pub fn items(&self, key: &str) -> Result<Option<Vec<Box<RawValue>>>, FormatError> {
        self.read_with(key, lenient::items)
    }

    /// An object in the object; `None` where there is none or `null`.
    ///
    /// # Errors
    /// `Type` for what is no object.
    pub fn object(&self, key: &str) -> Result<Option<Self>, FormatError> {
        match self.raw(key) {
            None => Ok(None),
            Some(raw) if raw.get().trim() == "null" => Ok(None),
            Some(raw) => Self::parse(raw.get(), self.path_of(key)).map(Some),
        }
    }

    /// Gives a field a value; it keeps its place, a new one stands last.
    pub fn set<T: serde::Serialize + ?Sized>(&mut self, key: &str, value: &T) {
        let value = serde_json::value::to_raw_value(value)
            .expect("what is set is text, numbers and lists of them");
        self.set_raw(key, value);
    }

    /// Gives a field a value that is spelled already.
    pub fn set_raw(&mut self, key: &str, value: Box<RawValue>) {
        if let Some(field) = self.fields.get_mut(key) {
            field.value = value;
        } else {
            let spelled = serde_json::to_string(key).expect("a text has a spelling");
            self.fields.insert(key.to_owned(), Field { key: spelled.into(), value });
        }
    }

    /// Takes a field over from another object, its spelling and all; where there is
    /// none, nothing happens.
    pub fn copy_field(&mut self, from: &Self, key: &str) {
        match (from.fields.get(key), self.fields.get_mut(key)) {
            (Some(field), Some(known)) => known.value = field.value.clone(),
            (Some(field), None) => {
                self.fields.insert(key.to_owned(), field.clone());
            }
            (None, _) => {}
        }
    }

    /// Gives a field an object as its value.
    pub fn set_object(&mut self, key: &str, value: &Self) {
        self.set_raw(key, value.to_raw());
    }

    /// Takes a field out and gives its value; the others keep their order.
    pub fn remove(&mut self, key: &str) -> Option<Box<RawValue>> {
        self.fields.shift_remove(key).map(|field| field.value)
    }

    /// The object in JSON, every value as it is spelled.
    pub fn to_json(&self) -> String {
        let size = |field: &Field| field.key.len() + field.value.get().len() + 2;
        let mut out = String::with_capacity(2 + self.fields.values().map(size).sum::<usize>());
        out.push('{');
        for (index, field) in self.fields.values().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(&field.key);
            out.push(':');
            out.push_str(field.value.get());
        }
        out.push('}');
        out
    }

    /// The object as a value of another.
    pub fn to_raw(&self) -> Box<RawValue> {
        raw(self.to_json())
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.to_json() == other.to_json()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.fields.values().map(|field| (&field.key, &field.value))).finish()
    }
}

/// Somebody's text as it may stand in a message of ours: short, and on one line.
pub(crate) fn printable(text: &str, max_chars: usize) -> String {
    let is_odd =
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().take(max_chars).map(|c| if is_odd(c) { '\u{fffd}' } else { c }).collect()
}

/// A value that this room spelled itself.
pub(crate) fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("what this room spells is JSON")
}

/// A list of values as one.
pub(crate) fn raw_list<'a>(items: impl IntoIterator<Item = &'a RawValue>) -> Box<RawValue> {
    let mut json = String::from("[");
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        json.push_str(item.get());
    }
    json.push(']');
    raw(json)
}

/// The document without its byte order mark, once its length, its depth and the number
/// of its values are known to be allowed. They are counted on the text, so that no depth
/// can exhaust a stack.
pub(crate) fn check_document<'a>(text: &'a str, limits: &Limits) -> Result<&'a str, FormatError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > limits.json_bytes {
        return Err(FormatError::too_big("the document", text.len(), limits.json_bytes));
    }
    let (mut depth, mut commas, mut is_text, mut is_escaped) = (0, 0, false, false);
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = usize::saturating_sub(depth, 1),
            b',' => commas += 1,
            _ => {}
        }
        let (size, max, unit) = if depth > limits.json_depth {
            (depth, limits.json_depth, "levels of nesting")
        } else if commas >= limits.json_values {
            (commas + 1, limits.json_values, "values")
        } else {
            continue;
        };
        let at = format!("the document, byte {offset}");
        return Err(FormatError::TooBig { at, size: size as u64, max: max as u64, unit });
    }
    Ok(text)
}

struct Fields(IndexMap<String, Field>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = IndexMap::new();
                while let Some((key, value)) = map.next_entry::<Box<RawValue>, Box<RawValue>>()? {
                    let key: Box<str> = key.get().into();
                    fields.insert(lenient::decode(&key), Field { key, value });
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Object {
        Object::read(text, &Limits::default()).unwrap()
    }

    #[test]
    fn what_nobody_touches_keeps_its_spelling() {
        let text =
            r#"{"b":1.0,"\u0061":1e400,"c":[ 1 , {"x" : "\u00e9"} ],"n":12345678901234567890123}"#;
        let mut object = read(text);
        assert_eq!(object.to_json(), text);
        assert_eq!(object.keys().collect::<Vec<_>>(), ["b", "a", "c", "n"]);
        object.set("a", &2);
        object.set("new", "x");
        object.remove("b");
        assert_eq!(
            object.to_json(),
            r#"{"\u0061":2,"c":[ 1 , {"x" : "\u00e9"} ],"n":12345678901234567890123,"new":"x"}"#
        );
    }

    #[test]
    fn errors_say_where_and_what() {
        let object = read(r#"{"data":{"tags":{}}}"#);
        let data = object.object("data").unwrap().unwrap();
        let error = data.texts("tags").unwrap_err();
        assert_eq!(error.kind(), "type");
        assert_eq!(
            error.to_string(),
            "data.tags is an object, but must be a list of texts; change it or take it out"
        );
        assert_eq!(Object::read("[]", &Limits::default()).unwrap_err().kind(), "type");
        assert_eq!(Object::read("{", &Limits::default()).unwrap_err().kind(), "json");
        assert_eq!(Object::read("", &Limits::default()).unwrap_err().kind(), "json");
    }

    #[test]
    fn paths_are_short_and_on_one_line() {
        let object = Object::new("entries");
        assert_eq!(object.path_of("a\nb\u{202e}"), "entries.a\u{fffd}b\u{fffd}");
        assert_eq!(object.path_of(&"x".repeat(100)).len(), "entries.".len() + 40);
    }

    #[test]
    fn of_a_key_that_stands_twice_the_later_counts() {
        assert_eq!(read(r#"{"a":1,"b":2,"a":3}"#).to_json(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn a_byte_order_mark_is_no_matter() {
        assert_eq!(read("\u{feff}{\"a\":1}").to_json(), "{\"a\":1}");
    }

    #[test]
    fn nesting_is_bounded_without_recursion() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Object::read(&deep, &Limits::default()).unwrap_err().kind(), "too_big");
        // Without the check it is read all the same, one level at a time.
        assert_eq!(Object::parse(&deep, "").unwrap().to_json(), deep);
        let quoted = format!("{{\"a\":\"{}\"}}", "[{\\\"".repeat(1000));
        assert!(Object::read(&quoted, &Limits::default()).is_ok());
    }

    #[test]
    fn length_is_bounded() {
        let limits = Limits { json_bytes: 8, ..Limits::default() };
        assert!(Object::read("{\"a\":1}", &limits).is_ok());
        assert_eq!(Object::read("{\"a\":123}", &limits).unwrap_err().kind(), "too_big");
    }
}
