//! A regular expression as a tree: what the reader of JavaScript's syntax gives to the
//! two engines.

use std::fmt::Write;

/// A literal shorter than this is in every text.
const MIN_LITERAL_BYTES: usize = 2;

/// A part of a regular expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// One character of a class.
    Class(Class),
    /// The beginning, or with `multi_line` that of any line.
    Start { multi_line: bool },
    /// The end, or with `multi_line` that of any line.
    End { multi_line: bool },
    /// A word begins or ends here, or with `negated` does not.
    Boundary { negated: bool },
    /// One after another.
    Sequence(Vec<Node>),
    /// One of these, the first that fits.
    Either(Vec<Node>),
    /// A group, and its number if it captures.
    Group { inner: Box<Node>, number: Option<usize> },
    /// As many as there are, or with `lazy` as few as will do.
    Repeat { inner: Box<Node>, least: u64, most: Option<u64>, lazy: bool },
    /// What follows, or with `behind` what came before.
    Look { inner: Box<Node>, behind: bool, negated: bool },
    /// What a group captured, once more.
    Reference(usize),
}

/// A set of characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) items: Vec<Item>,
    pub(super) negated: bool,
}

/// A part of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// From one character to another, both included.
    Range(char, char),
    /// All characters but those of these ranges.
    Except(&'static [(char, char)]),
    /// All of these ranges.
    Ranges(&'static [(char, char)]),
    /// A property of Unicode as `\p{…}` or `\P{…}`.
    Property(String),
}

/// `\d` of JavaScript.
pub(super) const DIGITS: &[(char, char)] = &[('0', '9')];
/// `\w` of JavaScript.
pub(super) const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
/// What ends a line in JavaScript.
pub(super) const LINE_ENDS: &[(char, char)] =
    &[('\n', '\n'), ('\r', '\r'), ('\u{2028}', '\u{2029}')];
/// `\s` of JavaScript.
pub(super) const SPACES: &[(char, char)] = &[
    ('\t', '\r'),
    (' ', ' '),
    ('\u{a0}', '\u{a0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{2000}', '\u{200a}'),
    ('\u{2028}', '\u{2029}'),
    ('\u{202f}', '\u{202f}'),
    ('\u{205f}', '\u{205f}'),
    ('\u{3000}', '\u{3000}'),
    ('\u{feff}', '\u{feff}'),
];

impl Class {
    pub(super) fn of(item: Item) -> Self {
        Self { items: vec![item], negated: false }
    }

    /// The character, if the set has but one.
    fn only(&self) -> Option<char> {
        match self.items.as_slice() {
            [Item::Range(start, end)] if start == end && !self.negated => Some(*start),
            _ => None,
        }
    }
}

impl Node {
    pub(super) fn literal(char: char) -> Self {
        Self::Class(Class::of(Item::Range(char, char)))
    }

    /// How many characters it matches, the largest numbers of repetitions counted: a
    /// measure of its size.
    pub(super) fn num_atoms(&self) -> u64 {
        match self {
            Self::Sequence(nodes) | Self::Either(nodes) => {
                nodes.iter().fold(1, |sum: u64, node| sum.saturating_add(node.num_atoms()))
            }
            Self::Group { inner, .. } | Self::Look { inner, .. } => {
                inner.num_atoms().saturating_add(1)
            }
            Self::Repeat { inner, least, most, .. } => {
                // Without an upper bound it is written out once more than it must be.
                inner.num_atoms().saturating_mul(most.unwrap_or(*least + 1).max(1))
            }
            _ => 1,
        }
    }

    /// Whether it looks around or refers back, which the linear engine cannot.
    pub(super) fn needs_backtracking(&self) -> bool {
        match self {
            Self::Look { .. } | Self::Reference(_) => true,
            Self::Sequence(nodes) | Self::Either(nodes) => {
                nodes.iter().any(Self::needs_backtracking)
            }
            Self::Group { inner, .. } | Self::Repeat { inner, .. } => inner.needs_backtracking(),
            _ => false,
        }
    }

    /// Lower-case ASCII that is in every text that matches, if any is: the longest run
    /// of plain characters outside all groups.
    pub(super) fn common_literal(&self) -> Option<String> {
        let alone = std::slice::from_ref(self);
        let nodes = if let Self::Sequence(nodes) = self { nodes.as_slice() } else { alone };
        let (mut best, mut run) = (String::new(), String::new());
        for node in nodes {
            let (node, times) = match node {
                Self::Repeat { inner, least, .. } => (inner.as_ref(), Some(*least)),
                node => (node, None),
            };
            let char = match node {
                Self::Class(class) => class.only(),
                _ => None,
            };
            let char = char.filter(|char| char.is_ascii_alphanumeric() || *char == ' ');
            run.extend(char.filter(|_| times != Some(0)).map(|char| char.to_ascii_lowercase()));
            if run.len() > best.len() {
                best.clone_from(&run);
            }
            if char.is_none() || times.is_some() {
                run.clear();
            }
        }
        (best.len() >= MIN_LITERAL_BYTES).then_some(best)
    }

    /// Appends it in the syntax of the linear engine; what that cannot do is left out.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Class(class) => class.write(out),
            Self::Start { multi_line: true } => out.push_str("(?m:^)"),
            Self::Start { multi_line: false } => out.push_str(r"\A"),
            Self::End { multi_line: true } => out.push_str("(?m:$)"),
            Self::End { multi_line: false } => out.push_str(r"\z"),
            Self::Boundary { negated: false } => out.push_str(r"(?-u:\b)"),
            Self::Boundary { negated: true } => out.push_str(r"(?-u:\B)"),
            Self::Sequence(nodes) => nodes.iter().for_each(|node| node.write(out)),
            Self::Either(nodes) => {
                out.push_str("(?:");
                for (at, node) in nodes.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { "|" });
                    node.write(out);
                }
                out.push(')');
            }
            Self::Group { inner, .. } => {
                out.push_str("(?:");
                inner.write(out);
                out.push(')');
            }
            Self::Repeat { inner, least, most, lazy } => {
                inner.write(out);
                let most = most.map_or_else(String::new, |most| most.to_string());
                let lazy = if *lazy { "?" } else { "" };
                _ = write!(out, "{{{least},{most}}}{lazy}");
            }
            Self::Look { .. } | Self::Reference(_) => {}
        }
    }
}

impl Class {
    fn write(&self, out: &mut String) {
        out.push_str(if self.negated { "[^" } else { "[" });
        for item in &self.items {
            match item {
                Item::Range(start, end) => write_ranges(out, &[(*start, *end)]),
                Item::Ranges(ranges) => write_ranges(out, ranges),
                Item::Except(ranges) => {
                    out.push_str("[^");
                    write_ranges(out, ranges);
                    out.push(']');
                }
                Item::Property(name) => out.push_str(name),
            }
        }
        if self.items.is_empty() {
            // Nothing at all; negated it is everything.
            out.push_str(r"[^\x{0}-\x{10ffff}]");
        }
        out.push(']');
    }
}

fn write_ranges(out: &mut String, ranges: &[(char, char)]) {
    for (start, end) in ranges {
        _ = write!(out, r"\x{{{:x}}}-\x{{{:x}}}", u32::from(*start), u32::from(*end));
    }
}
