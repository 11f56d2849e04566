//! Where keys were found, in the messages and in what fired.
//!
//! Each text is gone through once, however many entries, depths and rounds ask: of a
//! plain key the newest message that holds it is noted. Regular expressions may reach
//! across messages and are searched for in the joined text, with a bound on the whole.

use super::automaton::Settled;
use super::inputs::{LoreInputs, LoreMessage};
use super::keys::{Index, Key, KeyTable, is_space};

/// More messages than this are not scanned.
pub(super) const MAX_SCAN_DEPTH: usize = 1_000;
/// How much text all searches by regular expressions may go through together.
const MAX_REGEX_BYTES: u64 = 256 << 20;
/// Stands before every message, so that a regular expression can ask for the speaker.
const MATCHER: char = '\u{1}';
/// Not found in any message.
const NOWHERE: u32 = u32::MAX;

/// Which texts are gone through; each is one bit, for [`Settled`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Message(u32),
    Extra,
    Recursion,
}

impl Part {
    fn mark(self) -> u8 {
        match self {
            Self::Message(_) => 1,
            Self::Extra => 2,
            Self::Recursion => 4,
        }
    }
}

/// Where a pattern was found.
#[derive(Debug, Clone, Copy)]
struct Places {
    /// In the newest message that holds it, 0 being the last.
    message: u32,
    /// The marks of the other parts that hold it.
    others: u8,
}

impl Places {
    const NONE: Self = Self { message: NOWHERE, others: 0 };

    fn add(&mut self, part: Part) {
        match part {
            Part::Message(at) => self.message = self.message.min(at),
            _ => self.others |= part.mark(),
        }
    }

    fn holds(self, part: Part) -> bool {
        match part {
            Part::Message(at) => self.message <= at,
            _ => self.others & part.mark() != 0,
        }
    }
}

/// How an entry looks for its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct How {
    /// How many of the newest messages.
    pub(super) depth: usize,
    /// Whether in what fired, too.
    pub(super) with_recursion: bool,
    /// Whether letter case counts.
    pub(super) case_sensitive: bool,
    /// Whether a key of one word must stand alone.
    pub(super) whole_words: bool,
}

/// What was found by one automaton.
struct Hits<'a> {
    index: &'a Index,
    settled: Settled,
    anywhere: Vec<Places>,
    as_word: Vec<Places>,
}

impl<'a> Hits<'a> {
    fn new(index: &'a Index) -> Self {
        let none = vec![Places::NONE; index.is_word.len()];
        Self { index, settled: index.automaton.unsettled(), anywhere: none.clone(), as_word: none }
    }

    fn search(&mut self, text: &str, part: Part) {
        let Self { index, settled, anywhere, as_word } = self;
        let bytes = text.as_bytes();
        index.automaton.search(text, settled, part.mark(), |pattern, end| {
            let pattern = pattern as usize;
            anywhere[pattern].add(part);
            if !index.is_word[pattern] || as_word[pattern].holds(part) {
                return true;
            }
            let start = end - index.len_bytes[pattern];
            let stands_alone = !bytes.get(end).is_some_and(is_word_byte)
                && !start.checked_sub(1).is_some_and(|before| is_word_byte(&bytes[before]));
            if stands_alone {
                as_word[pattern].add(part);
            }
            stands_alone
        });
    }

    fn found(&self, plain: usize, how: How) -> bool {
        let pattern = self.index.pattern_of[plain] as usize;
        let places = if how.whole_words && self.index.is_word[pattern] {
            self.as_word[pattern]
        } else {
            self.anywhere[pattern]
        };
        let in_messages = (places.message as usize) < how.depth && places.message != NOWHERE;
        in_messages
            || places.holds(Part::Extra)
            || (how.with_recursion && places.holds(Part::Recursion))
    }
}

/// `\w` of JavaScript; a byte of a letter beyond ASCII is none.
fn is_word_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_'
}

/// A table of keys and what was found of them.
struct Searched<'a> {
    keys: &'a KeyTable,
    lower: Hits<'a>,
    exact: Option<Hits<'a>>,
    /// What became of the last search by each regular expression.
    regex_results: Vec<Option<(RegexScope, bool)>>,
}

/// The text that a regular expression was searched for in: how many messages, and how
/// many texts that fired.
type RegexScope = (usize, usize);

impl<'a> Searched<'a> {
    fn new(keys: &'a KeyTable, needs_exact: bool) -> Self {
        Self {
            keys,
            lower: Hits::new(keys.lower()),
            exact: needs_exact.then(|| Hits::new(keys.exact())),
            regex_results: vec![None; keys.num_regexes()],
        }
    }

    fn search(&mut self, text: &str, part: Part) {
        if self.keys.has_no_plain() {
            return;
        }
        self.lower.search(&text.to_lowercase(), part);
        if let Some(exact) = &mut self.exact {
            exact.search(text, part);
        }
    }

    fn found_plain(&self, plain: usize, how: How) -> bool {
        match &self.exact {
            Some(exact) if how.case_sensitive => exact.found(plain, how),
            _ => self.lower.found(plain, how),
        }
    }
}

/// Everything that is scanned, and what was found in it.
pub(super) struct Scanner<'a> {
    messages: &'a [LoreMessage<'a>],
    include_names: bool,
    /// The keys of the books, and those whose placeholders were replaced for now.
    tables: Vec<Searched<'a>>,
    expanded: Vec<Key>,
    text: Joined,
    regex_bytes_left: u64,
    num_given_up: usize,
}

impl<'a> Scanner<'a> {
    /// Prepares a scan; `expanded` holds what became of each key with placeholders, as
    /// keys of the table `now`.
    pub(super) fn new(
        inputs: &LoreInputs<'a>,
        keys: &'a KeyTable,
        now: &'a KeyTable,
        expanded: Vec<Key>,
        needs_exact: bool,
    ) -> Self {
        let mut scanner = Self {
            messages: inputs.messages,
            include_names: inputs.settings.include_names,
            tables: vec![Searched::new(keys, needs_exact), Searched::new(now, needs_exact)],
            expanded,
            text: Joined::default(),
            regex_bytes_left: MAX_REGEX_BYTES,
            num_given_up: 0,
        };
        for extra in inputs.extras.iter().filter(|extra| !extra.is_empty()) {
            let text = format!("{MATCHER}{extra}");
            scanner.search(&text, Part::Extra);
            scanner.text.extras.push('\n');
            scanner.text.extras.push_str(&text);
        }
        scanner
    }

    /// Adds what fired; the entries of the next round may find their keys in it.
    pub(super) fn add_recursion(&mut self, text: &str) {
        let text = format!("{MATCHER}{text}");
        self.search(&text, Part::Recursion);
        self.text.recursion.push('\n');
        self.text.recursion.push_str(&text);
        self.text.num_recursions += 1;
    }

    /// Whether anything was added by [`Scanner::add_recursion`].
    pub(super) fn has_recursion(&self) -> bool {
        self.text.num_recursions > 0
    }

    /// How many searches took too long.
    pub(super) fn num_given_up(&self) -> usize {
        self.num_given_up
    }

    /// Whether a key is found. At depth 0 nothing is.
    pub(super) fn finds(&mut self, key: Key, how: How) -> bool {
        if how.depth == 0 {
            return false;
        }
        self.scan_messages(how.depth.min(MAX_SCAN_DEPTH));
        match key {
            Key::Unexpanded(id) => self.finds_in(1, self.expanded[id], how),
            key => self.finds_in(0, key, how),
        }
    }

    /// Whether a key turned out to be no valid regular expression, or to be empty.
    pub(super) fn is_never(&self, key: Key) -> bool {
        match key {
            Key::Unexpanded(id) => self.expanded[id] == Key::Never,
            key => key == Key::Never,
        }
    }

    fn finds_in(&mut self, table: usize, key: Key, how: How) -> bool {
        match key {
            Key::Plain(id) => self.tables[table].found_plain(id, how),
            Key::Regex(id) => self.finds_regex(table, id, how),
            Key::Unexpanded(_) | Key::Never => false,
        }
    }

    fn finds_regex(&mut self, table: usize, id: usize, how: How) -> bool {
        let searched = &mut self.tables[table];
        let (regex, literal) = searched.keys.regex(id);
        let any_case = How { case_sensitive: false, whole_words: false, ..how };
        if literal.is_some_and(|literal| !searched.lower.found(literal, any_case)) {
            return false;
        }
        let depth = how.depth.min(self.text.ends.len());
        let recursions = if how.with_recursion { self.text.num_recursions } else { 0 };
        let scope = (depth, recursions);
        if let Some((known, result)) = searched.regex_results[id]
            && known == scope
        {
            return result;
        }
        let text = self.text.of(depth, how.with_recursion);
        let cost = regex.cost_bytes(text.len());
        let result = match self.regex_bytes_left.checked_sub(cost) {
            Some(left) => {
                self.regex_bytes_left = left;
                regex.is_match(text)
            }
            None => None,
        };
        if result.is_none() {
            self.num_given_up += 1;
        }
        let result = result.unwrap_or(false);
        searched.regex_results[id] = Some((scope, result));
        result
    }

    /// Goes through the messages up to a depth that were not gone through yet.
    fn scan_messages(&mut self, depth: usize) {
        while self.text.ends.len() < depth.min(self.messages.len()) {
            let at = self.text.ends.len();
            let LoreMessage { speaker, text } = self.messages[self.messages.len() - 1 - at];
            let whole =
                if self.include_names { format!("{speaker}: {text}") } else { text.to_owned() };
            let text = format!("{MATCHER}{}", whole.trim_matches(is_space));
            self.search(&text, Part::Message(u32::try_from(at).unwrap_or(NOWHERE)));
            self.text.push_message(&text);
        }
    }

    fn search(&mut self, text: &str, part: Part) {
        for table in &mut self.tables {
            table.search(text, part);
        }
    }
}

/// All texts joined as regular expressions see them, newest message first.
#[derive(Default)]
struct Joined {
    messages: String,
    /// Where each message ends in `messages`.
    ends: Vec<usize>,
    /// What is scanned beside them, each with a line break before it.
    extras: String,
    /// What fired, likewise.
    recursion: String,
    num_recursions: usize,
    /// The text of the last search, where it is not a part of `messages`.
    whole: String,
}

impl Joined {
    fn push_message(&mut self, text: &str) {
        if !self.ends.is_empty() {
            self.messages.push('\n');
        }
        self.messages.push_str(text);
        self.ends.push(self.messages.len());
    }

    /// The newest `depth` messages with what is scanned beside them.
    fn of(&mut self, depth: usize, with_recursion: bool) -> &str {
        let end = depth.checked_sub(1).map_or(0, |last| self.ends[last]);
        let recursion = if with_recursion { self.recursion.as_str() } else { "" };
        if self.extras.is_empty() && recursion.is_empty() {
            return &self.messages[..end];
        }
        self.whole.clear();
        self.whole.push_str(&self.messages[..end]);
        self.whole.push_str(&self.extras);
        self.whole.push_str(recursion);
        &self.whole
    }
}
