//! Regular expressions as JavaScript writes them, in the syntax of our engines.
//!
//! Every part is translated, so that `\w` is ASCII and `$` the very end, as there, and so
//! that nothing of our engines' own syntax shines through. Three things differ: a
//! character is a code point even without the `u` flag, a backreference to a group that
//! took no part fails instead of matching nothing, and look-behind must have one length.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

/// A pattern may be this long.
const MAX_PATTERN_BYTES: usize = 2_000;
/// It may come to this many characters to match, repetitions counted.
const MAX_ATOMS: u64 = 4_000;
/// Groups nested deeper than this are refused.
const MAX_NESTING: usize = 40;
/// A literal shorter than this is in every text.
const MIN_LITERAL_BYTES: usize = 2;

const WORD: &str = "0-9A-Za-z_";
const SPACE: &str =
    r"\t-\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}";

/// Why a regular expression matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    /// It breaks the rules.
    #[error("{0}")]
    Invalid(&'static str),
    /// It is too long, nested too deep, or repeats too much.
    #[error("it is too large")]
    TooLarge,
    /// The books hold too many.
    #[error("there are too many regular expressions")]
    TooMany,
    /// It is valid there but not here.
    #[error("it uses what is not supported here")]
    Unsupported,
}

/// The flags that change what matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    pub(super) multi_line: bool,
    pub(super) dot_all: bool,
    pub(super) unicode: bool,
    pub(super) sticky: bool,
}

impl Flags {
    /// Reads flags such as `gi`; each may stand once.
    pub(super) fn parse(text: &str) -> Result<Self, RegexError> {
        let mut flags = Self::default();
        for (at, flag) in text.char_indices() {
            if text[..at].contains(flag) {
                return Err(RegexError::Invalid("a flag stands twice"));
            }
            match flag {
                'i' => flags.ignore_case = true,
                'm' => flags.multi_line = true,
                's' => flags.dot_all = true,
                'u' => flags.unicode = true,
                'y' => flags.sticky = true,
                'g' => {}
                _ => return Err(RegexError::Invalid("a flag is unknown")),
            }
        }
        Ok(flags)
    }
}

/// A translated pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Translated {
    /// The pattern in our engines' syntax, flags included.
    pub(super) pattern: String,
    /// Whether it looks around or back, for which only the backtracking engine is good.
    pub(super) needs_backtracking: bool,
    /// Lower-case ASCII that is in every text that matches, if any is.
    pub(super) literal: Option<String>,
    /// How many characters it matches, repetitions counted: a measure of its size.
    pub(super) num_atoms: u64,
}

/// Translates a pattern.
///
/// # Errors
/// If it is no valid pattern, or too large.
pub(super) fn translate(pattern: &str, flags: Flags) -> Result<Translated, RegexError> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(RegexError::TooLarge);
    }
    // Look-around is asked for by `\b` only once it is known that the backtracking
    // engine is needed, since that one has no other way to say it.
    let plain = Translator::new(pattern, flags, false).run()?;
    if plain.needs_backtracking {
        return Translator::new(pattern, flags, true).run();
    }
    Ok(plain)
}

/// A group that is open.
struct Open {
    /// The atoms before it.
    atoms_before: u64,
    /// Whether a quantifier may follow it.
    is_repeatable: bool,
}

struct Translator<'a> {
    chars: Peekable<Chars<'a>>,
    flags: Flags,
    num_groups: usize,
    names: Vec<String>,
    for_backtracking: bool,
    needs_backtracking: bool,
    out: String,
    open: Vec<Open>,
    atoms: u64,
    /// The size of what a quantifier would repeat; `None` where there is nothing.
    last: Option<u64>,
    literals: Literals,
}

impl<'a> Translator<'a> {
    fn new(pattern: &'a str, flags: Flags, for_backtracking: bool) -> Self {
        let (num_groups, names) = groups(pattern);
        Self {
            chars: pattern.chars().peekable(),
            flags,
            num_groups,
            names,
            for_backtracking,
            needs_backtracking: false,
            out: String::new(),
            open: Vec::new(),
            atoms: 0,
            last: None,
            literals: Literals::default(),
        }
    }

    fn run(mut self) -> Result<Translated, RegexError> {
        while let Some(next) = self.chars.next() {
            self.part(next)?;
            if self.atoms > MAX_ATOMS || self.open.len() > MAX_NESTING {
                return Err(RegexError::TooLarge);
            }
        }
        if !self.open.is_empty() {
            return Err(RegexError::Invalid("a group is not closed"));
        }
        let case = if self.flags.ignore_case { "(?i:" } else { "(?:" };
        let start = if self.flags.sticky { r"\A" } else { "" };
        Ok(Translated {
            pattern: format!("{start}{case}{})", self.out),
            needs_backtracking: self.needs_backtracking,
            literal: self.literals.longest(),
            num_atoms: self.atoms.max(1),
        })
    }

    /// Translates what begins with `next`.
    fn part(&mut self, next: char) -> Result<(), RegexError> {
        match next {
            '\\' => self.escape()?,
            '[' => self.class()?,
            '(' => self.open_group()?,
            ')' => self.close_group()?,
            '|' => {
                self.literals.alternative(self.open.is_empty());
                self.out.push('|');
                self.last = None;
            }
            '.' if self.flags.dot_all => self.atom("(?s:.)"),
            '.' => self.atom(r"[^\n\r\x{2028}\x{2029}]"),
            '^' => self.assertion(if self.flags.multi_line { "(?m:^)" } else { r"\A" }),
            '$' => self.assertion(if self.flags.multi_line { "(?m:$)" } else { r"\z" }),
            '*' | '+' | '?' => self.quantifier(next)?,
            '{' => self.braces()?,
            '}' | ']' if self.flags.unicode => {
                return Err(RegexError::Invalid("a bracket is not open"));
            }
            _ => self.literal(next),
        }
        Ok(())
    }

    /// Something that matches one character.
    fn atom(&mut self, text: &str) {
        self.literals.end();
        self.out.push_str(text);
        self.atoms += 1;
        self.last = Some(1);
    }

    /// Something that matches no character.
    fn assertion(&mut self, text: &str) {
        self.literals.end();
        self.out.push_str(text);
        self.last = None;
    }

    fn literal(&mut self, char: char) {
        push_literal(&mut self.out, char);
        self.literals.push(char, self.open.is_empty());
        self.atoms += 1;
        self.last = Some(1);
    }

    fn quantifier(&mut self, sign: char) -> Result<(), RegexError> {
        self.repeat(u64::from(sign == '+'), None)?;
        self.out.push(sign);
        self.lazy();
        Ok(())
    }

    /// `{2}`, `{2,}` or `{2,5}`; anything else in braces is text.
    fn braces(&mut self) -> Result<(), RegexError> {
        let Some((least, most, len)) = bounds(self.chars.clone()) else {
            if self.flags.unicode {
                return Err(RegexError::Invalid("braces hold no number"));
            }
            self.literal('{');
            return Ok(());
        };
        let written: String = self.chars.by_ref().take(len).collect();
        if most.is_some_and(|most| most < least) {
            return Err(RegexError::Invalid("the numbers of a repetition are out of order"));
        }
        self.repeat(least, Some(most.unwrap_or(least)))?;
        self.out.push('{');
        self.out.push_str(&written);
        self.lazy();
        Ok(())
    }

    /// Accounts for a repetition of what stands before.
    fn repeat(&mut self, least: u64, most: Option<u64>) -> Result<(), RegexError> {
        let Some(size) = self.last.take() else {
            return Err(RegexError::Invalid("there is nothing to repeat"));
        };
        let times = most.unwrap_or(1).max(1);
        if times > MAX_ATOMS {
            return Err(RegexError::TooLarge);
        }
        self.atoms = self.atoms.saturating_add(size.saturating_mul(times - 1));
        self.literals.repeated(least > 0);
        Ok(())
    }

    /// A `?` after a quantifier.
    fn lazy(&mut self) {
        if self.chars.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
    }

    fn open_group(&mut self) -> Result<(), RegexError> {
        self.literals.end();
        let mut is_repeatable = true;
        if self.chars.next_if_eq(&'?').is_none() {
            self.out.push('(');
        } else {
            let sign = self.chars.next();
            let behind = sign == Some('<') && matches!(self.chars.peek(), Some('=' | '!'));
            match sign {
                Some(':') => self.out.push_str("(?:"),
                Some(sign @ ('=' | '!')) => {
                    self.needs_backtracking = true;
                    // Repeating one is allowed without the `u` flag, if pointless.
                    is_repeatable = !self.flags.unicode;
                    _ = write!(self.out, "(?{sign}");
                }
                Some('<') if behind => {
                    self.needs_backtracking = true;
                    is_repeatable = false;
                    let sign = self.chars.next().unwrap_or('=');
                    _ = write!(self.out, "(?<{sign}");
                }
                Some('<') => {
                    let name = self.name()?;
                    if self.names.iter().filter(|other| **other == name).count() > 1 {
                        return Err(RegexError::Invalid("two groups have one name"));
                    }
                    // Groups are found again by number.
                    self.out.push('(');
                }
                _ => return Err(RegexError::Invalid("a group is of no known kind")),
            }
        }
        self.open.push(Open { atoms_before: self.atoms, is_repeatable });
        self.last = None;
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), RegexError> {
        let Some(open) = self.open.pop() else {
            return Err(RegexError::Invalid("a group is closed that is not open"));
        };
        self.literals.end();
        self.out.push(')');
        let size = (self.atoms - open.atoms_before).max(1);
        self.last = open.is_repeatable.then_some(size);
        Ok(())
    }

    /// A group's name, up to its `>`.
    fn name(&mut self) -> Result<String, RegexError> {
        let name: String = self.chars.by_ref().take_while(|char| *char != '>').collect();
        let is_word = |char: char| char.is_alphanumeric() || char == '_' || char == '$';
        let is_valid = !name.starts_with(|char: char| char.is_numeric())
            && !name.is_empty()
            && name.chars().all(is_word);
        is_valid.then_some(name).ok_or(RegexError::Invalid("a group has no valid name"))
    }

    /// What follows a backslash outside a class.
    fn escape(&mut self) -> Result<(), RegexError> {
        let Some(next) = self.chars.next() else {
            return Err(RegexError::Invalid("it ends in a backslash"));
        };
        match next {
            'd' => self.atom("[0-9]"),
            'D' => self.atom("[^0-9]"),
            'w' => self.atom(&format!("[{WORD}]")),
            'W' => self.atom(&format!("[^{WORD}]")),
            's' => self.atom(&format!("[{SPACE}]")),
            'S' => self.atom(&format!("[^{SPACE}]")),
            'b' | 'B' => self.boundary(next),
            'p' | 'P' if self.flags.unicode => {
                let property = self.property(next)?;
                self.atom(&property);
            }
            'k' if !self.names.is_empty() || self.flags.unicode => self.named_reference()?,
            '1'..='9' => self.numbered_reference(next)?,
            _ => {
                let char = self.escaped_char(next)?;
                self.literal(char);
            }
        }
        Ok(())
    }

    /// `\b` or `\B`; a word is ASCII.
    fn boundary(&mut self, sign: char) {
        let (is, not) = (format!("(?<=[{WORD}])"), format!("(?<![{WORD}])"));
        let (next, no_next) = (format!("(?=[{WORD}])"), format!("(?![{WORD}])"));
        let text = match (self.for_backtracking, sign) {
            (false, _) => format!(r"(?-u:\{sign})"),
            (true, 'b') => format!("(?:{is}{no_next}|{not}{next})"),
            (true, _) => format!("(?:{is}{next}|{not}{no_next})"),
        };
        self.assertion(&text);
    }

    fn property(&mut self, sign: char) -> Result<String, RegexError> {
        let invalid = RegexError::Invalid("a property has no name");
        if self.chars.next_if_eq(&'{').is_none() {
            return Err(invalid);
        }
        let name: String = self.chars.by_ref().take_while(|char| *char != '}').collect();
        let is_word = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '=');
        if name.is_empty() || !name.chars().all(is_word) {
            return Err(invalid);
        }
        Ok(format!(r"\{sign}{{{name}}}"))
    }

    fn named_reference(&mut self) -> Result<(), RegexError> {
        let unknown = RegexError::Invalid("a reference names no group");
        if self.chars.next_if_eq(&'<').is_none() {
            return Err(unknown);
        }
        let name = self.name()?;
        let number = group_number(self.names.iter().position(|other| *other == name));
        self.reference(number.ok_or(unknown)?)
    }

    fn numbered_reference(&mut self, first: char) -> Result<(), RegexError> {
        let mut number = first.to_digit(10).unwrap_or(0) as usize;
        let mut ahead = self.chars.clone();
        let mut len = 0;
        while let Some(digit) = ahead.next().and_then(|char| char.to_digit(10)) {
            number = number.saturating_mul(10).saturating_add(digit as usize);
            len += 1;
        }
        if number <= self.num_groups {
            self.chars.by_ref().take(len).for_each(drop);
            return self.reference(number);
        }
        if self.flags.unicode {
            return Err(RegexError::Invalid("a reference is to no group"));
        }
        let char = if first < '8' { self.octal(first) } else { first };
        self.literal(char);
        Ok(())
    }

    fn reference(&mut self, number: usize) -> Result<(), RegexError> {
        self.needs_backtracking = true;
        self.literals.end();
        // In a group of its own, so that a digit after it stays one.
        _ = write!(self.out, r"(?:\{number})");
        self.atoms += 1;
        self.last = Some(1);
        Ok(())
    }

    /// A character code of up to three octal digits, as old scripts write it.
    fn octal(&mut self, first: char) -> char {
        let mut code = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.chars.peek().and_then(|char| char.to_digit(8)) else { break };
            if code * 8 + digit > 0o377 {
                break;
            }
            code = code * 8 + digit;
            self.chars.next();
        }
        char::from_u32(code).unwrap_or('\0')
    }

    /// The character that an escape stands for, in a class or outside.
    fn escaped_char(&mut self, next: char) -> Result<char, RegexError> {
        let unicode = self.flags.unicode;
        Ok(match next {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'v' => '\u{b}',
            'f' => '\u{c}',
            '0' => self.octal('0'),
            'c' => match self.chars.next_if(char::is_ascii_alphabetic) {
                Some(letter) => char::from(letter as u8 % 32),
                None if unicode => return Err(RegexError::Invalid("an escape is unknown")),
                None => return Err(RegexError::Unsupported),
            },
            'x' => self.hex(2).unwrap_or(Some('x')).ok_or(RegexError::Unsupported)?,
            'u' => self.unicode_escape()?,
            _ if unicode && next.is_alphanumeric() => {
                return Err(RegexError::Invalid("an escape is unknown"));
            }
            _ => next,
        })
    }

    /// A code of so many hexadecimal digits: `None` if they do not stand there, and no
    /// character if it is none's.
    fn hex(&mut self, len: usize) -> Option<Option<char>> {
        let digits: String = self.chars.clone().take(len).collect();
        let is_hex = digits.len() == len && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let code = is_hex.then(|| u32::from_str_radix(&digits, 16).ok()).flatten()?;
        self.chars.by_ref().take(len).for_each(drop);
        Some(char::from_u32(code).or_else(|| self.low_surrogate(code)))
    }

    /// Joins a high surrogate with the escape of a low one that must follow.
    fn low_surrogate(&mut self, high: u32) -> Option<char> {
        let low: String = self.chars.clone().take(6).collect();
        let low = u32::from_str_radix(low.strip_prefix("\\u")?, 16).ok()?;
        if !(0xd800..0xdc00).contains(&high) || !(0xdc00..0xe000).contains(&low) {
            return None;
        }
        self.chars.by_ref().take(6).for_each(drop);
        char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
    }

    /// `\u0041`, or `\u{41}` with the `u` flag.
    fn unicode_escape(&mut self) -> Result<char, RegexError> {
        if self.flags.unicode && self.chars.next_if_eq(&'{').is_some() {
            let digits: String = self.chars.by_ref().take_while(|char| *char != '}').collect();
            let code = u32::from_str_radix(&digits, 16).ok();
            return code.and_then(char::from_u32).ok_or(RegexError::Invalid("no such character"));
        }
        match self.hex(4) {
            Some(char) => char.ok_or(RegexError::Unsupported),
            None if self.flags.unicode => Err(RegexError::Invalid("an escape is unknown")),
            None => Ok('u'),
        }
    }

    /// What follows the `[` of a class.
    fn class(&mut self) -> Result<(), RegexError> {
        let is_negated = self.chars.next_if_eq(&'^').is_some();
        let mut inner = String::new();
        loop {
            let item = self.class_item()?;
            let Some(item) = item else { break };
            let ranges = self.chars.peek() == Some(&'-')
                && self.chars.clone().nth(1).is_some_and(|after| after != ']');
            if !ranges {
                item.push_to(&mut inner);
                continue;
            }
            self.chars.next();
            let end = self.class_item()?.ok_or(RegexError::Invalid("a class is not closed"))?;
            match (item, end) {
                (Item::Char(start), Item::Char(end)) if start > end => {
                    return Err(RegexError::Invalid("a range of a class is out of order"));
                }
                (Item::Char(start), Item::Char(end)) => {
                    push_literal(&mut inner, start);
                    inner.push('-');
                    push_literal(&mut inner, end);
                }
                _ if self.flags.unicode => {
                    return Err(RegexError::Invalid("a range of a class has no end"));
                }
                (start, end) => {
                    start.push_to(&mut inner);
                    inner.push_str(r"\-");
                    end.push_to(&mut inner);
                }
            }
        }
        let class = match (is_negated, inner.is_empty()) {
            (true, true) => "(?s:.)".to_owned(),
            (false, true) => r"[^\x{0}-\x{10ffff}]".to_owned(),
            (true, false) => format!("[^{inner}]"),
            (false, false) => format!("[{inner}]"),
        };
        self.atom(&class);
        Ok(())
    }

    /// One character or set of a class; `None` at its end.
    fn class_item(&mut self) -> Result<Option<Item>, RegexError> {
        let Some(next) = self.chars.next() else {
            return Err(RegexError::Invalid("a class is not closed"));
        };
        if next == ']' {
            return Ok(None);
        }
        if next != '\\' {
            return Ok(Some(Item::Char(next)));
        }
        let Some(next) = self.chars.next() else {
            return Err(RegexError::Invalid("it ends in a backslash"));
        };
        Ok(Some(match next {
            'd' => Item::Set("0-9".to_owned()),
            'D' => Item::Set("[^0-9]".to_owned()),
            'w' => Item::Set(WORD.to_owned()),
            'W' => Item::Set(format!("[^{WORD}]")),
            's' => Item::Set(SPACE.to_owned()),
            'S' => Item::Set(format!("[^{SPACE}]")),
            'b' => Item::Char('\u{8}'),
            'p' | 'P' if self.flags.unicode => Item::Set(self.property(next)?),
            '1'..='7' if !self.flags.unicode => Item::Char(self.octal(next)),
            _ => Item::Char(self.escaped_char(next)?),
        }))
    }
}

/// A part of a class.
enum Item {
    Char(char),
    Set(String),
}

impl Item {
    fn push_to(self, out: &mut String) {
        match self {
            Self::Char(char) => push_literal(out, char),
            Self::Set(set) => out.push_str(&set),
        }
    }
}

/// Appends a character so that it means itself, in a class and outside.
fn push_literal(out: &mut String, char: char) {
    if char.is_ascii_alphanumeric() || char == '_' || !char.is_ascii() {
        out.push(char);
    } else {
        _ = write!(out, r"\x{{{:x}}}", u32::from(char));
    }
}

/// What stands in braces after a `{`, if it is a repetition: the least, the most if it
/// is given, and how many characters it takes with its `}`.
fn bounds(chars: Peekable<Chars<'_>>) -> Option<(u64, Option<u64>, usize)> {
    let mut text = String::new();
    for char in chars {
        text.push(char);
        if char == '}' {
            break;
        }
        if !char.is_ascii_digit() && char != ',' {
            return None;
        }
    }
    let inner = text.strip_suffix('}')?;
    let (least, most) = inner.split_once(',').unwrap_or((inner, inner));
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    let most = if most.is_empty() { None } else { Some(number(most)?) };
    Some((number(least)?, most, text.len()))
}

/// How many groups capture, and the names of all by number; unnamed ones have none.
fn groups(pattern: &str) -> (usize, Vec<String>) {
    let (mut names, mut any_named) = (Vec::new(), false);
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(char) = chars.next() {
        match char {
            '\\' => _ = chars.next(),
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => {
                let ahead: String = chars.clone().take(3).collect();
                if !ahead.starts_with('?') {
                    names.push(String::new());
                } else if ahead.starts_with("?<") && !ahead.ends_with(['=', '!']) {
                    names.push(chars.clone().skip(2).take_while(|char| *char != '>').collect());
                    any_named = true;
                }
            }
            _ => {}
        }
    }
    let num_groups = names.len();
    (num_groups, if any_named { names } else { Vec::new() })
}

fn group_number(index: Option<usize>) -> Option<usize> {
    index.map(|index| index + 1)
}

/// The literals that every match holds: runs of plain characters outside all groups.
#[derive(Default)]
struct Literals {
    run: String,
    best: String,
    has_alternatives: bool,
}

impl Literals {
    fn push(&mut self, char: char, is_outside: bool) {
        if is_outside && (char.is_ascii_alphanumeric() || char == ' ') {
            self.run.push(char.to_ascii_lowercase());
        } else {
            self.end();
        }
    }

    /// The character before may repeat, or be missing.
    fn repeated(&mut self, is_there: bool) {
        if !is_there {
            self.run.pop();
        }
        self.end();
    }

    fn alternative(&mut self, is_outside: bool) {
        self.end();
        self.has_alternatives |= is_outside;
    }

    fn end(&mut self) {
        if self.run.len() > self.best.len() {
            self.best.clone_from(&self.run);
        }
        self.run.clear();
    }

    fn longest(mut self) -> Option<String> {
        self.end();
        (!self.has_alternatives && self.best.len() >= MIN_LITERAL_BYTES).then_some(self.best)
    }
}
