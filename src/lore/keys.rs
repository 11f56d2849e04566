//! The keys of many entries, each distinct one once, ready to be looked for.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::automaton::Automaton;
use super::javascript::RegexError;
use super::regex_key::{RegexKey, parse_slashes};

/// More regular expressions than this are refused, for the room that each takes.
const MAX_REGEXES: usize = 4_000;
/// What all of them may come to together.
const MAX_TOTAL_ATOMS: u64 = 300_000;

/// A key: what it is, and where its table keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// A word or several.
    Plain(usize),
    /// A regular expression.
    Regex(usize),
    /// It holds placeholders and is known once they are replaced.
    Unexpanded(usize),
    /// It is found nowhere: it is empty, or no valid regular expression.
    Never,
}

/// The distinct keys of many entries.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    plain: Interned,
    regex_ids: HashMap<String, Result<usize, RegexError>>,
    regexes: Vec<(RegexKey, Option<usize>)>,
    unexpanded: Interned,
    num_atoms: u64,
    lower: OnceLock<Index>,
    exact: OnceLock<Index>,
}

/// Distinct texts, numbered.
#[derive(Debug, Default)]
struct Interned {
    ids: HashMap<String, usize>,
    texts: Vec<String>,
}

impl Interned {
    fn intern(&mut self, text: &str) -> usize {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let id = self.texts.len();
        self.ids.insert(text.to_owned(), id);
        self.texts.push(text.to_owned());
        id
    }
}

/// An automaton over the plain keys, in lower case or as they are.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) automaton: Automaton,
    /// The pattern of each plain key.
    pub(super) pattern_of: Vec<u32>,
    /// Whether each pattern is one word, so that it may have to stand alone.
    pub(super) is_word: Vec<bool>,
    /// The length of each pattern.
    pub(super) len_bytes: Vec<usize>,
}

impl Index {
    fn new(keys: impl Iterator<Item = String>) -> Self {
        let mut patterns = Interned::default();
        let mut pattern_of = Vec::new();
        for key in keys {
            pattern_of.push(u32::try_from(patterns.intern(&key)).unwrap_or(u32::MAX));
        }
        let texts = &patterns.texts;
        Self {
            automaton: Automaton::new(texts.iter().map(String::as_str)),
            pattern_of,
            is_word: texts.iter().map(|text| !text.contains(is_space)).collect(),
            len_bytes: texts.iter().map(String::len).collect(),
        }
    }
}

impl KeyTable {
    /// Adds a key as an entry has it. With `use_regex` it is a regular expression even
    /// without slashes.
    ///
    /// # Errors
    /// If it is meant as a regular expression and is none; it is then [`Key::Never`].
    pub(super) fn add(&mut self, key: &str, use_regex: bool) -> Result<Key, RegexError> {
        if has_placeholder(key) {
            // The bit is kept in the text: a key of both kinds is two.
            let marked = format!("{}{key}", if use_regex { 'r' } else { 'p' });
            return Ok(Key::Unexpanded(self.unexpanded.intern(&marked)));
        }
        self.add_expanded(key, use_regex)
    }

    /// Adds a key whose placeholders are replaced.
    ///
    /// # Errors
    /// If it is meant as a regular expression and is none.
    pub(super) fn add_expanded(&mut self, key: &str, use_regex: bool) -> Result<Key, RegexError> {
        let key = key.trim_matches(is_space);
        if key.is_empty() {
            return Ok(Key::Never);
        }
        let (pattern, flags) = match parse_slashes(key) {
            Some(regex) => regex,
            None if use_regex => (key, ""),
            None => return Ok(Key::Plain(self.plain.intern(key))),
        };
        // A NUL cannot be among the flags.
        let id = format!("{flags}\0{pattern}");
        if let Some(known) = self.regex_ids.get(&id) {
            return known.clone().map(Key::Regex);
        }
        let compiled = self.compile(pattern, flags);
        self.regex_ids.insert(id, compiled.clone());
        compiled.map(Key::Regex)
    }

    fn compile(&mut self, pattern: &str, flags: &str) -> Result<usize, RegexError> {
        if self.regexes.len() >= MAX_REGEXES {
            return Err(RegexError::TooMany);
        }
        let regex = RegexKey::new(pattern, flags)?;
        self.num_atoms += regex.num_atoms;
        if self.num_atoms > MAX_TOTAL_ATOMS {
            return Err(RegexError::TooMany);
        }
        let literal = regex.literal.as_deref().map(|literal| self.plain.intern(literal));
        self.regexes.push((regex, literal));
        Ok(self.regexes.len() - 1)
    }

    /// The keys with placeholders, and whether each is a regular expression without
    /// slashes.
    pub(super) fn unexpanded(&self) -> impl Iterator<Item = (&str, bool)> {
        self.unexpanded.texts.iter().map(|text| (&text[1..], text.starts_with('r')))
    }

    /// A regular expression, and the plain key that must be there too, in any letter
    /// case, where it can match.
    pub(super) fn regex(&self, id: usize) -> (&RegexKey, Option<usize>) {
        let (regex, literal) = &self.regexes[id];
        (regex, *literal)
    }

    /// How many regular expressions there are.
    pub(super) fn num_regexes(&self) -> usize {
        self.regexes.len()
    }

    /// Whether there is no plain key.
    pub(super) fn has_no_plain(&self) -> bool {
        self.plain.texts.is_empty()
    }

    /// The plain keys in lower case. The first call builds it; keys that are added later
    /// are not in it.
    pub(super) fn lower(&self) -> &Index {
        self.lower
            .get_or_init(|| Index::new(self.plain.texts.iter().map(|text| text.to_lowercase())))
    }

    /// The plain keys as they are; see [`KeyTable::lower`].
    pub(super) fn exact(&self) -> &Index {
        self.exact.get_or_init(|| Index::new(self.plain.texts.iter().cloned()))
    }
}

/// Whether a key must be expanded: it holds `{{` or one of the old placeholders.
fn has_placeholder(key: &str) -> bool {
    let begins_old = |at: usize| {
        ["<user>", "<bot>", "<char>"].iter().any(|name| {
            let part = key.as_bytes().get(at..at + name.len());
            part.is_some_and(|part| part.eq_ignore_ascii_case(name.as_bytes()))
        })
    };
    key.contains("{{") || key.match_indices('<').any(|(at, _)| begins_old(at))
}

/// White space as JavaScript sees it.
pub(super) fn is_space(char: char) -> bool {
    char == '\u{feff}' || (char.is_whitespace() && char != '\u{85}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_are_kept_once() {
        let mut table = KeyTable::default();
        let keys = ["elf", " elf ", "Elf", "/elf/i", "/elf/i", "/elf/"]
            .map(|key| table.add(key, false).unwrap());
        let [elf, trimmed, upper, regex, same, other] = keys;
        assert!(elf == trimmed && elf != upper && regex == same && regex != other);
        assert_eq!(table.lower().pattern_of[..2], [0, 0], "one in lower case");
    }

    #[test]
    fn placeholders_wait() {
        let mut table = KeyTable::default();
        for key in ["{{user}}", "Sir <USER>", "<Bot>"] {
            assert!(matches!(table.add(key, false), Ok(Key::Unexpanded(_))), "{key}");
        }
        for key in ["a < b", "<b>", "/(?<=a)b/", "{"] {
            assert!(!matches!(table.add(key, false), Ok(Key::Unexpanded(_))), "{key}");
        }
        let listed: Vec<_> = table.unexpanded().collect();
        assert_eq!(listed, [("{{user}}", false), ("Sir <USER>", false), ("<Bot>", false)]);
    }

    #[test]
    fn the_empty_is_never_found() {
        let mut table = KeyTable::default();
        assert_eq!(table.add("", false), Ok(Key::Never));
        assert_eq!(table.add(" \u{feff}", true), Ok(Key::Never));
    }

    #[test]
    fn use_regex_needs_no_slashes() {
        let mut table = KeyTable::default();
        assert!(matches!(table.add("a+", true), Ok(Key::Regex(_))));
        assert!(matches!(table.add("a+", false), Ok(Key::Plain(_))));
        assert!(table.add("(", true).is_err());
    }

    #[test]
    fn too_many_regular_expressions_are_refused() {
        let mut table = KeyTable { num_atoms: MAX_TOTAL_ATOMS, ..KeyTable::default() };
        assert_eq!(table.add("/a/", false), Err(RegexError::TooMany));
    }
}
