//! Regular expressions as JavaScript writes them, read into a tree.
//!
//! What old scripts are forgiven without the `u` flag is forgiven here: braces that are no
//! repetition, unknown escapes, octal codes. One thing differs: a character is a code
//! point even without that flag.

use std::iter::Peekable;
use std::str::Chars;

use super::pattern::{Class, Item, LINE_ENDS, Node};

/// A pattern may be this long.
const MAX_PATTERN_BYTES: usize = 2_000;
/// It may come to this many characters to match, repetitions counted.
const MAX_ATOMS: u64 = 4_000;
/// Groups nested deeper than this are refused.
const MAX_NESTING: usize = 40;

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

/// Reads a pattern.
///
/// # Errors
/// If it is no valid pattern, or too large.
pub(super) fn read(pattern: &str, flags: Flags) -> Result<Node, RegexError> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(RegexError::TooLarge);
    }
    let names = group_names(pattern);
    let chars = pattern.chars().peekable();
    let mut reader = Reader { chars, flags, names, num_open: 0, num_groups: 0 };
    let node = reader.either()?;
    if reader.chars.next().is_some() {
        return Err(RegexError::Invalid("a group is closed that is not open"));
    }
    if node.num_atoms() > MAX_ATOMS {
        return Err(RegexError::TooLarge);
    }
    Ok(node)
}

/// A pattern that is being read.
pub(super) struct Reader<'a> {
    pub(super) chars: Peekable<Chars<'a>>,
    pub(super) flags: Flags,
    /// The names of all groups that capture; unnamed ones have none.
    pub(super) names: Vec<Option<String>>,
    /// How many groups are open, and how many that capture were opened.
    num_open: usize,
    num_groups: usize,
}

impl Reader<'_> {
    /// Alternatives, up to the end or a `)`.
    fn either(&mut self) -> Result<Node, RegexError> {
        let mut nodes = vec![self.sequence()?];
        while self.chars.next_if_eq(&'|').is_some() {
            nodes.push(self.sequence()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Either(nodes) })
    }

    fn sequence(&mut self) -> Result<Node, RegexError> {
        let mut nodes = Vec::new();
        while let Some(next) = self.chars.next_if(|next| !matches!(next, '|' | ')')) {
            let node = self.part(next)?;
            let is_repeatable = match &node {
                Node::Start { .. } | Node::End { .. } | Node::Boundary { .. } => false,
                // Repeating a look ahead is allowed without the `u` flag, if pointless.
                Node::Look { behind, .. } => !behind && !self.flags.unicode,
                _ => true,
            };
            nodes.push(self.repeated(node, is_repeatable)?);
        }
        Ok(Node::Sequence(nodes))
    }

    /// What begins with `next`, without what repeats it.
    fn part(&mut self, next: char) -> Result<Node, RegexError> {
        Ok(match next {
            '\\' => self.escape()?,
            '[' => self.class()?,
            '(' => self.group()?,
            '.' if self.flags.dot_all => Node::Class(Class { items: vec![], negated: true }),
            '.' => Node::Class(Class::of(Item::Except(LINE_ENDS))),
            '^' => Node::Start { multi_line: self.flags.multi_line },
            '$' => Node::End { multi_line: self.flags.multi_line },
            '*' | '+' | '?' => return Err(RegexError::Invalid("there is nothing to repeat")),
            '{' if self.bounds().is_some() => {
                return Err(RegexError::Invalid("there is nothing to repeat"));
            }
            '{' | '}' | ']' if self.flags.unicode => {
                return Err(RegexError::Invalid("a bracket stands alone"));
            }
            _ => Node::literal(next),
        })
    }

    /// Reads what repeats a node: `*`, `+`, `?`, `{2}`, `{2,}` or `{2,5}`.
    fn repeated(&mut self, node: Node, is_repeatable: bool) -> Result<Node, RegexError> {
        let (least, most) = match self.chars.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                let mut ahead = self.chars.clone();
                ahead.next();
                let Some((least, most, len)) = bounds(ahead) else { return Ok(node) };
                self.chars.by_ref().take(len).for_each(drop);
                (least, most)
            }
            _ => return Ok(node),
        };
        self.chars.next();
        if !is_repeatable {
            return Err(RegexError::Invalid("there is nothing to repeat"));
        }
        if most.is_some_and(|most| most < least) {
            return Err(RegexError::Invalid("the numbers of a repetition are out of order"));
        }
        if most.unwrap_or(least) > MAX_ATOMS {
            return Err(RegexError::TooLarge);
        }
        let lazy = self.chars.next_if_eq(&'?').is_some();
        Ok(Node::Repeat { inner: Box::new(node), least, most, lazy })
    }

    /// The repetition that stands here after its `{`, if one does.
    fn bounds(&self) -> Option<(u64, Option<u64>, usize)> {
        bounds(self.chars.clone())
    }

    /// What follows a `(`.
    fn group(&mut self) -> Result<Node, RegexError> {
        self.num_open += 1;
        if self.num_open > MAX_NESTING {
            return Err(RegexError::TooLarge);
        }
        let mut number = None;
        let mut look = None;
        if self.chars.next_if_eq(&'?').is_none() {
            number = Some(self.next_group());
        } else {
            match self.chars.next() {
                Some(':') => {}
                Some(sign @ ('=' | '!')) => look = Some((false, sign == '!')),
                Some('<') => match self.chars.next_if(|next| matches!(next, '=' | '!')) {
                    Some(sign) => look = Some((true, sign == '!')),
                    None => {
                        self.name()?;
                        number = Some(self.next_group());
                    }
                },
                _ => return Err(RegexError::Invalid("a group is of no known kind")),
            }
        }
        let inner = Box::new(self.either()?);
        if self.chars.next().is_none() {
            return Err(RegexError::Invalid("a group is not closed"));
        }
        self.num_open -= 1;
        Ok(match look {
            Some((behind, negated)) => Node::Look { inner, behind, negated },
            None => Node::Group { inner, number },
        })
    }

    /// The number of a group that is opened.
    fn next_group(&mut self) -> usize {
        self.num_groups += 1;
        self.num_groups
    }

    /// A group's name, up to its `>`.
    fn name(&mut self) -> Result<String, RegexError> {
        let name: String = self.chars.by_ref().take_while(|char| *char != '>').collect();
        let is_word = |char: char| char.is_alphanumeric() || char == '_' || char == '$';
        if name.is_empty() || name.starts_with(char::is_numeric) || !name.chars().all(is_word) {
            return Err(RegexError::Invalid("a group has no valid name"));
        }
        if self.names.iter().flatten().filter(|other| **other == name).count() > 1 {
            return Err(RegexError::Invalid("two groups have one name"));
        }
        Ok(name)
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

/// The groups that capture, in order, and what names they have.
fn group_names(pattern: &str) -> Vec<Option<String>> {
    let mut names = Vec::new();
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
                    names.push(None);
                } else if ahead.starts_with("?<") && !ahead.ends_with(['=', '!']) {
                    let name = chars.clone().skip(2).take_while(|char| *char != '>');
                    names.push(Some(name.collect()));
                }
            }
            _ => {}
        }
    }
    names
}
